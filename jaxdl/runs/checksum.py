"""A checksum of every array in a pytree, taken where the arrays are: on devices, or on the host.

Orbax restores a checkpoint whose payload has a flipped byte without a word; these sums, written
beside it and compared after reading, find it.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl.trees import leaf_names

_WORD = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint32}


def _sum(x: jax.Array | np.ndarray) -> jax.Array | np.ndarray:
    """Σ (2i + 1) · mix(word_i) modulo 2³², over the bits of an array as uint32 words.

    An element, or half of one, is a word. Any change of one word changes the sum: mix is one to one
    and the weight is odd. Integer sums do not depend on their order, so the result is the same
    however the array is split over devices, and the same on the host.
    """
    xp = np if isinstance(x, np.ndarray) else jnp
    if x.dtype == bool:
        x = x.astype(np.uint8)
    if x.dtype.kind == "c":
        x = xp.stack([x.real, x.imag])
    words = x.reshape(-1).view(_WORD[x.dtype.itemsize]).astype(np.uint32)
    mixed = (words ^ (words >> np.uint32(16))) * np.uint32(0x9E3779B1)
    mixed = mixed ^ (mixed >> np.uint32(15))
    place = xp.arange(words.size, dtype=np.uint32)
    return xp.sum((np.uint32(2) * place + np.uint32(1)) * mixed, dtype=np.uint32)


def _data(x: jax.Array) -> jax.Array:
    """The numbers of an array of random keys; any other as it is."""
    return jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x


@jax.jit
def _sums(leaves: list[jax.Array]) -> jax.Array:
    return jnp.stack([_sum(_data(leaf)) for leaf in leaves])


def checksums(tree: Any) -> dict[str, int]:
    """{leaf name: sum} of a pytree of arrays, sharded or not; computed on their devices."""
    names = leaf_names(tree)
    if not names:
        return {}
    found = jax.device_get(_sums(jax.tree.leaves(tree)))
    return {name: int(value) for name, value in zip(names, found, strict=True)}


def checksums_on_host(tree: Any) -> dict[str, int]:
    """The same sums of a pytree of host arrays (and random keys), by NumPy: compiles nothing."""
    leaves = [_sum(np.asarray(_data(leaf))) for leaf in jax.tree.leaves(tree)]
    return {name: int(value) for name, value in zip(leaf_names(tree), leaves, strict=True)}


def damaged(tree: Any, expected: dict[str, int]) -> list[str]:
    """The names of leaves whose sum is not the expected one."""
    found = checksums(tree)
    return sorted(n for n in {*found, *expected} if found.get(n) != expected.get(n))
