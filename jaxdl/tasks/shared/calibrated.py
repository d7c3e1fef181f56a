"""A learner beside a few examples that it never learns from, by which its answers are adjusted.

They are part of the state, so that what is told of new examples needs none of the run's data.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl import parallel
from jaxdl.data import spread
from jaxdl.tasks.shared import inputs
from jaxdl.tasks.shared.contract import Run

# Examples that are kept, at most: thresholds and margins of more are hardly better, and a program
# that tells of images looks at all of them. Those that it looks at together.
MOST_ROWS, MOST_IMAGES, _AT_ONCE = 1024, 256, 64


class State(NamedTuple):
    """All that has to be kept.

    Attributes:
      learner: `jaxdl.tasks.learner.Learner`.
      units: arrays that lead from what the network tells to what is asked for, such as ``mean``.
      held: arrays of the validation part, by name, all of it or MOST_ROWS or MOST_IMAGES examples
        evenly spread, none where there is no such part; or, in their place, what they tell.
    """

    learner: Any
    units: Mapping[str, jax.Array]
    held: Mapping[str, jax.Array]


def held(run: Run, wanted: bool = True) -> dict[str, np.ndarray]:
    """What `State.held` is to be."""
    split = run.data.validation
    if split is None or not wanted:
        return {}
    most = MOST_ROWS if inputs.of_rows(run.data) else MOST_IMAGES
    return dict(split.take(spread.evenly(len(split), most)))


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


Known = Callable[[State], dict[str, jax.Array]]


def known(
    outputs_of: Callable[[Any, jax.Array], jax.Array],
    tell: Callable[[jax.Array, State], dict[str, jax.Array]],
    state: State,
) -> dict[str, jax.Array]:
    """What the held examples tell, {} of none; free to jit.

    Args:
      outputs_of: (learner, images or rows) -> (batch, outputs).
      tell: (outputs of all that are held, state) -> arrays.
      state: as it is kept.
    """
    if not state.held:
        return {}
    # They are constants of a program that is exported, which no compiler is to compute with.
    given = jax.lax.optimization_barrier(inputs.given(state.held))
    chunks = -(-len(given) // _AT_ONCE)
    more = jnp.repeat(given[-1:], chunks * _AT_ONCE - len(given), axis=0)
    filled = jnp.concatenate([given, more])
    parts = filled.reshape(chunks, _AT_ONCE, *given.shape[1:])
    found = jax.lax.map(lambda part: outputs_of(state.learner, part), parts)
    return tell(found.reshape(chunks * _AT_ONCE, -1)[: len(given)], state)


def ready(known_of: Known, state: State) -> State:
    """The state with what its examples tell in their place; free to jit."""
    return state._replace(held=known_of(state))


def ready_once(known_of: Known) -> Callable[[State], State]:
    """`ready`, compiled, for many batches."""
    compiled = functools.partial(ready, jax.jit(known_of))
    return functools.partial(parallel.with_mesh_of, compiled)


def predict(
    known_of: Known, predicted: Callable[[State, jax.Array], dict[str, jax.Array]]
) -> Callable[[State, jax.Array], dict[str, jax.Array]]:
    """`jaxdl.tasks.Task.predict` by what takes a state that is `ready`."""
    return lambda state, images: predicted(ready(known_of, state), images)


def answer(
    ready: Callable[[State], State], answered: Callable[[State, str, int], Any]
) -> Callable[[State, str, int], Any]:
    """`jaxdl.tasks.Task.answer` likewise; ``ready`` is of `ready_once`."""
    return lambda state, file, at_once: answered(ready(state), file, at_once)
