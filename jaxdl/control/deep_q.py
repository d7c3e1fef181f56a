"""An agent of action values: how it acts, and what it takes a move to be worth."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxdl import envs
from jaxdl.control import policies, replay
from jaxdl.control.returns import n_step
from jaxdl.envs import vectorised
from jaxdl.parallel import replicas

# What keeps a transition that is known well from never being seen again.
_LEAST = 1e-6


class Agent(NamedTuple):
    """A network of action values, where it acts, and what it takes a move to be worth.

    Attributes:
      module: observations (n, size) -> values (n, actions).
      environment: of `jaxdl.envs`.
      rollout: steps in each environment between updates.
      discount: γ.
      double: whether the learner, not the target, chooses the action that the target values.
      reward_scale: factor on rewards.
      n_steps: rewards that a goal has before it goes on with a value.
      priority: α, how much more often what was misjudged is drawn; None where all are drawn evenly.
    """

    module: Any
    environment: envs.Environment
    rollout: int
    discount: float
    double: bool
    reward_scale: float
    n_steps: int = 1
    priority: float | None = None

    def values(self, params: Any, observation: jax.Array) -> jax.Array:
        """(n, actions), as at evaluation."""
        return self.module.apply({"params": params}, observation)


def of(q: jax.Array, action: jax.Array) -> jax.Array:
    """The values (n,) of actions (n,) among those of all (n, actions)."""
    return jnp.take_along_axis(q, action[:, None], axis=1)[:, 0]


def goals(agent: Agent, params: Any, target: Any, batch: Mapping) -> jax.Array:
    """``r + γ q(s', a')``, nothing after a termination; a truncated episode would go on.

    Args:
      agent: whose values they are.
      params: the learner's, which choose a' where the agent is double (van Hasselt et al., 2016).
      target: the parameters that value it.
      batch: of `seen`; where a transition is of several steps, ``discount`` (n,) is its γ.
    """
    after = agent.values(target, batch["next_observation"])
    best = (agent.values(params, batch["next_observation"]) if agent.double else after).argmax(-1)
    following = jnp.where(batch["terminated"], 0.0, of(after, best))
    discount = batch.get("discount", agent.discount)
    return batch["reward"] * agent.reward_scale + discount * following


def acting(
    agent: Agent, params: Any, start: vectorised.Vectorised, key: jax.Array, eps: jax.Array
) -> tuple[vectorised.Vectorised, vectorised.Transition]:
    """A rollout by the best actions, a share ``eps`` of them random: (rollout, environments, …)."""

    def choose(observation: jax.Array, own: jax.Array) -> jax.Array:
        explore, which = jax.vmap(jax.random.split, out_axes=1)(own)
        explores = jax.vmap(lambda k: jax.random.uniform(k, (), jnp.float32))(explore) < eps
        best = agent.values(params, observation).argmax(-1).astype(jnp.int32)
        return jnp.where(explores, policies.evenly(agent.environment, which), best)

    return vectorised.roll_out(agent.environment, choose, start, key, agent.rollout)


def kept(agent: Agent) -> tuple[str, ...]:
    """What of a transition memory keeps, by name."""
    names = ("observation", "action", "reward", "next_observation", "terminated")
    return names if agent.n_steps == 1 else (*names, "truncated")


def seen(
    agent: Agent, memory: replay.Replay, keys: jax.Array, count: int, correction: jax.Array
) -> tuple[dict[str, jax.Array], jax.Array | None]:
    """Transitions to learn from, (environments * count, …), and their places in memory.

    Args:
      agent: whose values they are.
      memory: to draw from.
      keys: (environments,).
      count: of each environment.
      correction: β, as of `jaxdl.tasks.dqn`; nothing is to correct where all are drawn evenly.

    Returns:
      (batch, places (environments, count), or None where they are drawn evenly). Where they are
      not, the batch has ``weight`` (n,), at most 1: ``(N P)^-β`` over the largest of the batch
      (Schaul et al., 2016, section 3.4).
    """
    steps, places = agent.n_steps, None
    if agent.priority is None and steps == 1:
        return replay.sample(memory, keys, count), None
    if agent.priority is None:
        batch = replay.windows(memory, replay.evenly(memory, keys, count, steps), steps)
        return several(batch, agent.discount), None
    places, odds = replay.prioritised(memory, keys, count, agent.priority, steps)
    batch = several(replay.windows(memory, places, steps), agent.discount)
    weight = odds.ravel() ** -correction
    return {**batch, "weight": weight / replicas.largest(weight.max())}, places


def several(windows: Mapping[str, jax.Array], discount: float) -> dict[str, jax.Array]:
    """Transitions of several steps (n, …), from as many that follow each other (n, steps, …).

    Their reward is the discounted sum until an end, their next observation what that led to, and
    ``discount`` (n,) is γ to the number of steps.
    """
    only_one = windows["reward"].shape[1] == 1
    first = {name: x[:, 0] for name, x in windows.items()}
    if only_one:
        return first
    by_time = lambda x: x.swapaxes(0, 1)
    ended = windows["terminated"] | windows["truncated"]
    reward, taken = n_step(by_time(windows["reward"]), by_time(ended), discount)
    last = lambda x: jax.vmap(lambda own, i: own[i - 1])(x, taken)
    return {
        **first,
        "reward": reward,
        "next_observation": last(windows["next_observation"]),
        "terminated": last(windows["terminated"]),
        "discount": discount ** taken.astype(reward.dtype),
    }


def misjudged(agent: Agent, params: Any, batch: Mapping) -> jax.Array:
    """Priorities (n,) of a batch with its ``goal``: how far values are from it, and a little."""
    value = of(agent.values(params, batch["observation"]), batch["action"])
    return jnp.abs(batch["goal"] - value) + _LEAST
