"""What Faster R-CNN learns: which anchors hold something, and what of it is in regions.

Ren et al., 2015, "Faster R-CNN", section 3.1; Girshick, 2015, "Fast R-CNN", section 2.3; numbers
that they do not have are torchvision's. Its losses are those of a batch, in which an image with
fewer samples counts less; here each image has its own.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxdl.losses.matching import match, sample
from jaxdl.losses.objects import Objects
from jaxdl.losses.per_example import binary_cross_entropy, cross_entropy
from jaxdl.ops import boxes as box_ops
from jaxdl.ops import regions as region_ops

# An anchor answers for an object from the first overlap on, and for none below the second; so does
# a region, which is always one or the other.
_ANCHOR, _NO_ANCHOR, _REGION = 0.7, 0.3, 0.5

# Errors of coordinates count in squares up to here, and linearly above.
_BETA = 1 / 9


class Chosen(NamedTuple):
    """Regions that the second stage learns from; no gradient goes through them.

    Attributes:
      boxes: (batch, m, 4) x0, y0, x1, y1 in pixels.
      classes: (batch, m) int32, 0 for the ground, else 1 more than the object's.
      targets: (batch, m, 4): how the object lies in the box, with `jaxdl.ops.regions.WEIGHTS`.
      taken: (batch, m) bool: False where there are no more.
    """

    boxes: jax.Array
    classes: jax.Array
    targets: jax.Array
    taken: jax.Array


def choose(
    objects: Objects,
    key: jax.Array | None,
    regions: region_ops.Regions,
    *,
    size: int = 512,
    share: float = 0.25,
) -> Chosen:
    """Some of the proposed regions and of the objects' own boxes.

    Args:
      objects: in the images.
      key: of the draw; None takes those that are listed first.
      regions: proposed.
      size: how many of each image.
      share: of them that may be of objects.
    """
    objects = _clean(objects)
    boxes = jnp.concatenate([regions.boxes, objects.boxes], axis=1)
    there = jnp.concatenate([regions.present, objects.present], axis=1)
    found = match(boxes, objects, _REGION, _REGION)
    drawn = sample(key, found.positive & there, found.negative & there, size, share)
    boxes, index = region_ops.rows(boxes, drawn.index), region_ops.rows(found.index, drawn.index)
    targets = _targets(objects.boxes, index, boxes, drawn.positive, region_ops.WEIGHTS)
    classes = jnp.where(drawn.positive, 1 + region_ops.rows(objects.classes, index), 0)
    made = Chosen(boxes, classes.astype(jnp.int32), targets, drawn.taken)
    return jax.tree.map(jax.lax.stop_gradient, made)


def stage_losses(
    outputs: Any,
    objects: Objects,
    key: jax.Array | None,
    *,
    size: int = 256,
    share: float = 0.5,
) -> dict[str, jax.Array]:
    """The errors of each image.

    Args:
      outputs: `jaxdl.models.faster_rcnn.Outputs`, whose regions are `Chosen`.
      objects: in the images.
      key: of the draw of anchors; None takes those that are listed first.
      size: anchors of each image that are learned from.
      share: of them that may be of objects.

    Returns:
      ``objectness`` and ``proposals`` of the anchors, whether there is something, in nats, and
      where; ``classes`` and ``box`` of the regions, in nats, and of the objects' places in them:
      each (batch,), of boxes too a mean over all samples.
    """
    chosen = outputs.regions
    of_anchors = _anchors(outputs, _clean(objects), key, size, share)
    nats = jax.vmap(cross_entropy)(outputs.logits, chosen.classes)
    own = jnp.take_along_axis(outputs.corrections, chosen.classes[..., None, None], 2)[..., 0, :]
    is_object = (chosen.classes > 0) & chosen.taken
    return {
        **of_anchors,
        "classes": _mean(nats, chosen.taken, chosen.taken),
        "box": _mean(smooth(own - chosen.targets), is_object, chosen.taken),
    }


def smooth(errors: jax.Array) -> jax.Array:
    """(…) of errors (…, 4): half of their squares over 1/9 up to there, linear above; summed."""
    size = jnp.abs(errors)
    return jnp.where(size < _BETA, errors * errors / (2 * _BETA), size - _BETA / 2).sum(-1)


def _anchors(outputs, objects, key, size, share):
    found = match(outputs.anchors, objects, _ANCHOR, _NO_ANCHOR, each_object=True)
    drawn = sample(key, found.positive, found.negative, size, share)
    index, boxes = (
        region_ops.rows(found.index, drawn.index),
        jnp.asarray(outputs.anchors)[drawn.index],
    )
    targets = _targets(objects.boxes, index, boxes, drawn.positive, (1, 1, 1, 1))
    logits, deltas = (region_ops.rows(x, drawn.index) for x in (outputs.objectness, outputs.deltas))
    nats = jax.vmap(binary_cross_entropy)(logits, drawn.positive.astype(logits.dtype))
    return {
        "objectness": _mean(nats, drawn.taken, drawn.taken),
        "proposals": _mean(smooth(deltas - targets), drawn.positive, drawn.taken),
    }


def _targets(true, index, boxes, positive, weights):
    """How objects lie in boxes (batch, n, 4); 0 in what is not of one, which may be empty."""
    boxes = jnp.where(positive[..., None], boxes, jnp.asarray([0, 0, 1, 1], boxes.dtype))
    targets = box_ops.encode(region_ops.rows(true, index), boxes, weights)
    return jnp.where(positive[..., None], targets, 0)


def _mean(x: jax.Array, counts: jax.Array, of: jax.Array) -> jax.Array:
    """(batch,): the sum of x (batch, n) where it counts, over the number of ``of``."""
    return jnp.where(counts, x, 0).sum(-1) / jnp.maximum(of.sum(-1), 1)


def _clean(objects: Objects) -> Objects:
    """With a box like any other in place of padding, and class 0."""
    there = objects.present
    boxes = jnp.where(there[..., None], objects.boxes, jnp.float32([0, 0, 1, 1]))
    return Objects(boxes, jnp.where(there, objects.classes, 0), there)
