"""A checksum of every array in a pytree, taken where the arrays are.

Orbax restores a checkpoint whose payload has a flipped byte without a word; these sums, written
beside it and compared after reading, find it.
"""

from typing import Any

import jax
import jax.numpy as jnp

from jaxdl.optim import leaf_names

_WORD = {1: jnp.uint8, 2: jnp.uint16, 4: jnp.uint32, 8: jnp.uint32}


def _words(x: jax.Array) -> jax.Array:
    """The bits of an array as one vector of uint32, an element (or half of one) a word."""
    if jnp.issubdtype(x.dtype, jax.dtypes.prng_key):
        x = jax.random.key_data(x)
    if x.dtype == jnp.bool_:
        x = x.astype(jnp.uint8)
    if jnp.issubdtype(x.dtype, jnp.complexfloating):
        x = jnp.stack([x.real, x.imag])
    return jax.lax.bitcast_convert_type(x, _WORD[x.dtype.itemsize]).astype(jnp.uint32).reshape(-1)


def _sum(x: jax.Array) -> jax.Array:
    """Σ (2i + 1) · mix(word_i) modulo 2³².

    Any change of one word changes it: mix is one to one and the weight is odd. Integer sums do not
    depend on their order, so the result is the same however the array is split over devices.
    """
    words = _words(x)
    mixed = (words ^ (words >> 16)) * jnp.uint32(0x9E3779B1)
    mixed = mixed ^ (mixed >> 15)
    place = jax.lax.iota(jnp.uint32, words.size)
    return jnp.sum((2 * place + 1) * mixed, dtype=jnp.uint32)


@jax.jit
def _sums(leaves: list[jax.Array]) -> jax.Array:
    return jnp.stack([_sum(leaf) for leaf in leaves])


def checksums(tree: Any) -> dict[str, int]:
    """{leaf name: sum} of a pytree of arrays, sharded or not; computed on their devices."""
    names = leaf_names(tree)
    if not names:
        return {}
    found = jax.device_get(_sums(jax.tree.leaves(tree)))
    return {name: int(value) for name, value in zip(names, found, strict=True)}


def damaged(tree: Any, expected: dict[str, int]) -> list[str]:
    """The names of leaves whose sum is not the expected one."""
    found = checksums(tree)
    return sorted(n for n in {*found, *expected} if found.get(n) != expected.get(n))
