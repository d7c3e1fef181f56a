"""What YOLO's outputs mean: boxes on grids of cells, from numbers and back.

Redmon and Farhadi, 2018, "YOLOv3: An Incremental Improvement", section 2.1: at a cell whose corner
is (c_x, c_y), for an anchor of p_w by p_h, the outputs t are the box

    b_x = σ(t_x) + c_x,  b_y = σ(t_y) + c_y,  b_w = p_w e^{t_w},  b_h = p_h e^{t_h}

whose centre counts in cells and whose sides in pixels. Maps are (batch, rows, columns, anchors, 5 +
classes): t_x, t_y, t_w, t_h, a logit of there being an object, and one of each class.
"""

import math
from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl.ops import boxes as box_ops
from jaxdl.ops.wide import widen

# Numbers of an output in front of the classes'.
BOX, OBJECT = 4, 5

# Sides grow to e^8 of the anchor's at most: what is larger is no box, and may be no number.
_MOST = 8.0

Maps = Mapping[int, jax.Array]


class Grid:
    """Where the outputs of all maps lie, in one row: finest map first, then row, column, anchor.

    Attributes:
      strides: pixels a cell of each map, ascending.
      sides: (rows, columns) of each.
      each: anchors at a cell.
      starts: the place in the row where each map begins.
      count: of all places.
      stride: of the map of each place, (count,) float32.
      corner: (column, row) of its cell, (count, 2) float32.
      anchor: which one it has of all, (count,) int32; they are in the order of the maps.
    """

    def __init__(self, strides: Sequence[int], height: int, width: int, each: int):
        """Of images of ``height`` by ``width`` pixels, which every stride divides."""
        self.strides, self.each = tuple(sorted(strides)), each
        self.sides = tuple((height // s, width // s) for s in self.strides)
        counts = [rows * columns * each for rows, columns in self.sides]
        self.starts, self.count = np.cumsum([0, *counts])[:-1], sum(counts)
        self.stride = np.repeat(np.float32(self.strides), counts)
        corners, anchors = [], []
        for i, (rows, columns) in enumerate(self.sides):
            y, x, a = np.meshgrid(*map(np.arange, (rows, columns, each)), indexing="ij")
            corners.append(np.stack([x, y], -1).reshape(-1, 2))
            anchors.append(a.ravel() + i * each)
        self.corner = np.concatenate(corners).astype(np.float32)
        self.anchor = np.concatenate(anchors).astype(np.int32)

    @classmethod
    def of(cls, maps: Maps) -> "Grid":
        """That of outputs (batch, rows, columns, anchors, …) by stride."""
        stride, first = next(iter(maps.items()))
        return cls(tuple(maps), first.shape[1] * stride, first.shape[2] * stride, first.shape[3])

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the images, in pixels."""
        rows, columns = self.sides[0]
        return rows * self.strides[0], columns * self.strides[0]


def flat(maps: Maps) -> jax.Array:
    """(batch, places, 5 + classes) of maps by stride, in the order of `Grid`."""
    row = lambda x: x.reshape(x.shape[0], math.prod(x.shape[1:4]), x.shape[4])
    return jnp.concatenate([row(maps[stride]) for stride in sorted(maps)], axis=1)


def decode(outputs: jax.Array, grid: Grid, anchors: jax.Array) -> jax.Array:
    """The boxes of outputs, in pixels.

    Args:
      outputs: (batch, places, 4 or more), of `flat`.
      grid: where they lie.
      anchors: (maps * each, 2), width and height in pixels, those of the finest map first.

    Returns:
      (batch, places, 4): x0, y0, x1, y1, which may reach over the image's edge.
    """
    centre = (jax.nn.sigmoid(outputs[..., :2]) + grid.corner) * grid.stride[:, None]
    half = jnp.exp(jnp.minimum(outputs[..., 2:BOX], _MOST)) * anchors[grid.anchor] / 2
    return jnp.concatenate([centre - half, centre + half], axis=-1)


def scores(outputs: jax.Array) -> jax.Array:
    """(batch, places, classes): σ(there is an object) σ(it is of the class)."""
    return jax.nn.sigmoid(outputs[..., BOX:OBJECT]) * jax.nn.sigmoid(outputs[..., OBJECT:])


def detect(
    maps: Maps,
    anchors: jax.Array,
    *,
    least_score: float,
    overlap: float,
    detections: int,
    candidates: int,
) -> dict[str, jax.Array]:
    """The objects that outputs tell of, each once.

    Args:
      maps: {stride: (batch, rows, columns, anchors, 5 + classes)}.
      anchors: (maps * each, 2), width and height in pixels, those of the finest map first.
      least_score: of what is found.
      overlap: intersection over union above which the better one of two of a class is kept alone.
      detections: how many are found in each image at the most.
      candidates: how many of the best places and classes are looked at for them.

    Returns:
      ``boxes`` (batch, detections, 4) float32, x0, y0, x1, y1 in pixels, within the image;
      ``scores`` (batch, detections) float32 in [0, 1], best first, and ``classes`` (batch,
      detections) int32. Where less is found, all are 0.
    """
    outputs, grid = widen(flat(maps)), Grid.of(maps)
    height, width = grid.size
    edge = jnp.float32([width, height, width, height])
    boxes = jnp.clip(decode(outputs, grid, anchors), 0, edge)
    of_each = scores(outputs)
    classes = of_each.shape[-1]

    def of_image(boxes: jax.Array, of_each: jax.Array) -> dict[str, jax.Array]:
        best, at = jax.lax.top_k(of_each.reshape(-1), min(candidates, of_each.size))
        place, label = at // classes, (at % classes).astype(jnp.int32)
        return box_ops.objects(
            boxes[place], best, label, best >= least_score, overlap=overlap, detections=detections
        )

    return jax.vmap(of_image)(boxes, of_each)
