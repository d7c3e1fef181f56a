"""Where a token stands: learned, fixed and relative positions."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

_NORMAL = nn.initializers.normal(0.02)


def learned_positions(
    module: nn.Module,
    length: int,
    width: int,
    name: str = "position",
    init: Callable = _NORMAL,
) -> jax.Array:
    """Declares a parameter (1, length, width), normal with deviation .02 unless told otherwise."""
    return module.param(name, init, (1, length, width), jnp.float32)


def segment_positions(segments: jax.Array) -> jax.Array:
    """What number each token has in its own text, where several texts stand in a row.

    Args:
      segments: (…, T) integers; where they change a text begins.

    Returns:
      (…, T) int32, from 0 on in each text.
    """
    place = jnp.arange(segments.shape[-1])
    begins = segments[..., 1:] != segments[..., :-1]
    begins = jnp.pad(begins, [(0, 0)] * (segments.ndim - 1) + [(1, 0)])
    start = jax.lax.cummax(jnp.where(begins, place, 0), axis=segments.ndim - 1)
    return place - start


def resize_positions(
    table: np.ndarray | jax.Array,
    grid: tuple[int, int],
    new_grid: tuple[int, int],
    prefix_tokens: int = 1,
) -> jax.Array:
    """Learned positions of a grid of patches for another grid, by cubic interpolation.

    As timm's ViT models do it: Keys' cubic with a = -½, antialiased where the grid shrinks.

    Args:
      table: (1, prefix_tokens + rows · columns, width), rows first.
      grid: (rows, columns) of the table.
      new_grid: those wanted.
      prefix_tokens: tokens in front that have no place in the image, whose positions stay.

    Returns:
      (1, prefix_tokens + new rows · new columns, width) float32.
    """
    table = jnp.asarray(table, jnp.float32)
    prefix, places = table[:, :prefix_tokens], table[:, prefix_tokens:]
    places_1xhxwxD = places.reshape(1, *grid, table.shape[-1])
    shape = (1, *new_grid, table.shape[-1])
    resized = jax.image.resize(places_1xhxwxD, shape, "cubic", antialias=True)
    return jnp.concatenate([prefix, resized.reshape(1, -1, table.shape[-1])], axis=1)


def sincos_positions(height: int, width: int, features: int) -> np.ndarray:
    """Fixed two-dimensional positions, as of MoCo v3 (Chen, Xie and He, 2021, section 4).

    A quarter of the features each is sin x, cos x, sin y, cos y, at wavelengths in geometric
    progression from 2π to 10000·2π patches (Vaswani et al., 2017, section 3.5).

    Args:
      height: rows of patches.
      width: columns of patches.
      features: a multiple of 4.

    Returns:
      (1, height * width, features) float32, rows first.
    """
    if features % 4:
        raise ValueError(f"features must be a multiple of 4, got {features}")
    rate = 10000.0 ** -(np.arange(features // 4) / max(features // 4 - 1, 1))
    y, x = np.mgrid[:height, :width]
    y, x = y.reshape(-1, 1) * rate, x.reshape(-1, 1) * rate
    table = np.concatenate([np.sin(x), np.cos(x), np.sin(y), np.cos(y)], axis=1)
    return table[None].astype(np.float32)


def sinusoids(t: jax.Array, features: int, longest: float = 10000.0) -> jax.Array:
    """What a number is to a network: sines and cosines of it, as DDPM embeds its timesteps.

    Vaswani et al., 2017, section 3.5, with all sines first and the last frequency 1 / ``longest``,
    as in the code that Ho, Jain and Abbeel, 2020, published. Of ``arange(length)`` they are the
    fixed positions of Whisper's encoder.

    Args:
      t: (…) integers or floats.
      features: an even number, at least 4.
      longest: the last wavelength is 2π times this.

    Returns:
      (…, features) float32.
    """
    half = features // 2
    if features % 2 or half < 2:
        raise ValueError(f"features must be an even number from 4 on, got {features}")
    rate = longest ** -(np.arange(half) / (half - 1))
    angle = t[..., None].astype(jnp.float32) * rate.astype(np.float32)
    return jnp.concatenate([jnp.sin(angle), jnp.cos(angle)], axis=-1)


def relative_buckets(
    distance: jax.Array, buckets: int = 32, longest: int = 128, bidirectional: bool = True
) -> jax.Array:
    """Which of T5's buckets a distance between two tokens falls into.

    Raffel et al., 2020, section 2.1: near distances have buckets of their own, farther ones share
    buckets that grow logarithmically, and all from ``longest`` on share the last. Half of the
    buckets are for keys behind the query, unless not ``bidirectional``: those then count as 0 away.

    Args:
      distance: (…) integers, key's place minus query's.
      buckets: their number.
      longest: distance from which there is one bucket only.
      bidirectional: whether keys behind the query are told apart.

    Returns:
      (…) int32 in [0, buckets).
    """
    side = buckets // 2 if bidirectional else buckets
    exact = side // 2
    # The bucket of each distance up to the longest, of a side.
    table = np.arange(longest + 1)
    growth = np.log(np.maximum(table, exact) / exact) / np.log(longest / exact)
    table = np.where(table < exact, table, exact + (growth * (side - exact)).astype(int))
    table = jnp.asarray(np.minimum(table, side - 1), jnp.int32)
    away = jnp.abs(distance) if bidirectional else jnp.maximum(-distance, 0)
    bucket = table[jnp.minimum(away, longest)]
    return jnp.where(distance > 0, bucket + side, bucket) if bidirectional else bucket


class RelativePositions(nn.Module):
    """T5's positions: a number for each head and bucket of distances, to be added to the scores.

    Parameter: ``embedding`` (buckets, heads). `jaxdl.ops.attention` takes the result as its mask.

    Attributes:
      heads: of the attention.
      buckets: see `relative_buckets`, like the others.
      longest: distance from which all are alike.
      bidirectional: as an encoder needs it; a decoder's keys are never behind the query.
      embedding_init: of the parameter.
    """

    heads: int
    buckets: int = 32
    longest: int = 128
    bidirectional: bool = True
    embedding_init: Callable = nn.initializers.normal(0.02)

    @nn.compact
    def __call__(self, queries: jax.Array, keys: jax.Array) -> jax.Array:
        """Places (T,) and (S,), integers -> (1, heads, T, S) float32."""
        shape = (self.buckets, self.heads)
        embedding = self.param("embedding", self.embedding_init, shape, jnp.float32)
        distance_TxS = keys[None, :] - queries[:, None]
        bucket_TxS = relative_buckets(distance_TxS, self.buckets, self.longest, self.bidirectional)
        return embedding[bucket_TxS].transpose(2, 0, 1)[None]
