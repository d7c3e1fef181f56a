"""What YOLO learns: who answers for which object, and how wrong the answers are.

Redmon and Farhadi, 2018, "YOLOv3: An Incremental Improvement", sections 2.1 and 2.2. What the paper
leaves open is as in Darknet, the program that its figures are of: the errors of a box weigh 2 minus
the object's share of the image, and of two objects at one place the last one counts, while both of
their classes are right.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxdl.losses.objects import Objects
from jaxdl.ops import boxes as box_ops
from jaxdl.ops import yolo
from jaxdl.ops.wide import widen
from jaxdl.registry import choose


class Assignment(NamedTuple):
    """Which place answers for which object.

    Attributes:
      place: (batch, n) int32, of `jaxdl.ops.yolo.Grid`.
      counts: (batch, n) bool: the object is present, and the last one at its place.
      same: (batch, n, n) bool: whether two present objects have one place.
    """

    place: jax.Array
    counts: jax.Array
    same: jax.Array


def assign(objects: Objects, grid: yolo.Grid, anchors: jax.Array) -> Assignment:
    """Each object to the one anchor of all whose shape is most like its own, at its centre's cell.

    Args:
      objects: in the images.
      grid: the places.
      anchors: (maps * each, 2), width and height in pixels, in the order of the maps.
    """
    centre, sides = _centre(objects.boxes), _sides(objects)
    # Intersection over union of boxes about one centre.
    shared = jnp.minimum(sides[:, :, None], anchors).prod(-1)
    union = sides.prod(-1)[:, :, None] + anchors.prod(-1) - shared
    best = (shared / union).argmax(-1)
    level = best // grid.each
    stride, start = (jnp.asarray(x)[level] for x in (grid.strides, grid.starts))
    rows, columns = (jnp.asarray(x)[level] for x in zip(*grid.sides, strict=True))
    # What is centred on the far edge, or beyond, belongs to the last cell.
    cell = lambda at, count: jnp.clip((at // stride).astype(jnp.int32), 0, count - 1)
    row, column = cell(centre[..., 1], rows), cell(centre[..., 0], columns)
    place = (start + (row * columns + column) * grid.each + best % grid.each).astype(jnp.int32)
    there = objects.present
    same = (place[:, :, None] == place[:, None]) & there[:, :, None] & there[:, None]
    later = jnp.triu(jnp.ones(same.shape[1:], bool), 1)
    return Assignment(place, there & ~(same & later).any(-1), same)


def squared(
    outputs: jax.Array, targets: jax.Array, found: jax.Array, true: jax.Array, share: jax.Array
) -> jax.Array:
    """The paper's errors of boxes: their gradients are the differences of t_x, t_y, t_w and t_h.

    ``-t̂ log σ(t) - (1 - t̂) log(1 - σ(t))`` of the centre, whose t̂ are parts of a cell, and
    ``(t - t̂)² / 2`` of the sides, times 2 - ``share``.

    Args:
      outputs: (batch, n, 4), t of what answers.
      targets: (batch, n, 4), t̂.
      found: (batch, n, 4), the boxes that ``outputs`` are; so are true. Neither is used.
      true: of the objects.
      share: (batch, n), the part of the image that each object takes.

    Returns:
      (batch, n).
    """
    del found, true
    centre = _logistic(outputs[..., :2], targets[..., :2]).sum(-1)
    sides = jnp.square(outputs[..., 2:] - targets[..., 2:]).sum(-1) / 2
    return (2 - share) * (centre + sides)


def _by_overlap(overlap: Callable[[jax.Array, jax.Array], jax.Array]) -> Callable[..., jax.Array]:
    def loss(outputs, targets, found, true, share):
        del outputs, targets, share
        return 1 - overlap(found, true)

    return loss


# By name: (outputs, targets, found, true, share) -> (batch, n).
BOX_LOSSES: dict[str, Callable[..., jax.Array]] = {
    "squared": squared,
    "iou": _by_overlap(box_ops.iou),
    "giou": _by_overlap(box_ops.giou),
    "diou": _by_overlap(box_ops.diou),
    "ciou": _by_overlap(box_ops.ciou),
}


def losses(
    maps: yolo.Maps,
    anchors: jax.Array,
    objects: Objects,
    *,
    box_loss: str = "squared",
    ignore: float = 0.5,
) -> dict[str, jax.Array]:
    """The errors of each image, summed over its places.

    Args:
      maps: {stride: (batch, rows, columns, anchors, 5 + classes)}, the network's outputs.
      anchors: (maps * each, 2), width and height in pixels, those of the finest map first.
      objects: in the images.
      box_loss: "squared", the paper's, or 1 minus an overlap: "iou", "giou", "diou" or "ciou".
      ignore: what answers for no object should say that there is none, unless its box overlaps one
        by more than that (the paper has .5, Darknet's files .7).

    Returns:
      ``box``, ``objectness`` and ``classes``, each (batch,), in nats but for the boxes' sides.

    Raises:
      UserError: no such loss of boxes.
    """
    of_box = choose("box_loss", box_loss, BOX_LOSSES)
    outputs, grid = widen(yolo.flat(maps)), yolo.Grid.of(maps)
    assigned = assign(objects, grid, anchors)
    counts, place = assigned.counts, assigned.place
    found = yolo.decode(outputs, grid, anchors)
    # Padding has a box like any other, so that its unused figures are finite.
    true = jnp.where(objects.present[..., None], objects.boxes, jnp.float32([0, 0, 1, 1]))
    true = true.astype(outputs.dtype)
    answers, answered = (jnp.take_along_axis(x, place[..., None], 1) for x in (outputs, found))
    targets = _targets(true, place, grid, anchors)
    share = (true[..., 2:] - true[..., :2]).prod(-1) / (grid.size[0] * grid.size[1])
    each = of_box(answers[..., :4], targets, answered, true, share)
    return {
        "box": jnp.where(counts, each, 0).sum(-1),
        "objectness": _objectness(outputs, found, true, objects.present, assigned, ignore),
        "classes": _classes(answers[..., yolo.OBJECT :], objects.classes, assigned),
    }


def _objectness(outputs, found, true, present, assigned, ignore):
    batch = jnp.arange(outputs.shape[0])[:, None]
    answers = jnp.zeros(outputs.shape[:2], bool).at[batch, assigned.place].max(assigned.counts)
    overlap = box_ops.pairwise(box_ops.iou, jax.lax.stop_gradient(found), true)
    best = jnp.where(present[:, None], overlap, 0).max(-1, initial=0)
    each = _logistic(outputs[..., yolo.BOX], answers.astype(outputs.dtype))
    return jnp.where(answers | (best <= ignore), each, 0).sum(-1)


def _classes(logits, classes, assigned):
    of_each = jax.nn.one_hot(classes, logits.shape[-1], dtype=logits.dtype)
    right = jnp.einsum("bij,bjc->bic", assigned.same.astype(logits.dtype), of_each) > 0
    each = _logistic(logits, right.astype(logits.dtype)).sum(-1)
    return jnp.where(assigned.counts, each, 0).sum(-1)


def _targets(true, place, grid, anchors):
    """t̂ of objects at places."""
    at = lambda array: jnp.asarray(array)[place]
    cells = _centre(true) / at(grid.stride)[..., None] - at(grid.corner)
    ratio = (true[..., 2:] - true[..., :2]) / anchors[at(grid.anchor)]
    return jnp.concatenate([jnp.clip(cells, 0, 1), jnp.log(jnp.maximum(ratio, 1e-6))], -1)


def _logistic(logits, targets):
    return targets * jnp.logaddexp(-logits, 0.0) + (1 - targets) * jnp.logaddexp(logits, 0.0)


def _centre(boxes):
    return (boxes[..., :2] + boxes[..., 2:]) / 2


def _sides(objects):
    sides = objects.boxes[..., 2:] - objects.boxes[..., :2]
    return jnp.where(objects.present[..., None], sides, 1.0)
