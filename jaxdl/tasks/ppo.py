"""Control by proximal policy optimization (Schulman et al., 2017).

Each update acts in all environments for a while, on the device, estimates how much better than
expected every action was, and takes several passes over what it saw, in minibatches.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxdl import keys
from jaxdl.control.returns import gae, normalised
from jaxdl.control.rollouts import Agent, acting, begin
from jaxdl.envs import vectorised
from jaxdl.errors import UserError
from jaxdl.metrics import Mean, Metrics
from jaxdl.tasks import (
    Run,
    Task,
    check_above,
    check_at_least,
    check_counts,
    check_shares,
    learner,
    register,
)
from jaxdl.tasks.shared import agents, episodes


class State(NamedTuple):
    """All that training has to keep.

    Attributes:
      learner: of actor and critic.
      envs: the environments, in the middle of their episodes.
    """

    learner: learner.Learner
    envs: vectorised.Vectorised


@register("ppo", derives=agents.DERIVES)
def ppo(
    run: Run,
    env: str = "cartpole",
    continuous: str = "gaussian",
    rollout: int = 128,
    minibatches: int = 4,
    epochs: int = 4,
    discount: float = 0.99,
    gae_lambda: float = 0.95,
    clip_ratio: float = 0.2,
    value_clip: float = 0.2,
    entropy: float = 0.0,
    value_weight: float = 0.5,
    reward_scale: float = 1.0,
    normalise_advantages: bool = True,
) -> Task:
    """An agent learns to act in ``config.batch_size`` environments, which run side by side.

    Args:
      run: the run's config; the data set must be "none".
      env: a name in `jaxdl.envs`, or of another library: "gymnax:…", "gymnasium:…".
      continuous: how continuous actions are drawn: "gaussian", and clipped to their range, or
        "squashed" into it by tanh, with log-probabilities and entropies of what is squashed, in
        units of the range.
      rollout: steps in each environment before the parameters change.
      minibatches: parts that these are cut into, by time; must divide ``rollout``.
      epochs: passes over them. An update of the run is epochs x minibatches of the optimizer, which
        are what the learning rate's schedule counts.
      discount: γ, in [0, 1].
      gae_lambda: λ of the advantages, in [0, 1].
      clip_ratio: how far the ratio of new to old probability may leave 1 and still be rewarded.
      value_clip: how far a value may move from its old one, in scaled rewards; 0 is off.
      entropy: weight of the policy's entropy, in nats, which is maximised.
      value_weight: weight of the value's loss.
      reward_scale: factor on the rewards that are learned from; reported returns are without it.
      normalise_advantages: to mean 0 and deviation 1 in each minibatch.

    The metrics are ``loss`` and its parts, ``approximate_kl`` of new from old policy [nats] and
    ``clip_fraction``, both from the updates, ``reward`` of a step, and ``episode_return`` and
    ``episode_length`` of the episodes that ended in the meantime. Evaluation gives ``mean_return``
    of the likeliest actions in 100 episodes.
    """
    agent = agents.create(run, env, continuous)
    _check(rollout, minibatches, epochs, clip_ratio, discount=discount, gae_lambda=gae_lambda)
    check_at_least(0, value_clip=value_clip, entropy=entropy, value_weight=value_weight)
    loss_fn = functools.partial(training_loss, agent, clip_ratio, value_clip, value_weight, entropy)
    start, update = learner.by_config(run, loss_fn, updates=epochs * minibatches)
    see = functools.partial(
        examples, agent, reward_scale=reward_scale, discount=discount, gae_lambda=gae_lambda
    )
    learn = functools.partial(
        learning, update, epochs=epochs, minibatches=minibatches, normalise=normalise_advantages
    )
    return Task(
        init=functools.partial(_init, agent, start, run.config.batch_size),
        train_step=functools.partial(train_step, agent, rollout, see, learn),
        explain=functools.partial(_explain, agent, rollout),
        **agents.shown(agent, discount, reward_scale),
        partition=_partition,
        examples=rollout * run.config.batch_size,
    )


def examples(
    agent: Agent,
    variables: Any,
    moves: vectorised.Transition,
    *,
    reward_scale: float,
    discount: float,
    gae_lambda: float,
) -> dict[str, jax.Array]:
    """What is learned from, (environments, rollout, …)."""
    policy, value = agent.think(variables, moves.observation)
    advantage, target = gae(
        moves.reward * reward_scale,
        value,
        agent.think(variables, moves.next_observation)[1],
        moves.terminated,
        moves.truncated,
        discount,
        gae_lambda,
    )
    found = dict(
        observation=moves.observation,
        action=moves.action,
        log_prob=policy.log_prob(moves.action),
        value=value,
        advantage=advantage,
        target=target,
    )
    return jax.tree.map(lambda x: x.swapaxes(0, 1), found)


def training_loss(
    agent: Agent,
    clip_ratio: float,
    value_clip: float,
    value_weight: float,
    entropy: float,
    params: Any,
    model_state: Any,
    batch: Mapping,
    key: jax.Array,
) -> learner.Loss:
    """The clipped objective of a minibatch.

    Args:
      agent: who learns.
      clip_ratio: as of `ppo`; so are value_clip, value_weight and entropy.
      value_clip: 0 is off.
      value_weight: of the value's loss.
      entropy: weight of the policy's.
      params: the network's; so is model_state.
      model_state: its other collections.
      batch: part of `examples`.
      key: draws nothing.
    """
    policy, value = agent.think({"params": params, **model_state}, batch["observation"])
    log_ratio = policy.log_prob(batch["action"]) - batch["log_prob"]
    policy_loss, moved = clipped(log_ratio, batch["advantage"], clip_ratio)
    value_loss = clipped_value_loss(value, batch, value_clip)
    nats = policy.entropy()
    found = {"policy_loss": policy_loss, "value_loss": value_loss, "entropy": nats, **moved}
    return learner.Loss(
        Mean.of(policy_loss + value_weight * value_loss - entropy * nats),
        model_state,
        {name: Mean.of(x) for name, x in found.items()},
    )


def clipped(
    log_ratio: jax.Array, advantage: jax.Array, clip_ratio: float
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """``-min(r A, clip(r, 1 - ε, 1 + ε) A)`` of each action; Schulman et al., 2017, equation 7.

    Args:
      log_ratio: log r (…), new policy over old.
      advantage: A (…).
      clip_ratio: ε.

    Returns:
      (losses (…), ``approximate_kl`` and ``clip_fraction``, (…) each, of the old policy to the
      new).
    """
    ratio = _exponential(log_ratio)
    near = jnp.clip(ratio, 1 - clip_ratio, 1 + clip_ratio)
    return -jnp.minimum(ratio * advantage, near * advantage), {
        # E[r - 1 - log r] over the old policy is KL(old, new), and no term is negative.
        # Their difference would have no digits left where the policies are nearly the same.
        "approximate_kl": jnp.where(jnp.abs(log_ratio) < 1, jnp.expm1(log_ratio), ratio - 1)
        - log_ratio,
        "clip_fraction": jnp.abs(ratio - 1) > clip_ratio,
    }


def learning(
    update: Callable[..., tuple[learner.Learner, Metrics]],
    own: learner.Learner,
    seen: Mapping[str, jax.Array],
    key: jax.Array,
    *,
    epochs: int,
    minibatches: int,
    normalise: bool,
) -> tuple[learner.Learner, Metrics]:
    """All epochs. A minibatch is some of the times, of every environment: none moves.

    Args:
      update: of `jaxdl.tasks.learner.by_config`.
      own: the learner.
      seen: of `examples`.
      key: of the order.
      epochs: passes.
      minibatches: of each.
      normalise: each minibatch's advantages.
    """
    rollout = seen["value"].shape[1]
    draw_order = lambda k: jax.random.permutation(k, rollout)
    orders = jax.vmap(draw_order)(jax.random.split(keys.named(key, "order"), epochs))
    times = orders.reshape(epochs * minibatches, rollout // minibatches)

    def body(own: learner.Learner, now: tuple[jax.Array, jax.Array]) -> Any:
        times, i = now
        batch = {name: x[:, times] for name, x in seen.items()}
        if normalise:
            batch["advantage"] = normalised(batch["advantage"])
        return update(own, batch, jax.random.fold_in(keys.named(key, "update"), i))

    own, metrics = jax.lax.scan(body, own, (times, jnp.arange(len(times))))
    return own, jax.tree.map(lambda x: x.sum(0), metrics)


def train_step(
    agent: Agent,
    rollout: int,
    see: Callable[[Any, vectorised.Transition], dict[str, jax.Array]],
    learn: Callable[..., tuple[learner.Learner, Metrics]],
    state: State,
    batch: Mapping,
    key: jax.Array,
) -> tuple[State, Metrics]:
    """A rollout, and all that is learned from it.

    Args:
      agent: who acts.
      rollout: steps in each environment.
      see: `examples`, with its numbers.
      learn: `learning`, with its numbers.
      state: of all; batch is empty.
      batch: nothing.
      key: of the step.
    """
    own, many = state
    many, moves = acting(agent, own.variables, many, key, rollout)
    own, metrics = learn(own, see(own.variables, moves), key)
    return State(own, many), {**metrics, **episodes.ended(moves)}


def _explain(
    agent: Agent, rollout: int, state: State, batch: Mapping, key: jax.Array
) -> str | None:
    moves = acting(agent, state.learner.variables, state.envs, key, rollout)[1]
    return episodes.explained(agent.environment, moves)


def _init(
    agent: Agent,
    start: Callable[[Mapping], learner.Learner],
    count: int,
    key: jax.Array,
    batch: Mapping,
) -> State:
    variables, many = begin(agent, key, count)
    return State(start(variables), many)


def _partition(state: State) -> State:
    whole = lambda part, split: jax.tree.map(lambda leaf: split, part)
    return State(*map(whole, state, (False, True)))


def _check(rollout: int, minibatches: int, epochs: int, clip_ratio: float, **shares: float) -> None:
    check_counts(rollout=rollout, minibatches=minibatches, epochs=epochs)
    if rollout % minibatches:
        raise UserError(
            f"config.task.minibatches={minibatches} does not divide config.task.rollout={rollout}: "
            f"use a rollout of {-(-rollout // minibatches) * minibatches}"
        )
    check_above(0, clip_ratio=clip_ratio)
    check_shares(**shares)


def _exponential(x: jax.Array) -> jax.Array:
    """``e^x``, from x = 40 on its tangent there: float32 ends at e^88, its squares at e^44.

    So what the clipped objective leaves out has a gradient of 0, not of 0 times infinity.
    """
    near = jnp.minimum(x, 40.0)
    return jnp.exp(near) * (1 + (x - near))


def clipped_value_loss(value: jax.Array, batch: Mapping[str, jax.Array], clip: float) -> jax.Array:
    """Half the squared error; the larger of that and the one of the value held near its old one."""
    error = jnp.square(value - batch["target"])
    if clip:
        near = batch["value"] + jnp.clip(value - batch["value"], -clip, clip)
        error = jnp.maximum(error, jnp.square(near - batch["target"]))
    return error / 2
