"""Many environments at once: the clock, and what happens at the end of an episode.

An episode ends by the environment's own rules (it *terminates*) or by the clock (it is *truncated*:
nothing ended, one only stopped looking, so what would have followed must be estimated). Both start
the environment anew; the last observation before that is kept for the estimate.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxdl import keys
from jaxdl.envs import Environment, agreement, columns, draws


class Vectorised(NamedTuple):
    """n environments; every leaf has them as its first axis.

    Attributes:
      state: of the environments.
      observation: of that state, (n, observation_size).
      steps: of the episode so far, (n,) int32.
      total: rewards of the episode so far, (n,) float32.
      index: the number of each environment, (n,) uint32, which all its keys are folded with: so
        its draws are the same on whatever device it lies, and among however many others.
    """

    state: Any
    observation: jax.Array
    steps: jax.Array
    total: jax.Array
    index: jax.Array


class Transition(NamedTuple):
    """What a step did in each of n environments.

    Attributes:
      observation: before the step, (n, observation_size).
      action: (n,) int32 or (n, action_size).
      reward: (n,) float32.
      next_observation: after the step and before any new start, (n, observation_size).
      terminated: (n,) bool.
      truncated: (n,) bool, never where terminated is.
      total: rewards of the episode with this one, (n,) float32.
      steps: of the episode with this one, (n,) int32.
    """

    observation: jax.Array
    action: jax.Array
    reward: jax.Array
    next_observation: jax.Array
    terminated: jax.Array
    truncated: jax.Array
    total: jax.Array
    steps: jax.Array

    @property
    def ended(self) -> jax.Array:
        """(n,) bool: whether the episode ended in either way."""
        return self.terminated | self.truncated


def own_keys(key: jax.Array, index: jax.Array) -> jax.Array:
    """A key an environment, (n,), from one key and the environments' numbers (n,)."""
    return jax.vmap(jax.random.fold_in, in_axes=(None, 0))(key, index)


def create(env: Environment, key: jax.Array, count: int) -> Vectorised:
    """``count`` environments at starts of their own.

    Raises:
      UserError: the environment does not keep to what it says of itself (`agreement.check`).
    """
    agreement.check(env)
    return anew(env, key, jnp.arange(count, dtype=jnp.uint32))


def anew(env: Environment, key: jax.Array, index: jax.Array) -> Vectorised:
    """Environments of the numbers ``index`` (n,) at starts of their own."""
    state, observation = jax.vmap(env.reset)(own_keys(key, index))
    count = len(index)
    steps, total = jnp.zeros(count, jnp.int32), jnp.zeros(count, jnp.float32)
    return Vectorised(state, observation, steps, total, index)


def advance(
    env: Environment, envs: Vectorised, action: jax.Array, fresh: tuple[Any, jax.Array] | None
) -> tuple[Vectorised, Transition]:
    """One step of every environment; those whose episode ends start anew.

    Args:
      env: the environment.
      envs: n of them.
      action: (n,) int32 or (n, action_size) float32.
      fresh: (state, observation) of n new starts, from ``jax.vmap(env.reset)``; None takes those
        that follow the last states, from ``env.again``.
    """
    state, observation, reward, terminated = jax.vmap(env.step)(envs.state, action)
    steps, total = envs.steps + 1, envs.total + reward
    truncated = steps >= env.max_steps
    if env.truncated:
        truncated |= jax.vmap(env.truncated)(state)
    truncated &= ~terminated
    if fresh is None:
        fresh = jax.vmap(env.again)(state)
    move = Transition(
        envs.observation, action, reward, observation, terminated, truncated, total, steps
    )
    renewed = lambda new, old: jnp.where(
        move.ended.reshape(-1, *[1] * (old.ndim - 1)), jnp.asarray(new, old.dtype), old
    )
    state, observation, steps, total = jax.tree.map(
        renewed,
        (*fresh, jnp.zeros_like(steps), jnp.zeros_like(total)),
        (state, observation, steps, total),
    )
    return Vectorised(state, observation, steps, total, envs.index), move


# (observations (n, observation_size), keys (n,)) -> n actions.
Act = Callable[[jax.Array, jax.Array], jax.Array]


def roll_out(
    env: Environment, act: Act, envs: Vectorised, key: jax.Array, steps: int
) -> tuple[Vectorised, Transition]:
    """So many steps of every environment.

    Args:
      env: the environment.
      act: what to do, by draws from a key an environment.
      envs: n of them.
      key: of all draws; each environment's are the same on any number of devices.
      steps: to take.

    Returns:
      (the environments after them, what happened in them with leaves (steps, n, …)).
    """
    of_actions, of_starts = draws.words(own_keys(keys.named(key, "environments"), envs.index), 2)
    of_steps = jax.random.bits(keys.named(key, "steps"), (steps, 2), jnp.uint32)
    apart = columns.split(env)

    def body(many: Vectorised, now: jax.Array) -> tuple[Vectorised, Transition]:
        action = act(columns.whole(many.observation), draws.keys(of_actions, now))
        drawn = env.again is None
        fresh = jax.vmap(apart.reset)(draws.keys(of_starts, now)) if drawn else None
        return advance(apart, many, action, fresh)

    end, moves = jax.lax.scan(body, columns.of(envs), of_steps)
    return columns.whole((end, moves))


Policy = Callable[[jax.Array], jax.Array]


class Played(NamedTuple):
    """Episodes from fresh starts, each to its end.

    Attributes:
      total: the sum of rewards of each, (episodes,) float32.
      steps: the length of each, (episodes,) int32.
      first: the states of the first, to look at, with an axis of max_steps + 1 in front, from the
        start on; those after ``steps[0]`` are of no meaning.
      cut: whether it was truncated, (episodes,) bool.
      reward: of each step, (max_steps, episodes) float32, of no meaning after an episode's steps.
      value: what was expected in front of each, of that shape; None where none is asked for.
    """

    total: jax.Array
    steps: jax.Array
    first: Any
    cut: jax.Array
    reward: jax.Array
    value: jax.Array | None = None


def play(
    env: Environment,
    policy: Policy,
    key: jax.Array,
    episodes: int,
    expects: Callable[[jax.Array], jax.Array] | None = None,
) -> Played:
    """So many episodes, all at once, until the last has ended.

    Args:
      env: the environment.
      policy: (n, observation_size) -> n actions.
      key: of the starts.
      episodes: how many.
      expects: observations (n, observation_size) -> values (n,), for `Played.value`.
    """
    envs = create(env, key, episodes)
    start = (envs.state, envs.observation)
    film = lambda x: jnp.zeros((env.max_steps + 1, *x.shape[1:]), x.dtype).at[0].set(x[0])

    def body(carry: tuple) -> tuple:
        i, envs, going, played = carry
        action = policy(envs.observation)
        state = jax.vmap(env.step)(envs.state, action)[0]
        # Where an episode has ended, the environment runs on from its start, unheeded. One whose
        # starts are dear stays at its last step, which it knows, and takes it again and again.
        back = start if env.again is None else (envs.state, envs.observation)
        value = played.value
        if expects is not None:
            value = value.at[i].set(expects(envs.observation))
        envs, move = advance(env, envs, action, back)
        played = Played(
            jnp.where(going, move.total, played.total),
            jnp.where(going, move.steps, played.steps),
            jax.tree.map(lambda seen, x: seen.at[i + 1].set(x[0]), played.first, state),
            jnp.where(going, move.truncated, played.cut),
            played.reward.at[i].set(move.reward),
            value,
        )
        return i + 1, envs, going & ~move.ended, played

    by_step = jnp.zeros((env.max_steps, episodes), jnp.float32)
    nothing = Played(
        jnp.zeros(episodes, jnp.float32),
        jnp.zeros(episodes, jnp.int32),
        jax.tree.map(film, envs.state),
        jnp.zeros(episodes, bool),
        by_step,
        None if expects is None else by_step,
    )
    carry = jnp.int32(0), envs, jnp.ones(episodes, bool), nothing
    return jax.lax.while_loop(lambda carry: carry[2].any(), body, carry)[3]
