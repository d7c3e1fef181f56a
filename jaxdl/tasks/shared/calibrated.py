"""A learner beside a few examples that it never learns from, by which its answers are adjusted.

They are part of the state, so that what is told of new examples needs none of the run's data.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl.data import spread
from jaxdl.tasks.shared.contract import Run

# Examples that are kept, at most: thresholds and margins of more are hardly better.
MOST = 1024


class State(NamedTuple):
    """All that has to be kept.

    Attributes:
      learner: `jaxdl.tasks.learner.Learner`.
      units: arrays that lead from what the network tells to what is asked for, such as ``mean``.
      held: arrays of the validation part, by name, all of it or 1024 examples evenly spread; none
        where there is no such part.
    """

    learner: Any
    units: Mapping[str, jax.Array]
    held: Mapping[str, jax.Array]


def held(run: Run, wanted: bool = True) -> dict[str, np.ndarray]:
    """What `State.held` is to be."""
    split = run.data.validation
    if split is None or not wanted:
        return {}
    return dict(split.take(spread.evenly(len(split), MOST)))


def init(
    start: Callable[[jax.Array, Mapping], Any],
    units: Mapping[str, np.ndarray],
    held: Mapping[str, np.ndarray],
    key: jax.Array,
    batch: Mapping,
) -> State:
    """The state at its start; ``start`` makes the learner."""
    own = lambda arrays: {name: jnp.asarray(array) for name, array in arrays.items()}
    return State(start(key, batch), own(units), own(held))


def train_step(
    update: Callable[..., tuple[Any, Any]], state: State, batch: Mapping, key: jax.Array
) -> tuple[State, Any]:
    """An update of the learner; the rest stays."""
    learner, found = update(state.learner, batch, key)
    return state._replace(learner=learner), found
