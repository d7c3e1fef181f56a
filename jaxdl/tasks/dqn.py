"""Control by deep Q-learning (Mnih et al., 2015), double (van Hasselt et al., 2016)."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxdl import envs, keys, losses, models, precision
from jaxdl.control import policies, replay
from jaxdl.envs import vectorised
from jaxdl.errors import UserError
from jaxdl.metrics import Mean, Metrics
from jaxdl.tasks import (
    Run,
    Task,
    check_counts,
    check_shares,
    episodes,
    learner,
    need_whole,
    register,
)


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


@register("dqn")
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
    config, environment = run.config, envs.create(env)
    count = config.batch_size
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
    fields = {k: v for k, v in config.model.items() if k != "name"}
    module = models.create(
        config.model.name,
        **{**fields, "num_classes": environment.actions},
        dtype=precision.compute_dtype(config.precision),
    )
    values = lambda params, observation: module.apply({"params": params}, observation)
    chosen = lambda q, action: jnp.take_along_axis(q, action[:, None], axis=1)[:, 0]

    def loss_fn(params: Any, model_state: Any, batch: Mapping, key: jax.Array) -> learner.Loss:
        q = module.apply(
            {"params": params},
            batch["observation"],
            train=True,
            rngs={"dropout": keys.named(key, "dropout")},
        )
        value = chosen(q, batch["action"])
        found = Mean.of(losses.huber(value, batch["goal"]))
        return learner.Loss(found, model_state, {"value": Mean.of(value)})

    start, update = learner.by_config(run, loss_fn, updates=updates)

    def goals(params: Any, target: Any, batch: Mapping) -> jax.Array:
        """``r + γ q(s', a')``, nothing after a termination; a truncated episode would go on."""
        after = values(target, batch["next_observation"])
        best = (values(params, batch["next_observation"]) if double else after).argmax(-1)
        following = jnp.where(batch["terminated"], 0.0, chosen(after, best))
        return batch["reward"] * reward_scale + discount * following

    def act(
        agent: learner.Learner, start: vectorised.Vectorised, key: jax.Array, eps: jax.Array
    ) -> tuple[vectorised.Vectorised, vectorised.Transition]:
        """A rollout, (rollout, environments, …)."""

        def choose(observation: jax.Array, own: jax.Array) -> jax.Array:
            explore, which = jax.vmap(jax.random.split, out_axes=1)(own)
            explores = jax.vmap(lambda k: jax.random.uniform(k, (), jnp.float32))(explore) < eps
            best = values(agent.params, observation).argmax(-1).astype(jnp.int32)
            return jnp.where(explores, policies.evenly(environment, which), best)

        return vectorised.roll_out(environment, choose, start, key, rollout)

    def kept(moves: vectorised.Transition) -> dict[str, jax.Array]:
        names = ("observation", "action", "reward", "next_observation", "terminated")
        return {name: getattr(moves, name) for name in names}

    def train_step(state: State, batch: Mapping, key: jax.Array) -> tuple[State, Metrics]:
        part = state.updates / max(exploration * run.steps, 1e-9)
        eps = epsilon + (last_epsilon - epsilon) * jnp.minimum(part, 1.0)
        many, moves = act(state.learner, state.envs, keys.named(key, "act"), eps)
        memory = replay.add(state.replay, kept(moves))

        def body(carry: Any, i: jax.Array) -> Any:
            agent, target = carry
            one = jax.random.fold_in(keys.named(key, "learn"), i)
            own = vectorised.own_keys(one, many.index)
            seen = replay.sample(memory, own, examples // count)
            seen = {**seen, "goal": goals(agent.params, target, seen)}
            agent, found = update(agent, seen, one)
            follow = lambda old, new: old + target_rate * (new - old)
            return (agent, jax.tree.map(follow, target, agent.params)), found

        carry, found = jax.lax.scan(body, (state.learner, state.target), jnp.arange(updates))
        found = jax.tree.map(lambda x: x.sum(0), found)
        return (
            State(*carry, many, memory, state.updates + 1),
            {**found, **episodes.ended(moves), "epsilon": Mean.once(eps)},
        )

    def init(key: jax.Array, batch: Mapping) -> State:
        observation = jnp.zeros((1, environment.observation_size), jnp.float32)
        agent = start(module.init(keys.named(key, "model"), observation))
        many = vectorised.create(environment, keys.named(key, "environments"), count)
        one = jax.ShapeDtypeStruct((environment.observation_size,), jnp.float32)
        scalar = lambda dtype: jax.ShapeDtypeStruct((), dtype)
        like = dict(
            observation=one, action=scalar(jnp.int32), reward=scalar(jnp.float32),
            next_observation=one, terminated=scalar(jnp.bool_),
        )  # fmt: skip
        memory = replay.create(like, count, capacity // count)
        return State(agent, jax.tree.map(jnp.copy, agent.params), many, memory, jnp.int32(0))

    def greedy(variables: Any) -> vectorised.Policy:
        return lambda observation: module.apply(variables, observation).argmax(-1)

    def parameters(state: State) -> dict[str, jax.Array]:
        shape = jax.ShapeDtypeStruct((1, environment.observation_size), jnp.float32)
        return learner.parameters(state.learner.params, models.call_order(module, shape))

    score = episodes.mean_return(environment, greedy)
    shown = episodes.artifacts(environment, greedy)

    def partition(state: State) -> State:
        split = State(False, False, True, True, False)
        whole = lambda part, value: jax.tree.map(lambda leaf: value, part)
        return State(*map(whole, state, split))

    return Task(
        init=init,
        train_step=train_step,
        score=lambda state, data, key: score(state.learner.best_variables, key),
        artifacts=lambda state, data, key: shown(state.learner.best_variables, key),
        parameters=parameters,
        partition=partition,
        examples=rollout * count,
    )


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
