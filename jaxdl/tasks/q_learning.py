"""Tabular Q-learning and SARSA: thousands of learners, each in a world of its own."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl.control import tabular as exact
from jaxdl.control.policies import epsilon_greedy
from jaxdl.control.temporal_difference import (
    TARGETS,
    Next,
    State,
    Worlds,
    pick,
    transition,
)
from jaxdl.envs import tabular
from jaxdl.metrics import LOW, Mean, Metrics
from jaxdl.optim import schedules
from jaxdl.parallel import replicas
from jaxdl.registry import choose
from jaxdl.report import draw
from jaxdl.tasks import Run, Task, check_counts, check_shares, need_whole, register


@register("q_learning", groups=())
def q_learning(
    run: Run,
    env: str = "frozen_lake",
    transitions: int = 100,
    discount: float = 0.99,
    epsilon: float = 0.2,
    last_epsilon: float = 0.1,
    first_value: float = 0.0,
    target: str = "max",
) -> Task:
    """``q(s, a) += α (r + γ q(s', ·) - q(s, a))``, actions ε-greedy; which of q(s', ·): ``target``.

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
      target: "max" is Q-learning (Watkins, 1989), by the best of q(s', ·), whatever is done then;
        "sampled" SARSA (Rummery and Niranjan, 1994), by the action that is taken next; "expected"
        its mean over the ε-greedy policy (van Seijen et al., 2009). The latter two learn what
        actions are worth while ε of them are random. Where the clock ends an episode, s' counts as
        it is estimated.

    The metrics are ``loss``, the mean squared error of what actions were taken to be worth, and
    ``episode_return`` of the episodes that ended in the meantime. The figures of evaluation are
    exact, by the world's table: ``mean_return`` of the greedy policies from start to time limit,
    undiscounted; ``optimum`` the same of value iteration's policy at this discount; and
    ``distance_to_optimum``, how far the one is below the other, as a share of its size; and
    ``exploring_value`` of the ε-greedy policies with ε as it is now, at this discount and without a
    time limit, which is no number where episodes need never end and nothing is discounted.
    """
    need_whole(run, type(None))
    check_shares(discount=discount, epsilon=epsilon, last_epsilon=last_epsilon)
    check_counts(transitions=transitions)
    following = choose("target in config.task.target", target, TARGETS)
    count, world = run.config.batch_size, tabular.create(env)
    schedule = schedules.create(run.config.optimizer, steps=run.steps)
    table = jax.tree.map(jnp.asarray, world._replace(max_steps=0, glyphs=(), grids=()))
    worlds = Worlds(
        table, jnp.cumsum(table.start), jnp.cumsum(table.probability, axis=-1), world.max_steps
    )
    exploring = lambda updates: epsilon + (last_epsilon - epsilon) * (updates / run.steps)
    returns = jax.jit(functools.partial(_returns, world))
    # The same at every evaluation.
    optimum = functools.cache(
        lambda: float(returns(exact.value_iteration(world, discount)[None])[0])
    )
    return Task(
        init=functools.partial(_init, worlds, count, first_value, target == "sampled"),
        train_step=functools.partial(
            train_step, worlds, schedule, exploring, discount, following, transitions
        ),
        score=functools.partial(_score, world, returns, optimum, exploring, discount),
        artifacts=functools.partial(_artifacts, world),
        parameters=lambda state: {"q": state.q},
        partition=_partition,
        directions={"distance_to_optimum": LOW},
        examples=count * transitions,
    )


def _init(
    worlds: Worlds, count: int, first_value: float, ahead: bool, key: jax.Array, batch: Any
) -> State:
    q = jnp.full((count, *worlds.table.reward.shape[:2]), first_value, jnp.float32)
    place = pick(worlds.starts[None], jax.random.uniform(key, (count, 1), jnp.float32))
    zeros = jnp.zeros(count, jnp.int32)
    return State(
        q,
        place.astype(jnp.int32),
        zeros,
        jnp.zeros(count, jnp.float32),
        jnp.arange(count, dtype=jnp.int32),
        jnp.int32(0),
        jnp.full(count, -1, jnp.int32) if ahead else None,
    )


def train_step(
    worlds: Worlds,
    schedule: Callable[[jax.Array], jax.Array],
    exploring: Callable[[jax.Array], jax.Array],
    discount: float,
    following: Callable[[Next], jax.Array],
    transitions: int,
    state: State,
    batch: Any,
    key: jax.Array,
) -> tuple[State, Metrics]:
    """So many transitions of every learner.

    Args:
      worlds: where they are.
      schedule: update -> α.
      exploring: update -> ε.
      discount: γ.
      following: of TARGETS.
      transitions: of each learner.
      state: of all; batch is empty.
      batch: nothing.
      key: of the update.
    """
    rate, eps = schedule(state.updates), exploring(state.updates)
    axes = State(0, 0, 0, 0, 0, None, None if state.action is None else 0)
    act = functools.partial(transition, worlds, discount, following)

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
    world: Any,
    returns: Callable[[jax.Array], jax.Array],
    optimum: Callable[[], float],
    exploring: Callable[[jax.Array], float],
    discount: float,
    state: State,
    split: Any,
    key: jax.Array,
) -> dict[str, float]:
    mean, best = float(returns(state.q).mean()), optimum()
    policies = epsilon_greedy(np.asarray(state.q, np.float64), float(exploring(state.updates)))
    values = [exact.policy_values(world, policy, discount) for policy in policies]
    return {
        "exploring_value": float(np.mean(values @ world.start)),
        "mean_return": mean,
        "optimum": best,
        "distance_to_optimum": (best - mean) / max(abs(best), 1e-9),
    }


def _partition(state: State) -> State:
    return jax.tree.map(lambda leaf: True, state)._replace(updates=False)


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
