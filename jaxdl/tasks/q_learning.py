"""Tabular Q-learning: thousands of learners, each in a world of its own."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl.control import tabular as exact
from jaxdl.envs import tabular
from jaxdl.metrics import LOW, Mean, Metrics
from jaxdl.optim import schedules
from jaxdl.parallel import replicas
from jaxdl.report import draw
from jaxdl.tasks import Run, Task, check_counts, check_shares, need_whole, register


class State(NamedTuple):
    """The learners, along the first axis of every leaf but the last.

    Attributes:
      q: (learners, states, actions) float32, what each takes actions to be worth.
      place: (learners,) int32, where each is.
      steps: (learners,) int32, in its episode.
      gained: (learners,) float32, in its episode.
      run: (learners,) int32, which of them each is.
      updates: int32, made so far.
    """

    q: jax.Array
    place: jax.Array
    steps: jax.Array
    gained: jax.Array
    run: jax.Array
    updates: jax.Array


@register("q_learning", groups=())
def q_learning(
    run: Run,
    env: str = "frozen_lake",
    transitions: int = 100,
    discount: float = 0.99,
    epsilon: float = 0.2,
    last_epsilon: float = 0.1,
    first_value: float = 0.0,
) -> Task:
    """``q(s, a) += α (r + γ max q(s', ·) - q(s, a))`` (Watkins, 1989), actions ε-greedy.

    No data and no model: the table is all that is learned. α is the optimizer's learning rate with
    its schedule; ``batch_size`` is the number of learners.

    Args:
      run: the run's config.
      env: a name in `jaxdl.envs.tabular`.
      transitions: of each learner in an update.
      discount: γ in [0, 1].
      epsilon: share of random actions at first, in [0, 1].
      last_epsilon: at the end of the run; linear between.
      first_value: of every action before anything is known; a high one makes learners curious.

    The metrics are ``loss``, the mean squared error of what actions were taken to be worth, and
    ``episode_return`` of the episodes that ended in the meantime. The figures of evaluation are
    exact, by the world's table: ``mean_return`` of the greedy policies from start to time limit,
    undiscounted; ``optimum`` the same of value iteration's policy at this discount; and
    ``distance_to_optimum``, how far the one is below the other, as a share of its size.
    """
    need_whole(run, type(None))
    check_shares(discount=discount, epsilon=epsilon, last_epsilon=last_epsilon)
    check_counts(transitions=transitions)
    count, world = run.config.batch_size, tabular.create(env)
    schedule = schedules.create(run.config.optimizer, steps=run.steps)
    table = jax.tree.map(jnp.asarray, world._replace(max_steps=0, glyphs=(), grids=()))
    worlds = Worlds(
        table, jnp.cumsum(table.start), jnp.cumsum(table.probability, axis=-1), world.max_steps
    )
    exploration = lambda part: epsilon + (last_epsilon - epsilon) * part
    returns = jax.jit(functools.partial(_returns, world))
    # The same at every evaluation.
    optimum = functools.cache(
        lambda: float(returns(exact.value_iteration(world, discount)[None])[0])
    )
    return Task(
        init=functools.partial(_init, worlds, count, first_value),
        train_step=functools.partial(
            train_step, worlds, schedule, exploration, run.steps, discount, transitions
        ),
        score=functools.partial(_score, returns, optimum),
        artifacts=functools.partial(_artifacts, world),
        parameters=lambda state: {"q": state.q},
        partition=lambda state: State(True, True, True, True, True, False),
        directions={"distance_to_optimum": LOW},
        examples=count * transitions,
    )


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


def _pick(cumulated: jax.Array, u: jax.Array) -> jax.Array:
    """The index that u (…, 1), uniform in [0, 1), falls on among weights added up (…, n).

    One of weight 0 is never taken: neither by u = 0, nor where rounding has them add up to below 1.
    """
    return (cumulated <= u * cumulated[..., -1:]).sum(-1)


def _init(worlds: Worlds, count: int, first_value: float, key: jax.Array, batch: Any) -> State:
    q = jnp.full((count, *worlds.table.reward.shape[:2]), first_value, jnp.float32)
    place = _pick(worlds.starts[None], jax.random.uniform(key, (count, 1), jnp.float32))
    zeros = jnp.zeros(count, jnp.int32)
    return State(
        q,
        place.astype(jnp.int32),
        zeros,
        jnp.zeros(count, jnp.float32),
        jnp.arange(count, dtype=jnp.int32),
        jnp.int32(0),
    )


def transition(
    worlds: Worlds,
    discount: float,
    own: State,
    key: jax.Array,
    rate: jax.Array,
    eps: jax.Array,
) -> tuple[State, tuple[jax.Array, jax.Array, jax.Array]]:
    """One transition of one learner.

    Args:
      worlds: where it is.
      discount: γ.
      own: of one learner; its leaves have no first axis.
      key: of this transition.
      rate: α.
      eps: share of random actions.

    Returns:
      The learner, and the squared error, whether the episode is over, and its return if it is.
    """
    table = worlds.table
    explore, which, outcome, again = jax.random.uniform(key, (4,), jnp.float32)
    values = own.q[own.place]
    # A random one of the best: among equals the first would be tried for ever.
    best = values == values.max()
    best = _pick(jnp.cumsum(best).astype(jnp.float32), which)
    action = jnp.where(explore < eps, (which * values.size).astype(jnp.int32), best)
    i = _pick(worlds.likely[own.place, action], outcome)
    after, reward, done = (
        x[own.place, action, i] for x in (table.next_state, table.reward, table.terminal)
    )
    goal = reward + discount * jnp.where(done, 0.0, own.q[after].max())
    error = goal - values[action]
    gained, steps = own.gained + reward, own.steps + 1
    over = done | (steps >= worlds.max_steps)
    own = own._replace(
        q=own.q.at[own.place, action].add(rate * error),
        place=jnp.where(over, _pick(worlds.starts, again), after).astype(jnp.int32),
        steps=jnp.where(over, 0, steps),
        gained=jnp.where(over, 0.0, gained),
    )
    return own, (jnp.square(error), over, jnp.where(over, gained, 0.0))


def train_step(
    worlds: Worlds,
    schedule: Callable[[jax.Array], jax.Array],
    exploration: Callable[[jax.Array], jax.Array],
    updates: int,
    discount: float,
    transitions: int,
    state: State,
    batch: Any,
    key: jax.Array,
) -> tuple[State, Metrics]:
    """So many transitions of every learner.

    Args:
      worlds: where they are.
      schedule: update -> α.
      exploration: share of the run that is over -> ε.
      updates: in the whole run.
      discount: γ.
      transitions: of each learner.
      state: of all; batch is empty.
      batch: nothing.
      key: of the update.
    """
    rate, eps = schedule(state.updates), exploration(state.updates / updates)
    axes = State(0, 0, 0, 0, 0, None)
    act = functools.partial(transition, worlds, discount)

    def turn(state: State, i: jax.Array) -> tuple[State, Any]:
        one = jax.random.fold_in(key, i)
        keys = jax.vmap(lambda r: jax.random.fold_in(one, r))(state.run)
        step = jax.vmap(act, in_axes=(axes, 0, None, None), out_axes=(axes, 0))
        return step(state, keys, rate, eps)

    state, (error, over, gained) = jax.lax.scan(turn, state, jnp.arange(transitions))
    found = {
        "loss": Mean.of(error.ravel()),
        "episode_return": Mean(gained.sum(), over.sum().astype(jnp.float32)),
    }
    found = replicas.total(found)
    found |= {"learning_rate": Mean.once(rate), "epsilon": Mean.once(eps)}
    return state._replace(updates=state.updates + 1), found


def _returns(world: Any, q: jax.Array) -> jax.Array:
    """The exact return of each table's (n, states, actions) greedy policy, (n,)."""
    return jax.vmap(lambda q: exact.expected_return(world, q.argmax(axis=-1)))(q)


def _score(
    returns: Callable[[jax.Array], jax.Array],
    optimum: Callable[[], float],
    state: State,
    split: Any,
    key: jax.Array,
) -> dict[str, float]:
    mean, best = float(returns(state.q).mean()), optimum()
    return {
        "mean_return": mean,
        "optimum": best,
        "distance_to_optimum": (best - mean) / max(abs(best), 1e-9),
    }


def _artifacts(world: Any, state: State, split: Any, key: jax.Array) -> dict[str, Any]:
    q = np.asarray(state.q[0])
    return {
        f"Policy: {grid.title}": draw.policy(
            q.max(axis=-1)[grid.states],
            np.array(world.glyphs, object)[q.argmax(axis=-1)][grid.states],
            grid.marks,
        )
        for grid in world.grids
    }
