"""Draws inside of a loop over steps: keys whose bits cost a few operations a word.

`jax.random` draws from them as from any others. JAX's own Threefry, passes over memory on a CPU,
takes several times as long as the step of an environment that it draws for.
"""

import math

import jax
import jax.numpy as jnp
from jax.extend.random import define_prng_impl

from jaxdl.ops.dropout import hash_bits


def _bits(key: jax.Array, width: int, shape: tuple[int, ...]) -> jax.Array:
    if width == 64:
        high, low = _bits(key, 32, (2, *shape)).astype(jnp.uint64)
        return high << 32 | low
    return (hash_bits(key, shape) >> (32 - width)).astype(f"uint{width}")


def _fold_in(key: jax.Array, data: jax.Array) -> jax.Array:
    first = hash_bits(jnp.stack([key[0] ^ jnp.asarray(data, jnp.uint32), key[1]]), ())
    # The other word changes with it, so that no two keys share their second round.
    return jnp.stack([first, key[1] + first])


def _split(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    parts = jnp.arange(math.prod(shape), dtype=jnp.uint32)
    return jax.vmap(_fold_in, (None, 0))(key, parts).reshape(*shape, 2)


def _seed(seed: jax.Array) -> jax.Array:
    return hash_bits(jnp.stack([jnp.uint32(0), seed.astype(jnp.uint32)]), (2,))


# Of 64 bits; what its bits are good for is measured in tests/test_envs.py.
_HASH = define_prng_impl(
    key_shape=(2,), seed=_seed, split=_split, random_bits=_bits, fold_in=_fold_in,
    name="jaxdl_hash", tag="jh",
)  # fmt: skip


def words(keys: jax.Array, streams: int) -> jax.Array:
    """Random uint32 (streams, 2, n) from n keys of any generator: for `keys`, one a purpose."""
    draw = lambda key: jax.random.bits(key, (streams, 2), jnp.uint32)
    return jax.vmap(draw, out_axes=-1)(keys)


def keys(own: jax.Array, now: jax.Array) -> jax.Array:
    """A key an environment for one step, (n,), whose draws are cheap.

    Args:
      own: (2, n) random uint32, of each environment.
      now: (2,) random uint32, of the step.
    """
    # By words, since XLA does not vectorise what is drawn from one array of pairs; and not by
    # jax.random.fold_in, which would hash twice more.
    return of_words(jnp.stack([own[0] ^ now[0], own[1] ^ now[1]], axis=-1))


def of_words(words: jax.Array) -> jax.Array:
    """Keys (…) whose draws are cheap, of random uint32 (…, 2)."""
    return jax.random.wrap_key_data(words, impl=_HASH)
