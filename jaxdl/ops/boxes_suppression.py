"""Suppression: of boxes that overlap, the best is kept. Greedy, exact, of a fixed size inside jit.

The greedy rule goes through boxes from the best score down and keeps each that overlaps with none
kept before. Here it is done a block at a time: what is kept of a block is the one solution of
``kept[i] = not any(kept[j] and overlap[j, i] for j < i)``, which repeated substitution finds in as
many rounds as the longest chain of boxes that save each other; then the block suppresses all
others. So there are few steps, each wide, and the result is that of one box at a time.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxdl.ops.boxes_overlap import area
from jaxdl.ops.wide import widen

# Boxes that are decided at a time.
_BLOCK = 128


class Kept(NamedTuple):
    """What suppression keeps, best first.

    Attributes:
      index: (size,) int32, of boxes; 0 where there are no more.
      valid: (size,) bool: whether there is one.
    """

    index: jax.Array
    valid: jax.Array


def suppress(
    boxes: jax.Array,
    scores: jax.Array,
    threshold: float | jax.Array,
    size: int,
    *,
    classes: jax.Array | None = None,
    weights: jax.Array | None = None,
) -> Kept:
    """The ``size`` best boxes of which no two overlap by more than ``threshold``.

    Of equal scores the first listed goes first. Exactly the threshold is no overlap. What is chosen
    has no gradient; what is picked by it, ``boxes[kept.index]``, has.

    Args:
      boxes: (n, 4) as x0 y0 x1 y1. `jax.vmap` does several images.
      scores: (n,); NaN is never kept.
      threshold: IoU, 0 … 1.
      size: how many are returned, at least 1; fewer are valid where fewer are left.
      classes: (n,) integers; boxes of different ones do not suppress each other. None: one class.
      weights: (n,); what has 0, such as padding, is not there.

    Raises:
      ValueError: ``size`` is below 1.
    """
    if size < 1:
        raise ValueError(f"size={size} must be at least 1")
    boxes, scores = jnp.asarray(boxes), jnp.asarray(scores)
    boxes, scores = lax.stop_gradient((widen(boxes), scores))
    there = ~jnp.isnan(scores)
    if weights is not None:
        there &= jnp.asarray(weights).astype(bool)
    # What is not there goes last, so that it costs nothing.
    order = jnp.lexsort((-scores, ~there))
    label = None if classes is None else classes[order]
    kept = _kept(boxes[order], label, there[order], _just_below(threshold, boxes.dtype), size)
    (place,) = jnp.nonzero(kept, size=size, fill_value=len(boxes))
    valid = place < len(boxes)
    index = order.astype(jnp.int32).at[place].get(mode="fill", fill_value=0)
    return Kept(index, valid)


def _just_below(threshold: float | jax.Array, dtype: jnp.dtype) -> float | jax.Array:
    """The largest number of the dtype that is not above the threshold.

    .3 is a little more in float32 than in Python: what compares equal there is above .3.
    """
    if not isinstance(threshold, int | float):
        return threshold
    near = np.asarray(threshold, dtype)
    return np.nextafter(near, np.asarray(-np.inf, dtype)) if float(near) > threshold else near


def _kept(
    boxes: jax.Array, label: jax.Array | None, there: jax.Array, threshold: jax.Array, size: int
) -> jax.Array:
    """(n,) bool of boxes (n, 4), best first; of those behind the first ``size``, any."""
    n, areas = len(boxes), area(boxes)
    block = min(_BLOCK, n)

    def overlap(i: jax.Array) -> jax.Array:
        """(block, n) bool: whether boxes at ``i`` overlap with each."""
        a, b = boxes[i].T[:, :, None], boxes.T[:, None, :]
        w = jnp.minimum(a[2], b[2]) - jnp.maximum(a[0], b[0])
        h = jnp.minimum(a[3], b[3]) - jnp.maximum(a[1], b[1])
        common = jnp.maximum(w, 0) * jnp.maximum(h, 0)
        over = common / (areas[i][:, None] + areas[None] - common) > threshold
        return over if label is None else over & (label[i][:, None] == label[None])

    def decide(state: tuple) -> tuple:
        left, kept, count = state
        (i,) = jnp.nonzero(left, size=block, fill_value=n - 1)
        # Where fewer than a block are left, the last box stands for nothing.
        real = jnp.arange(block) < left.sum()
        over = overlap(i)
        before = over[:, i] & (jnp.arange(block)[:, None] < jnp.arange(block)[None])
        substitute = lambda keep: real & ~(before & keep[:, None]).any(axis=0)
        keep = lax.while_loop(
            lambda two: (two[0] != two[1]).any(),
            lambda two: (two[1], substitute(two[1])),
            (real, substitute(real)),
        )[1]
        left &= ~(over & keep[:, None]).any(axis=0)
        done = jnp.where(real, i, n)
        left = left.at[done].set(False, mode="drop")
        kept = kept.at[jnp.where(keep, i, n)].set(True, mode="drop")
        return left, kept, count + keep.sum(dtype=jnp.int32)

    start = (there, jnp.zeros_like(there), jnp.zeros((), jnp.int32))
    return lax.while_loop(lambda s: s[0].any() & (s[2] < size), decide, start)[1]


def objects(
    boxes: jax.Array,
    scores: jax.Array,
    classes: jax.Array,
    there: jax.Array,
    *,
    overlap: float,
    detections: int,
) -> dict[str, jax.Array]:
    """What a detector tells of an image, each object once.

    Args:
      boxes: (n, 4).
      scores: (n,).
      classes: (n,) integers.
      there: (n,) bool: False of what is none.
      overlap: of `suppress`.
      detections: how many are returned.

    Returns:
      ``boxes`` (detections, 4), ``scores`` and ``classes`` (detections,), best first; 0 of none.
    """
    kept, valid = suppress(boxes, scores, overlap, detections, classes=classes, weights=there)
    return {
        "boxes": jnp.where(valid[:, None], boxes[kept], 0),
        "scores": jnp.where(valid, scores[kept], 0),
        "classes": jnp.where(valid, classes[kept], 0),
    }
