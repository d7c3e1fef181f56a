"""Random keys: one root that never changes; everything else is folded in from it."""

import zlib

import jax


def root(seed: int) -> jax.Array:
    """The typed key that a run's every draw comes from."""
    return jax.random.key(seed)


def named(key: jax.Array, name: str) -> jax.Array:
    """An independent stream: the same for the same name, in any order of asking."""
    return jax.random.fold_in(key, zlib.crc32(name.encode()))


def at_step(key: jax.Array, step: jax.Array | int) -> jax.Array:
    """The key of one step; ``step`` is an integer below 2³², traced or not."""
    return jax.random.fold_in(key, step)
