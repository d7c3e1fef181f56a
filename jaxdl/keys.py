"""Random keys: one root that never changes; everything else is folded in from it."""

import zlib
from collections.abc import Sequence

import jax
import jax.numpy as jnp


def root(seed: int | Sequence[int]) -> jax.Array:
    """The typed key that a run's every draw comes from; of several seeds an array of them."""
    return jax.random.key(seed) if isinstance(seed, int) else jnp.stack([*map(root, seed)])


def abstract() -> jax.ShapeDtypeStruct:
    """A key's shape and dtype, for `jax.eval_shape` of what draws; nothing is computed."""
    return jax.eval_shape(lambda: root(0))


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
