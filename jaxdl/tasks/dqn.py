"""Control by deep Q-learning (Mnih et al., 2015), double (van Hasselt et al., 2016)."""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxdl import envs, keys, losses, models
from jaxdl.control import policies, replay
from jaxdl.envs import vectorised
from jaxdl.errors import UserError
from jaxdl.metrics import Mean, Metrics
from jaxdl.tasks import (
    Run,
    Task,
    build_model,
    check_counts,
    check_shares,
    learner,
    need_whole,
    register,
)
from jaxdl.tasks.shared import episodes


class State(NamedTuple):
    """All that training has to keep.

    Attributes:
      learner: of the action values.
      target: parameters that follow the learner's slowly and give the goals.
      envs: the environments, in the middle of their episodes.
      replay: what they went through.
      updates: train steps done, int32.
    """

    learner: learner.Learner
    target: Any
    envs: vectorised.Vectorised
    replay: replay.Replay
    updates: jax.Array


@register("dqn", derives=("num_classes",))
def dqn(
    run: Run,
    env: str = "cartpole",
    rollout: int = 8,
    updates: int = 8,
    examples: int = 256,
    capacity: int = 65536,
    discount: float = 0.99,
    target_rate: float = 0.01,
    double: bool = True,
    epsilon: float = 1.0,
    last_epsilon: float = 0.05,
    exploration: float = 0.2,
    reward_scale: float = 1.0,
) -> Task:
    """An agent with discrete actions learns their values in ``config.batch_size`` environments.

    Args:
      run: the run's config; the data set must be "none".
      env: a name in `jaxdl.envs`.
      rollout: steps in each environment between updates.
      updates: of the optimizer then, which are what the learning rate's schedule counts.
      examples: transitions in each of these; the environments must divide them.
      capacity: transitions of all environments together that are kept; a multiple of a rollout's.
      discount: γ, in [0, 1].
      target_rate: share of the way to the parameters that the target goes after each update.
      double: whether the learner, not the target, chooses the action that the target values.
      epsilon: share of random actions at first.
      last_epsilon: from ``exploration`` on.
      exploration: share of the run over which it falls, linearly.
      reward_scale: factor on the rewards that are learned from; reported returns are without it.

    The metrics are ``loss`` (Huber's), ``value``, the mean of the values learned from,
    ``epsilon``, and ``episode_return`` and ``episode_length`` of the episodes that ended in the
    meantime. Evaluation gives ``mean_return`` of the best actions in 100 episodes.
    """
    need_whole(run, type(None))
    environment, count = envs.create(env), run.config.batch_size
    _check(count, rollout, updates, examples, capacity)
    check_shares(
        discount=discount,
        target_rate=target_rate,
        epsilon=epsilon,
        last_epsilon=last_epsilon,
        exploration=exploration,
    )
    if not environment.actions:
        raise UserError(f"config.task.env={env!r} has continuous actions: task 'ppo' takes them")
    module = build_model(
        run, {"num_classes": environment.actions}, because=f"the actions of environment {env!r}"
    )
    agent = Agent(module, environment, rollout, discount, double, reward_scale)
    forward = learner.forward(module)
    start, update = learner.by_config(
        run, functools.partial(training_loss, forward), updates=updates
    )
    share = functools.partial(exploring, epsilon, last_epsilon, exploration * run.steps)
    learn = functools.partial(
        learning, agent, update, updates=updates, examples=examples // count, rate=target_rate
    )
    greedy = lambda variables: lambda observation: module.apply(variables, observation).argmax(-1)
    seen = jax.ShapeDtypeStruct((1, environment.observation_size), jnp.float32)
    order = functools.cache(lambda: models.call_order(module, seen))
    return Task(
        init=functools.partial(_init, agent, start, count, capacity // count),
        train_step=functools.partial(train_step, agent, share, learn),
        **episodes.shown(environment, greedy).of(lambda state: state.learner.best_variables),
        parameters=lambda state: learner.parameters(state.learner.params, order()),
        partition=_partition,
        examples=rollout * count,
    )


def exploring(first: float, last: float, length: float, done: jax.Array) -> jax.Array:
    """The share of random actions after ``done`` updates: ``last`` from ``length`` of them on."""
    done = done.astype(jnp.float32)
    return first + (last - first) * jnp.where(done < length, done / max(length, 1e-9), 1.0)


class Agent(NamedTuple):
    """A network of action values, where it acts, and what it takes a move to be worth.

    Attributes:
      module: observations (n, size) -> values (n, actions).
      environment: of `jaxdl.envs`.
      rollout: steps in each environment between updates.
      discount: γ.
      double: as of `dqn`; so is reward_scale.
      reward_scale: factor on rewards.
    """

    module: Any
    environment: envs.Environment
    rollout: int
    discount: float
    double: bool
    reward_scale: float

    def values(self, params: Any, observation: jax.Array) -> jax.Array:
        """(n, actions), as at evaluation."""
        return self.module.apply({"params": params}, observation)


def _of(q: jax.Array, action: jax.Array) -> jax.Array:
    """The values (n,) of actions (n,) among those of all (n, actions)."""
    return jnp.take_along_axis(q, action[:, None], axis=1)[:, 0]


def training_loss(
    forward: Callable[..., tuple[jax.Array, Any]],
    params: Any,
    model_state: Any,
    batch: Mapping,
    key: jax.Array,
) -> learner.Loss:
    """Huber's loss of the values of what was done, to ``goal`` (n,); ``key`` is dropout's."""
    q, model_state = forward(params, model_state, key, batch["observation"])
    value = _of(q, batch["action"])
    found = Mean.of(losses.huber(value, batch["goal"]))
    return learner.Loss(found, model_state, {"value": Mean.of(value)})


def goals(agent: Agent, params: Any, target: Any, batch: Mapping) -> jax.Array:
    """``r + γ q(s', a')``, nothing after a termination; a truncated episode would go on."""
    after = agent.values(target, batch["next_observation"])
    best = (agent.values(params, batch["next_observation"]) if agent.double else after).argmax(-1)
    following = jnp.where(batch["terminated"], 0.0, _of(after, best))
    return batch["reward"] * agent.reward_scale + agent.discount * following


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


def learning(
    agent: Agent,
    update: Callable[..., tuple[learner.Learner, Metrics]],
    learners: tuple[learner.Learner, Any],
    memory: replay.Replay,
    index: jax.Array,
    key: jax.Array,
    *,
    updates: int,
    examples: int,
    rate: float,
) -> tuple[tuple[learner.Learner, Any], Metrics]:
    """So many updates from memory, the target following after each.

    Args:
      agent: whose values they are.
      update: of `jaxdl.tasks.learner.by_config`.
      learners: the learner, and the target's parameters.
      memory: to draw from.
      index: (environments,), which they are.
      key: of the draws.
      updates: how many.
      examples: of each environment in each of them.
      rate: share of the way that the target goes.
    """

    def body(carry: Any, i: jax.Array) -> Any:
        own, target = carry
        one = jax.random.fold_in(keys.named(key, "learn"), i)
        seen = replay.sample(memory, vectorised.own_keys(one, index), examples)
        seen = {**seen, "goal": goals(agent, own.params, target, seen)}
        own, found = update(own, seen, one)
        follow = lambda old, new: old + rate * (new - old)
        return (own, jax.tree.map(follow, target, own.params)), found

    carry, found = jax.lax.scan(body, learners, jnp.arange(updates))
    return carry, jax.tree.map(lambda x: x.sum(0), found)


def train_step(
    agent: Agent,
    share: Callable[[jax.Array], jax.Array],
    learn: Callable[..., tuple[tuple[learner.Learner, Any], Metrics]],
    state: State,
    batch: Mapping,
    key: jax.Array,
) -> tuple[State, Metrics]:
    """A rollout, which goes to memory, and the updates after it.

    Args:
      agent: who acts.
      share: train steps done -> ε.
      learn: `learning`, with its numbers.
      state: of all; batch is empty.
      batch: nothing.
      key: of the step.
    """
    eps = share(state.updates)
    many, moves = acting(agent, state.learner.params, state.envs, keys.named(key, "act"), eps)
    memory = replay.add(state.replay, {name: getattr(moves, name) for name in _KEPT})
    carry, found = learn((state.learner, state.target), memory, many.index, key)
    return (
        State(*carry, many, memory, state.updates + 1),
        {**found, **episodes.ended(moves), "epsilon": Mean.once(eps)},
    )


# Of a transition what memory keeps.
_KEPT = ("observation", "action", "reward", "next_observation", "terminated")


def _init(
    agent: Agent,
    start: Callable[[Mapping], learner.Learner],
    count: int,
    kept: int,
    key: jax.Array,
    batch: Mapping,
) -> State:
    size = agent.environment.observation_size
    own = start(agent.module.init(keys.named(key, "model"), jnp.zeros((1, size), jnp.float32)))
    many = vectorised.create(agent.environment, keys.named(key, "environments"), count)
    one = jax.ShapeDtypeStruct((size,), jnp.float32)
    scalar = lambda dtype: jax.ShapeDtypeStruct((), dtype)
    like = dict(
        observation=one, action=scalar(jnp.int32), reward=scalar(jnp.float32),
        next_observation=one, terminated=scalar(jnp.bool_),
    )  # fmt: skip
    memory = replay.create(like, count, kept)
    return State(own, jax.tree.map(jnp.copy, own.params), many, memory, jnp.int32(0))


def _partition(state: State) -> State:
    split = State(False, False, True, True, False)
    whole = lambda part, value: jax.tree.map(lambda leaf: value, part)
    return State(*map(whole, state, split))


def _check(count: int, rollout: int, updates: int, examples: int, capacity: int) -> None:
    check_counts(rollout=rollout, updates=updates, examples=examples, capacity=capacity)
    for name, value, unit, what in (
        ("examples", examples, count, f"config.batch_size={count} environments"),
        ("capacity", capacity, count * rollout, f"{count} environments x {rollout} steps"),
    ):
        if value % unit:
            raise UserError(
                f"config.task.{name}={value} is no multiple of {what}: use "
                f"{-(-value // unit) * unit}"
            )
