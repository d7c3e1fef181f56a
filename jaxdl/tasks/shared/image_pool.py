"""Pictures made earlier, for a discriminator to see beside those made now: a pool in the state.

Shrivastava et al., 2017, "Learning from Simulated and Unsupervised Images through Adversarial
Training", section 2.3, as CycleGAN's authors' code has it.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp


class Pool(NamedTuple):
    """Pictures, a pool for each place of the batch, so that any number of devices does the same.

    Attributes:
      pictures: (batch, size, h, w, c).
      count: (batch,) int32, how many are there.
    """

    pictures: jax.Array
    count: jax.Array


def empty(batch: int, size: int, shape: tuple[int, ...]) -> Pool:
    """With room for ``size`` pictures (h, w, c) float32 at each of ``batch`` places."""
    return Pool(jnp.zeros((batch, size, *shape), jnp.float32), jnp.zeros(batch, jnp.int32))


def exchanged(pool: Pool, pictures: jax.Array, key: jax.Array) -> tuple[jax.Array, Pool]:
    """What the discriminator sees for ``pictures``, and the pool after it.

    While there is room a picture is kept, and seen. Later it is, by a coin, seen itself and not
    kept, or changed for one of the pool, each as likely.

    Args:
      pool: of as many places as there are pictures.
      pictures: (batch, h, w, c).
      key: two draws a place.
    """

    def one(kept: jax.Array, count: jax.Array, picture: jax.Array, key: jax.Array):
        size = len(kept)
        is_full = count >= size
        coin, place = jax.random.split(key)
        swaps = is_full & jax.random.bernoulli(coin)
        place = jnp.where(is_full, jax.random.randint(place, (), 0, size), count)
        there = kept[place]
        seen = jnp.where(swaps, there, picture)
        stays = is_full & ~swaps
        kept = kept.at[place].set(jnp.where(stays, there, picture))
        return seen, kept, jnp.minimum(count + 1, size)

    keys = jax.random.split(key, len(pictures))
    seen, kept, count = jax.vmap(one)(*pool, pictures, keys)
    return seen, Pool(kept, count)
