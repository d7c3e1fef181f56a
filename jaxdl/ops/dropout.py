"""Dropout, and the cheap random bits that it draws from."""

import jax
import jax.numpy as jnp

from jaxdl.errors import UserError
from jaxdl.ops.derivatives import with_backward
from jaxdl.per_member import any_on
from jaxdl.threefry import place


def dropout(key: jax.Array, x: jax.Array, rate: float) -> jax.Array:
    """Zeroes each element with probability ``rate``, and scales the others by 1 / (1 - rate).

    Srivastava et al., 2014, in the form that scales in training instead of at evaluation. Only the
    key's two words are kept for the backward pass, which draws the same mask again.

    Args:
      key: typed, or raw as of jax.random.PRNGKey. Equal keys give equal masks, on any number of
        devices; under `vmap` each key has its own.
      x: any shape of up to 2³² elements, floating.
      rate: in [0, 1], exact to 2⁻³².

    Returns:
      x's shape and dtype.

    Raises:
      UserError: the rate is no probability.
    """
    if not 0 <= rate <= 1:
        raise UserError(f"dropout={rate} must be at least 0 and at most 1")
    if not any_on(rate):
        return x
    if rate == 1:
        return jnp.zeros_like(x)
    threshold = jnp.uint32(min(round(rate * 2**32), 2**32 - 1))
    scale = jnp.asarray(1 / (1 - rate), x.dtype)
    return _dropout(jax.random.bits(key, (2,), jnp.uint32), x, threshold, scale)


def hash_bits(words: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """32 random bits for each element, of its place and two words: a counter-based generator.

    Threefry (Salmon et al., 2011) takes some 60 operations a word; for masks two rounds of a hash
    with 8 each do. Elementwise, so it costs no pass over memory of its own where its result is
    used, and an element's bits do not depend on how the array lies on devices. Good enough for
    masks, as tests/test_ops_dropout.py measures; not meant for other draws.

    Args:
      words: (2,) uint32, well mixed (as from jax.random.bits).
      shape: of the result.

    Returns:
      uint32.
    """
    # A word before each round: with one round, or one word, two keys could share a stretch of
    # their sequences.
    return _mixed(_mixed(place(shape) ^ words[0]) ^ words[1])


def _mixed(x: jax.Array) -> jax.Array:
    """A bijection of 32 bits in which each input bit flips each output bit with probability ½.

    "lowbias32" of Chris Wellons' hash-prospector (2018), of the form of MurmurHash3's finaliser.
    """
    x = (x ^ (x >> 16)) * jnp.uint32(0x7FEB352D)
    x = (x ^ (x >> 15)) * jnp.uint32(0x846CA68B)
    return x ^ (x >> 16)


def _masked(words, x, threshold, scale):
    kept = hash_bits(words, x.shape) >= threshold
    return jnp.where(kept, x * scale, 0)


def _forward(words, x, threshold, scale):
    return _dropout(words, x, threshold, scale), (words, threshold, scale)


def _backward(saved, g):
    # Linear in x, and its own transpose; the rate is given, not learned.
    words, threshold, scale = saved
    return None, _dropout(words, g, threshold, scale), None, None


_dropout = with_backward(_forward, _backward, value=_masked)
