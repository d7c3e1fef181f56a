"""Figures of every example of a split: one loop over its batches for all tasks."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from jaxdl import keys, parallel
from jaxdl.data import Split, padded_batches
from jaxdl.tasks.shared.contract import Batch, State

EachFn = Callable[[State, Batch, jax.Array], Any]


def over_split(
    fn: EachFn, split: Split, batch_size: int, state: State, key: jax.Array | None = None
) -> Any:
    """What ``fn`` makes of every example of ``split``, in order, on the host.

    A batch lies on the devices that ``state`` lies on, split over them as in training. One program
    does for all batches, and for later calls with the same ``fn``: make it once, in the factory.

    Args:
      fn: (state, batch, key) -> a pytree of arrays (batch, …), one row an example; free to jit.
        Rows of padding are left out behind it.
      split: the examples.
      batch_size: of them at a time, no more than there are, rounded up to what the devices divide.
      state: of the task, or a part of it.
      key: folded with each batch's number; None where ``fn`` draws nothing, which then gets a key
        that is always the same.

    Returns:
      The pytree, of arrays (len(split), …).
    """
    layout = parallel.layout_of(state)
    key = keys.root(0) if key is None else key
    size = min(batch_size, len(split))
    if layout is not None:
        size = -(-size // layout.batch_devices) * layout.batch_devices
    # A function that was wrapped before brings its program with it.
    wrapped = jax.jit(fn) if layout is None else jax.jit(fn, out_shardings=layout.replicated)
    found = []
    for i, load in enumerate(padded_batches(split, size)):
        own = jax.random.fold_in(key, i)
        if layout is None:
            found.append(jax.device_get(wrapped(state, load(), own)))
            continue
        batch = layout.put(load(layout.rows(size)), size)
        with jax.set_mesh(layout.mesh):  # as when the training step is traced
            found.append(jax.device_get(wrapped(state, batch, own)))
    return jax.tree.map(lambda *parts: np.concatenate(parts)[: len(split)], *found)
