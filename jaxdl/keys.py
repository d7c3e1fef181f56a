"""Random keys: one root that never changes; everything else is folded in from it."""

import functools
import zlib
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl.threefry import THREEFRY


def root(seed: int | Sequence[int]) -> jax.Array:
    """The typed key that a run's every draw comes from; of several seeds an array of them.

    It draws what ``jax.random.key(seed)`` draws, from programs that compile faster.
    """
    if isinstance(seed, int):
        # The words that it makes of a seed, without the six programs that it runs for them.
        bits = int(np.int64(seed))
        high = bits >> 32 if jax.config.jax_enable_x64 else 0
        return of_words(np.array([high & 0xFFFFFFFF, bits & 0xFFFFFFFF], np.uint32))
    if np.ndim(seed) == 0:
        return jax.random.key(seed, impl=THREEFRY)
    return jnp.stack([*map(root, seed)])


@functools.cache
def abstract() -> jax.ShapeDtypeStruct:
    """A key's shape and dtype, for `jax.eval_shape` of what draws; nothing is computed."""
    return jax.eval_shape(lambda: root(0))


def is_own(x: Any) -> bool:
    """Whether an array, or its shape and dtype, is of keys that come from `root`."""
    return x.dtype == abstract().dtype


def words(x: Any) -> Any:
    """Keys as what they are made of, uint32 with an axis of two more; anything else as it is.

    For what stores arrays and knows no keys of ours. ``x``: an array, or a `jax.ShapeDtypeStruct`.
    """
    if not is_own(x):
        return x
    if isinstance(x, jax.ShapeDtypeStruct):
        return jax.ShapeDtypeStruct((*x.shape, 2), jnp.uint32, sharding=x.sharding)
    return jax.random.key_data(x)


def of_words(x: jax.Array) -> jax.Array:
    """The keys that were made into such words."""
    return jax.random.wrap_key_data(x, impl=THREEFRY)


def named(key: jax.Array, name: str) -> jax.Array:
    """An independent stream: the same for the same name, in any order of asking."""
    return _folded(key, zlib.crc32(name.encode()))


def at_step(key: jax.Array, step: jax.Array | int) -> jax.Array:
    """The key of one step; ``step`` is an integer below 2³², traced or not."""
    return _folded(key, step)


def _folded(key: jax.Array, number: jax.Array | int) -> jax.Array:
    """Of a key, or of each of an array, with a number for all or one for each."""
    if not key.ndim:
        return jax.random.fold_in(key, number)
    numbers = jnp.broadcast_to(jnp.asarray(number, jnp.uint32), key.shape)
    return jax.vmap(jax.random.fold_in)(key, numbers)
