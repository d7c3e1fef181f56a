"""One step of a learner that keeps a table: what it does, and what it takes that to be worth."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxdl.control.policies import epsilon_greedy


class State(NamedTuple):
    """The learners, along the first axis of every leaf but ``updates``.

    Attributes:
      q: (learners, states, actions) float32, what each takes actions to be worth.
      place: (learners,) int32, where each is.
      steps: (learners,) int32, in its episode.
      gained: (learners,) float32, in its episode.
      run: (learners,) int32, which of them each is.
      updates: int32, made so far.
      action: (learners,) int32, what each has chosen to do next, or -1 where that is yet to be
        done; None where nothing is chosen ahead.
    """

    q: jax.Array
    place: jax.Array
    steps: jax.Array
    gained: jax.Array
    run: jax.Array
    updates: jax.Array
    action: jax.Array | None = None


class Worlds(NamedTuple):
    """A world's tables on the devices.

    Attributes:
      table: `jaxdl.envs.tabular.World` of arrays.
      starts: (states,), its start's probabilities, added up.
      likely: (states, actions, outcomes), its transitions', added up.
      max_steps: of an episode.
    """

    table: Any
    starts: jax.Array
    likely: jax.Array
    max_steps: int


def pick(cumulated: jax.Array, u: jax.Array) -> jax.Array:
    """The index that u (…, 1), uniform in [0, 1), falls on among weights added up (…, n).

    One of weight 0 is never taken: neither by u = 0, nor where rounding has them add up to below 1.
    """
    return (cumulated <= u * cumulated[..., -1:]).sum(-1)


class Next(NamedTuple):
    """What a target is made of.

    Attributes:
      values: (actions,), what those after the step are taken to be worth.
      eps: share of random actions.
      action: int32, what is done there; of no meaning where nothing is chosen ahead.
    """

    values: jax.Array
    eps: jax.Array
    action: jax.Array


# By name, what is taken to follow a step.
TARGETS: dict[str, Callable[[Next], jax.Array]] = {
    "max": lambda at: at.values.max(),
    "sampled": lambda at: at.values[at.action],
    "expected": lambda at: (epsilon_greedy(at.values, at.eps) * at.values).sum(),
}


def _choose(values: jax.Array, eps: jax.Array, explore: jax.Array, which: jax.Array) -> jax.Array:
    """An action of all (actions,) by two draws from [0, 1): at random, or one of the best."""
    # A random one of the best: among equals the first would be tried for ever.
    best = values == values.max()
    best = pick(jnp.cumsum(best).astype(jnp.float32), which)
    return jnp.where(explore < eps, (which * values.size).astype(jnp.int32), best)


def transition(
    worlds: Worlds,
    discount: float,
    following: Callable[[Next], jax.Array],
    own: State,
    key: jax.Array,
    rate: jax.Array,
    eps: jax.Array,
) -> tuple[State, tuple[jax.Array, jax.Array, jax.Array]]:
    """One transition of one learner.

    Args:
      worlds: where it is.
      discount: γ.
      following: of TARGETS.
      own: of one learner; its leaves have no first axis.
      key: of this transition.
      rate: α.
      eps: share of random actions.

    Returns:
      The learner, and the squared error, whether the episode is over, and its return if it is.
    """
    table = worlds.table
    ahead = own.action is not None
    explore, which, outcome, again, *more = jax.random.uniform(
        key, (6 if ahead else 4,), jnp.float32
    )
    values = own.q[own.place]
    action = _choose(values, eps, explore, which)
    if ahead:
        action = jnp.where(own.action < 0, action, own.action)
    i = pick(worlds.likely[own.place, action], outcome)
    after, reward, done = (
        x[own.place, action, i] for x in (table.next_state, table.reward, table.terminal)
    )
    then = _choose(own.q[after], eps, *more) if ahead else action
    later = following(Next(own.q[after], eps, then))
    goal = reward + discount * jnp.where(done, 0.0, later)
    error = goal - values[action]
    gained, steps = own.gained + reward, own.steps + 1
    over = done | (steps >= worlds.max_steps)
    own = own._replace(
        q=own.q.at[own.place, action].add(rate * error),
        place=jnp.where(over, pick(worlds.starts, again), after).astype(jnp.int32),
        steps=jnp.where(over, 0, steps),
        gained=jnp.where(over, 0.0, gained),
        action=jnp.where(over, -1, then).astype(jnp.int32) if ahead else None,
    )
    return own, (jnp.square(error), over, jnp.where(over, gained, 0.0))
