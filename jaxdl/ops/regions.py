"""What a detector of two stages says: regions out of anchors, and objects out of regions.

Ren et al., 2015, "Faster R-CNN", section 3; which are left out, and in what order, as torchvision
has it. All sizes are fixed: what is not there is marked so.
"""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jaxdl.ops import boxes as box_ops
from jaxdl.ops.wide import widen

# Of deltas between regions and objects: so that they vary by about 1 (Girshick, 2015, section 2.3,
# with the numbers of its program).
WEIGHTS = (10.0, 10.0, 5.0, 5.0)

# Sides in pixels below which a region, and an object, is none.
_LEAST_REGION, _LEAST_OBJECT = 1e-3, 1e-2


class Regions(NamedTuple):
    """Where something may be; no gradient goes through it.

    Attributes:
      boxes: (batch, n, 4) x0, y0, x1, y1 in pixels, within the image.
      scores: (batch, n) in [0, 1], best first; 0 where there is none.
      present: (batch, n) bool: False where there is none, whose box is 0.
    """

    boxes: jax.Array
    scores: jax.Array
    present: jax.Array


def propose(
    objectness: jax.Array,
    deltas: jax.Array,
    anchors: jax.Array,
    counts: Sequence[int],
    size: tuple[int, int],
    *,
    candidates: int,
    regions: int,
    overlap: float,
) -> Regions:
    """The regions in which anchors tell of something, each once.

    Args:
      objectness: (batch, n) logits.
      deltas: (batch, n, 4), of `jaxdl.ops.boxes.encode`.
      anchors: (n, 4) x0, y0, x1, y1 in pixels.
      counts: how many of them are of each map, which lie one behind the other.
      size: (height, width) of the images.
      candidates: of each map, how many of the best are looked at.
      regions: how many are returned at the most; fewer are present where fewer are left.
      overlap: intersection over union above which the better one of two of a map is kept alone.
    """
    objectness, deltas = lax.stop_gradient((widen(objectness), widen(deltas)))
    start, best, level = 0, [], []
    for i, count in enumerate(counts):
        of_map = lax.slice_in_dim(objectness, start, start + count, axis=1)
        _, place = lax.top_k(of_map, min(candidates, count))
        best.append(place + start)
        level.append(jnp.full(place.shape[1:], i, jnp.int32))
        start += count
    best, level = jnp.concatenate(best, axis=1), jnp.concatenate(level)
    regions = min(regions, len(level))
    boxes = box_ops.decode(rows(deltas, best), jnp.asarray(anchors)[best])
    boxes, scores = box_ops.clip(boxes, size), jax.nn.sigmoid(rows(objectness, best))
    kept = jax.vmap(
        lambda boxes, scores: box_ops.suppress(
            boxes, scores, overlap, regions, classes=level, weights=_large(boxes, _LEAST_REGION)
        )
    )(boxes, scores)
    return Regions(
        jnp.where(kept.valid[..., None], rows(boxes, kept.index), 0),
        jnp.where(kept.valid, rows(scores, kept.index), 0),
        kept.valid,
    )


def detect(
    logits: jax.Array,
    deltas: jax.Array,
    regions: Regions,
    size: tuple[int, int],
    *,
    least_score: float,
    overlap: float,
    detections: int,
    candidates: int,
) -> dict[str, jax.Array]:
    """The objects that regions tell of, each once.

    Args:
      logits: (batch, n, 1 + classes), the ground's first.
      deltas: (batch, n, 1 + classes, 4), of `jaxdl.ops.boxes.encode` with `WEIGHTS`.
      regions: (batch, n).
      size: (height, width) of the images.
      least_score: of what is found: more than that.
      overlap: intersection over union above which the better one of two of a class is kept alone.
      detections: how many are found in each image at the most.
      candidates: how many of the best regions and classes are looked at for them.

    Returns:
      ``boxes`` (batch, detections, 4) in at least float32, x0, y0, x1, y1 in pixels, within the
      image; ``scores`` (batch, detections) in [0, 1], best first, and ``classes`` (batch,
      detections) int32, counted without the ground. Where less is found, all are 0.
    """
    scores = jax.nn.softmax(widen(logits), axis=-1)[..., 1:]
    scores = jnp.where(regions.present[..., None], scores, 0)
    decode = functools.partial(box_ops.decode, weights=WEIGHTS)
    classes = scores.shape[-1]

    def of_image(deltas: jax.Array, scores: jax.Array, boxes: jax.Array) -> dict[str, jax.Array]:
        best, at = lax.top_k(scores.reshape(-1), min(candidates, scores.size))
        place, label = at // classes, (at % classes).astype(jnp.int32)
        found = box_ops.clip(decode(deltas[place, label + 1], boxes[place]), size)
        there = (best > least_score) & _large(found, _LEAST_OBJECT)
        return box_ops.objects(found, best, label, there, overlap=overlap, detections=detections)

    return jax.vmap(of_image)(widen(deltas), scores, regions.boxes)


def _large(boxes: jax.Array, least: float) -> jax.Array:
    """(…) bool: neither side of boxes (…, 4) is below ``least``."""
    return (boxes[..., 2:] - boxes[..., :2] >= least).all(-1)


def rows(x: jax.Array, index: jax.Array) -> jax.Array:
    """Of x (batch, n, …) those at index (batch, m)."""
    return jax.vmap(lambda x, index: x[index])(x, index)
