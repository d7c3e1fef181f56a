"""What a step does across devices when it is written for one of them.

Under `jit` a step is written for the global batch, and the compiler does the rest. Under `pmap` it
sees its own device's part of the batch: sums over examples must then be added over devices. Code
that adds asks here, so that it is the same code in both.
"""

import contextlib
import contextvars
from collections.abc import Iterator
from typing import Any

import jax

_axis: contextvars.ContextVar[str | None] = contextvars.ContextVar("replica_axis", default=None)


@contextlib.contextmanager
def mapped_over(name: str | None) -> Iterator[None]:
    """While tracing inside, the code is one device's part of a `pmap` over the axis ``name``."""
    token = _axis.set(name)
    try:
        yield
    finally:
        _axis.reset(token)


def apart() -> contextlib.AbstractContextManager[None]:
    """While tracing inside, nothing is added over devices: what they do is not one learner's."""
    return mapped_over(None)


def axis() -> str | None:
    """The name of the mapped axis, None outside of one; batch statistics average over it."""
    return _axis.get()


def total(tree: Any) -> Any:
    """The sum of each leaf over all devices; the tree itself where there is nothing to add."""
    return tree if axis() is None else jax.lax.psum(tree, axis())


def mean(tree: Any) -> Any:
    """The mean of each leaf over all devices."""
    return tree if axis() is None else jax.lax.pmean(tree, axis())


def largest(tree: Any) -> Any:
    """The largest of each leaf's numbers over all devices."""
    return tree if axis() is None else jax.lax.pmax(tree, axis())


def count() -> int:
    """The devices that `total` adds over."""
    return 1 if axis() is None else jax.lax.axis_size(axis())


def own(key: jax.Array) -> jax.Array:
    """A key of this device's own, for draws that are made an example."""
    return key if axis() is None else jax.random.fold_in(key, jax.lax.axis_index(axis()))


def gathered(tree: Any) -> Any:
    """Each leaf's rows of all devices, one device's after another's; a derivative goes back."""
    join = lambda x: jax.lax.all_gather(x, axis(), tiled=True)
    return tree if axis() is None else jax.tree.map(join, tree)


def own_rows(tree: Any, count: int) -> Any:
    """Of leaves in the order of `gathered` the ``count`` rows that are this device's own."""
    if axis() is None:
        return tree
    start = jax.lax.axis_index(axis()) * count
    return jax.tree.map(lambda x: jax.lax.dynamic_slice_in_dim(x, start, count), tree)
