"""Learners side by side that are alike but for their keys, and know nothing of each other.

They are one program, and all of them see the same: a graph, or what a picture is to show.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxdl.errors import UserError
from jaxdl.metrics import Metrics
from jaxdl.parallel import replicas
from jaxdl.tasks import learner
from jaxdl.tasks.shared.contract import Run


class State(NamedTuple):
    """Learners along the first axis of all but what is given.

    Attributes:
      learner: theirs.
      run: (learners,) int32, which of them each is.
      known: what each knows by itself.
      given: what all do.
    """

    learner: learner.Learner
    run: jax.Array
    known: Any
    given: Any


def check_no_parts(run: Run, because: str) -> None:
    """Raises UserError if a batch is to be cut into parts, which is not possible ``because``."""
    if (parts := run.config.accumulate) > 1:
        raise UserError(f"config.accumulate={parts} must be 1: {because}")


def check_no_weights(run: Run) -> None:
    """Raises UserError if the edges of the run's graph have weights."""
    if run.data.whole.weights is not None:
        raise UserError(
            f"data.weighted=True must be False: task {run.config.task.name!r} has no use for "
            "weights of edges"
        )


def init(
    start: Callable[[jax.Array], learner.Learner],
    count: int,
    known: Any,
    given: Any,
    key: jax.Array,
) -> State:
    """``count`` learners, each of what ``start`` makes of a key of its own."""
    runs = jnp.arange(count, dtype=jnp.int32)
    return State(jax.vmap(start)(each_key(key, runs)), runs, known, given)


def train_step(
    update: Callable[..., tuple[learner.Learner, Metrics]],
    state: State,
    batch: Any,
    key: jax.Array,
) -> tuple[State, Metrics]:
    """An update of every learner, by a batch of ``known`` and ``given``; ``batch`` is empty.

    Args:
      update: of `jaxdl.tasks.learner.by_config`.
      state: of all.
      batch: nothing.
      key: of the step.
    """
    one = lambda own, known, key: update(own, {"known": known, "given": state.given}, key)
    learners, found = update_each(one, state.learner, state.known, state.run, key)
    return state._replace(learner=learners), found


def update_each(
    update: Callable[[learner.Learner, Any, jax.Array], tuple[learner.Learner, Metrics]],
    learners: learner.Learner,
    known: Any,
    runs: jax.Array,
    key: jax.Array,
) -> tuple[learner.Learner, Metrics]:
    """All learners behind an update, and what it tells of all of them together.

    Args:
      update: (learner, what it knows, key) -> the learner and its metrics.
      learners: along the first axis.
      known: so too.
      runs: (learners,), which of them each is.
      key: of the step.
    """
    with replicas.apart():
        learners, found = jax.vmap(update)(learners, known, each_key(key, runs))
    found = jax.tree.map(lambda x: x.sum(axis=0), found)
    return learners, replicas.total(found)


def each_key(key: jax.Array, runs: jax.Array) -> jax.Array:
    """A key for each of the learners (n,)."""
    return jax.vmap(lambda i: jax.random.fold_in(key, i))(runs)


def partition(state: State) -> State:
    """`Task.partition`: learners are split, and what all of them have is not."""
    return alike(state, "given")


def alike(state: Any, *names: str) -> Any:
    """The tree of `Task.partition` for a state, a named tuple: all but ``names`` is split."""
    split = jax.tree.map(lambda leaf: True, state)
    alone = lambda tree: jax.tree.map(lambda leaf: False, tree)
    return split._replace(**{name: alone(getattr(state, name)) for name in names})
