"""Random keys whose draws take a CPU half the time or less, to compile and run: bit for bit JAX's.

JAX's Threefry is, on a CPU alone, a loop of five passes over memory that is compiled anew wherever
a program draws; here it is one elementwise expression everywhere, as JAX's is on accelerators. It
is fused into whatever uses the bits. The bits are those that JAX gives by default, which is with
``jax_threefry_partitionable``; `benchmarks.keys` has the figures.

Only draws are fused. Words of a key that another was folded or split into end in a barrier, or each
user of that key would compute all of its ancestry anew, and compile it: twenty rounds a generation
twice over, which multiply. By jax 0.12 the parameters of an LSTM did not compile in ten minutes so;
with the barrier in 2 s. By 0.10, whose compiler shared the words itself, they compiled without it.
"""

import functools
import math

import jax
import jax.numpy as jnp
from jax import lax
from jax.extend.random import define_prng_impl

_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_PARITY = 0x1BD11BDA


def place(shape: tuple[int, ...]) -> jax.Array:
    """The place of each element in row-major order, modulo 2³²: uint32 of ``shape``.

    Built of an iota an axis, it needs no reshape, which would move data where an axis is split
    over devices.
    """
    total, stride = jnp.zeros(shape, jnp.uint32), 1
    for axis in reversed(range(len(shape))):
        total += lax.broadcasted_iota(jnp.uint32, shape, axis) * jnp.uint32(stride % 2**32)
        stride *= shape[axis]
    return total


# A function of its own, so that it is traced and lowered twice, not five times, for a shape.
@functools.partial(jax.jit, static_argnums=2)
def _rounds(a: jax.Array, b: jax.Array, rotations: tuple[int, ...]) -> tuple[jax.Array, jax.Array]:
    for bits in rotations:
        a = a + b
        b = a ^ (b << jnp.uint32(bits) | b >> jnp.uint32(32 - bits))
    return a, b


def _threefry(key: jax.Array, high: jax.Array, low: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Threefry-2x32 of 20 rounds (Salmon et al., 2011).

    Args:
      key: (2,) uint32.
      high: uint32 words of the counters.
      low: the others, of the same shape.

    Returns:
      Two uint32 words a counter.
    """
    words = key[0], key[1], key[0] ^ key[1] ^ jnp.uint32(_PARITY)
    a, b = high + words[0], low + words[1]
    for four in range(5):
        a, b = _rounds(a, b, _ROTATIONS[four % 2])
        a, b = a + words[(four + 1) % 3], b + words[(four + 2) % 3] + jnp.uint32(four + 1)
    return a, b


@functools.partial(jax.jit, static_argnums=1)
def _of_places(key: jax.Array, shape: tuple[int, ...]) -> tuple[jax.Array, jax.Array]:
    return _threefry(key, jnp.zeros(shape, jnp.uint32), place(shape))


def _bits(key: jax.Array, width: int, shape: tuple[int, ...]) -> jax.Array:
    if math.prod(shape) > 2**32:  # the places have other words than 0 in front
        key = jax.random.wrap_key_data(key, impl="threefry2x32")
        return jax.random.bits(key, shape, f"uint{width}")
    high, low = _of_places(key, shape)
    if width == 64:
        return high.astype(jnp.uint64) << 32 | low
    return (high ^ low).astype(f"uint{width}")


def blocks(words: jax.Array, first: jax.Array, size: int) -> jax.Array:
    """Parts of what several keys draw, a row each.

    Args:
      words: (n, 2) uint32, of each row's key, whose draw has fewer than 2³² elements.
      first: (n,) uint32, the place in the draw of each row's first element.
      size: elements of a row.

    Returns:
      (n, size) uint32, of `jax.random.bits` by each key the elements from ``first`` on, counted in
      row-major order.
    """
    low = first[:, None] + lax.broadcasted_iota(jnp.uint32, (len(first), size), 1)
    high, low = _threefry(words.T[..., None], jnp.zeros(low.shape, jnp.uint32), low)
    return high ^ low


def _split(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    return lax.optimization_barrier(jnp.stack(_of_places(key, shape), axis=-1))


@jax.jit
def _fold_in(key: jax.Array, data: jax.Array) -> jax.Array:
    words = _threefry(key, jnp.uint32(0), jnp.asarray(data, jnp.uint32))
    return lax.optimization_barrier(jnp.stack(words))


def _seed(seed: jax.Array) -> jax.Array:
    words = lax.shift_right_logical(seed, jnp.asarray(32, seed.dtype)), seed
    return jnp.stack([word.astype(jnp.uint32) for word in words])


# For jax.random.key's and wrap_key_data's `impl`.
THREEFRY = define_prng_impl(
    key_shape=(2,), seed=_seed, split=_split, random_bits=_bits, fold_in=_fold_in,
    name="jaxdl_threefry", tag="jt",
)  # fmt: skip
