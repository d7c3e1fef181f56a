"""Which boxes answer for which objects, and which of them are learned from at once."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxdl.losses.objects import Objects
from jaxdl.ops import boxes as box_ops


class Match(NamedTuple):
    """What boxes answer for.

    Attributes:
      index: (batch, n) int32, the object that each overlaps most.
      positive: (batch, n) bool: it answers for that one.
      negative: (batch, n) bool: it says that there is none. Some are neither.
    """

    index: jax.Array
    positive: jax.Array
    negative: jax.Array


def match(
    boxes: jax.Array, objects: Objects, least: float, below: float, *, each_object: bool = False
) -> Match:
    """By intersection over union (Ren et al., 2015, section 3.1.2).

    Args:
      boxes: (batch, n, 4) or (n, 4).
      objects: in the images; boxes of padding may be anything but NaN.
      least: overlap with an object from which a box answers for it.
      below: overlap with all of them under which it says that there is none.
      each_object: the boxes that overlap an object more than all other boxes do answer too, each
        for the object that it overlaps most itself.
    """
    overlap = box_ops.pairwise(box_ops.iou, objects.boxes, boxes)
    overlap = jnp.where(objects.present[..., None], overlap, -1)
    best, index = overlap.max(1), overlap.argmax(1).astype(jnp.int32)
    positive, negative = best >= least, best < below
    if each_object:
        highest = overlap.max(2, keepdims=True)
        is_best = ((overlap == highest) & (highest > 0)).any(1)
        positive, negative = positive | is_best, negative & ~is_best
    return Match(index, positive, negative)


class Sample(NamedTuple):
    """What is learned from.

    Attributes:
      index: (batch, size) int32, positives first.
      positive: (batch, size) bool.
      taken: (batch, size) bool: False where there are no more.
    """

    index: jax.Array
    positive: jax.Array
    taken: jax.Array


def sample(
    key: jax.Array | None, positive: jax.Array, negative: jax.Array, size: int, share: float
) -> Sample:
    """``size`` of each image's boxes, drawn so that not all are negative.

    Args:
      key: of the draw; None takes those that are listed first.
      positive: (batch, n) bool.
      negative: (batch, n) bool, of others.
      size: how many, at most; n if that is less.
      share: of it that may be positive; the rest is negative, and may be less.
    """
    n = positive.shape[-1]
    size = min(size, n)
    # Of equal numbers `top_k` takes the first.
    draw = jnp.zeros(positive.shape, jnp.float32)
    if key is not None:
        draw = jax.random.uniform(key, positive.shape, jnp.float32)
    most = min(int(size * share), n)
    drawn, index = jax.lax.top_k(jnp.where(positive, draw, -1), max(most, 1))
    batch = jnp.arange(len(positive))[:, None]
    chosen = jnp.zeros(positive.shape, bool).at[batch, index].set((drawn >= 0) & (most > 0))
    rank = jnp.where(chosen, 2 + draw, jnp.where(negative, draw, -1))
    drawn, index = jax.lax.top_k(rank, size)
    return Sample(index.astype(jnp.int32), drawn >= 2, drawn >= 0)
