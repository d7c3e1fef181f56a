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
    fn: EachFn,
    split: Split,
    batch_size: int,
    state: State,
    key: jax.Array | None = None,
    *,
    after: Callable[[int], None] = lambda done: None,
) -> Any:
    """What ``fn`` makes of every example of ``split``, in order, on the host.

    A batch lies on the devices that ``state`` lies on, split over them as in training. One program
    does for all batches of one shape, and for later calls with the same ``fn``: make it once, in
    the factory.

    Args:
      fn: (state, batch, key) -> a pytree of arrays (batch, …), one row an example; free to jit.
        Rows of padding are left out behind it. Of a split that has ``length_groups`` the arrays
        must be of the same shape for batches of any length.
      split: the examples.
      batch_size: of them at a time, no more than there are, rounded up to what the devices divide.
      state: of the task, or a part of it.
      key: folded with each batch's number; None where ``fn`` draws nothing, which then gets a key
        that is always the same.
      after: called behind each batch with the number of examples that are done.

    Returns:
      The pytree, of arrays (len(split), …).
    """
    layout = parallel.layout_of(state)
    key = keys.root(0) if key is None else key
    devices = 1 if layout is None else layout.batch_devices
    size = -(-min(batch_size, len(split)) // devices) * devices
    # A function that was wrapped before brings its program with it.
    wrapped = jax.jit(fn) if layout is None else jax.jit(fn, out_shardings=layout.replicated)
    found, batches, done = [], padded_batches(split, size, devices), 0
    for i, load in enumerate(batches):
        own = jax.random.fold_in(key, i)
        if layout is None:
            made = jax.device_get(wrapped(state, load(), own))
        else:
            batch = layout.put(load(layout.rows(load.size)), load.size)
            with jax.set_mesh(layout.mesh):  # as when the training step is traced
                made = jax.device_get(wrapped(state, batch, own))
        found.append(jax.tree.map(lambda x, load=load: x[: len(load.indices)], made))
        done += len(load.indices)
        after(done)
    back = np.argsort(np.concatenate([load.indices for load in batches]))
    return jax.tree.map(lambda *parts: np.concatenate(parts)[back], *found)
