"""RoI align: a small map of fixed size for each box, read from a large one between its cells.

He et al., 2017, "Mask R-CNN", section 3. Each cell of the small map is the mean of a grid of points
in its part of the box, each read between the four cells around it. All maps of a pyramid lie one
behind the other as rows, so that each box costs the same whichever map it is read from.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jaxdl.ops.boxes_overlap import area
from jaxdl.ops.derivatives import with_backward
from jaxdl.ops.forms import by_platform
from jaxdl.ops.wide import widen

# Boxes at a time, of all images, where there are many cores: their rows are gathered at once.
_TOGETHER = 64


class _Points(NamedTuple):
    """What each box reads, and how much of it.

    Attributes:
      rows: (…, points, points) int32, of the image; each second point is the first one's neighbour.
      y: (…, size, points a cell) the weights of a column of points.
      x: as y, of a row.
    """

    rows: jax.Array
    y: jax.Array
    x: jax.Array


def roi_align(
    maps: jax.Array,
    boxes: jax.Array,
    size: int,
    scale: float = 1.0,
    *,
    samples: int = 2,
    aligned: bool = False,
) -> jax.Array:
    """(batch, n, size, size, c), of maps' dtype: what each box (batch, n, 4) holds of its map.

    Args:
      maps: (batch, h, w, c).
      boxes: x0 y0 x1 y1 in pixels of the image; constants for the gradient, as in torchvision.
      size: of a small map's side.
      scale: cells a pixel: 1 / 16 for a map of stride 16.
      samples: points a cell in either direction, at least 1.
      aligned: a pixel's middle is at its half, as in Detectron2; else at its corner, and a box is
        at least one cell large, as torchvision's detectors have it.
    """
    level = jnp.zeros(boxes.shape[:2], jnp.int32)
    return pyramid_roi_align([maps], boxes, level, size, [scale], samples=samples, aligned=aligned)


def pyramid_roi_align(
    maps: Sequence[jax.Array],
    boxes: jax.Array,
    level: jax.Array,
    size: int,
    scales: Sequence[float],
    *,
    samples: int = 2,
    aligned: bool = False,
) -> jax.Array:
    """`roi_align`, each box from the map that ``level`` names.

    Args:
      maps: each (batch, h, w, c), h and w any, the rest alike.
      boxes: (batch, n, 4).
      level: (batch, n) integers, places in ``maps``; `levels` has the usual choice.
      size: as `roi_align`'s.
      scales: of each map.
      samples: as `roi_align`'s.
      aligned: as `roi_align`'s.

    Raises:
      ValueError: ``size`` or ``samples`` is below 1.
    """
    if size < 1 or samples < 1:
        raise ValueError(f"size={size} and samples={samples} must be at least 1")
    batch, n, c = *boxes.shape[:2], maps[0].shape[-1]
    cells = [m.shape[1] * m.shape[2] for m in maps]
    rows = jnp.concatenate([m.reshape(batch, -1, c) for m in maps], axis=1)
    starts = [sum(cells[:i]) for i in range(len(cells))]
    number = lambda values, dtype: jnp.asarray(values, dtype)[level].reshape(-1)
    boxes = lax.stop_gradient(widen(boxes))
    points = _points(
        boxes.reshape(-1, 4) * number(scales, boxes.dtype)[:, None] - (0.5 if aligned else 0),
        number(starts, jnp.int32),
        number([m.shape[1] for m in maps], jnp.int32),
        number([m.shape[2] for m in maps], jnp.int32),
        (size, samples, 0 if aligned else 1),
    )
    points = jax.tree.map(lambda x: x.reshape(batch, n, *x.shape[1:]), points)
    return _read(rows.shape, rows, points)


def levels(boxes: jax.Array, least: int, most: int) -> jax.Array:
    """(…) int32: the map, counted from ``least``, for boxes (…, 4) (Lin et al., 2017, equation 1).

    A box of 224 pixels' side is read from stride 16, 2^4; half as large, from half the stride.

    Args:
      boxes: x0 y0 x1 y1 in pixels.
      least: log2 of the first map's stride.
      most: of the last one's.
    """
    side = jnp.sqrt(area(boxes))
    found = jnp.floor(4 + jnp.log2(side / 224) + 1e-6)
    return (jnp.clip(found, least, most) - least).astype(jnp.int32)


def _points(
    boxes: jax.Array, start: jax.Array, h: jax.Array, w: jax.Array, how: tuple[int, int, int]
) -> _Points:
    y, wy = _axis(boxes[:, 1], boxes[:, 3], h, *how)
    x, wx = _axis(boxes[:, 0], boxes[:, 2], w, *how)
    rows = start[:, None, None] + y[:, :, None] * w[:, None, None] + x[:, None, :]
    return _Points(rows, wy, wx)


def _axis(
    low: jax.Array, high: jax.Array, cells: jax.Array, size: int, samples: int, least: int
) -> tuple[jax.Array, jax.Array]:
    """Cells (n, 2 · size · samples) that boxes (n,) read along one axis, and weights of them."""
    side = high - low
    step = (jnp.maximum(side, least) if least else side) / (size * samples)
    count = jnp.arange(size * samples, dtype=side.dtype) + 0.5
    place = low[:, None] + count[None] * step[:, None]
    last = (cells - 1)[:, None]
    # Up to a cell beyond the edge is the edge's; further out is 0.
    inside = (place >= -1) & (place <= (last + 1).astype(place.dtype))
    place = jnp.clip(place, 0, last.astype(place.dtype))
    first = jnp.floor(place)
    part = place - first
    first = first.astype(jnp.int32)
    index = jnp.stack([first, jnp.minimum(first + 1, last)], axis=-1)
    weight = jnp.stack([1 - part, part], axis=-1) * inside.astype(part.dtype)[..., None] / samples
    n = low.shape[0]
    return index.reshape(n, -1), weight.reshape(n, size, 2 * samples)


def _one(rows: jax.Array, points: _Points) -> jax.Array:
    """(size, size, c) of one box, in at least float32."""
    (size, each), c = points.y.shape, rows.shape[-1]
    y, x = widen(points.y).reshape(-1), widen(points.x).reshape(-1)
    # The four around each point are added as they are read, in one loop; points are added after it.
    four = [
        widen(rows[points.rows[a::2, b::2]]) * (y[a::2, None] * x[None, b::2])[..., None]
        for a in (0, 1)
        for b in (0, 1)
    ]
    read = four[0] + four[1] + four[2] + four[3]
    return read.reshape(size, each // 2, size, each // 2, c).sum((1, 3))


def _spread(bar: jax.Array, points: _Points) -> jax.Array:
    """(2 · size · samples, as many, c): the transpose of what `_one` makes of what it reads."""
    size, each = points.y.shape
    side = size * each
    y, x = points.y.reshape(side, 1, 1), points.x.reshape(1, side, 1)
    wide = jnp.repeat(jnp.repeat(bar, each, axis=0), each, axis=1)
    return wide * y.astype(bar.dtype) * x.astype(bar.dtype)


def _forward(together: int, rows: jax.Array, points: _Points) -> jax.Array:
    one = lambda box: _one(rows, box).astype(rows.dtype)
    if together == 1:
        return lax.map(one, points)
    made = lax.map(jax.vmap(one), _grouped(together, points))
    n = points.rows.shape[0]
    return made.reshape(made.shape[0] * together, *made.shape[2:])[:n]


def _grouped(together: int, boxes: Any) -> Any:
    """Arrays (n, …) as (groups, together, …); what fills the last group is 0.

    n may be unknown, as the batch of an exported program is.
    """

    def grouped(x: jax.Array) -> jax.Array:
        groups = (x.shape[0] + together - 1) // together
        fill = (0, groups * together - x.shape[0])
        filled = jnp.pad(x, [fill, *[(0, 0)] * (x.ndim - 1)])
        return filled.reshape(groups, together, *x.shape[1:])

    return jax.tree.map(grouped, boxes)


def _backward(together: int, zeros: jax.Array, points: _Points, bar: jax.Array) -> jax.Array:
    """Cotangent of rows, a few boxes at a time into one array."""
    boxes = (points, bar)
    if together > 1:
        # What is added to fill the last group has weight 0.
        boxes = _grouped(together, boxes)
    spread = _spread if together == 1 else jax.vmap(_spread)
    add = lambda total, box: (total.at[box[0].rows].add(spread(box[1], box[0])), None)
    return lax.scan(add, zeros, boxes)[0]


def _on_each(form: Callable[..., jax.Array], shape: tuple, *arrays: Any) -> jax.Array:
    """``form(boxes at a time, …)`` of arrays (batch, …) of which rows have ``shape``.

    Where there are many cores each image by itself, so that images on several chips stay there.
    A CPU does one box after the other, whosever it is.
    """
    batch = shape[0]
    together = max(1, _TOGETHER // (batch if isinstance(batch, int) else 8))
    return by_platform(
        jax.vmap(functools.partial(form, together)), *arrays, cpu=functools.partial(_flat, form)
    )


def _flat(form: Callable[..., jax.Array], *arrays: Any) -> jax.Array:
    """The boxes of all images as those of one, which has all their rows."""
    rows = next(x for x in arrays if not isinstance(x, _Points))
    batch, cells = rows.shape[:2]

    def joined(x: Any) -> Any:
        if isinstance(x, _Points):
            own = jnp.arange(batch, dtype=jnp.int32).reshape(-1, 1, 1, 1) * cells
            x = x._replace(rows=x.rows + own)
        return jax.tree.map(lambda a: a.reshape(-1, *a.shape[2:]), x)

    made = form(1, *map(joined, arrays))
    return made.reshape(batch, -1, *made.shape[1:])


def _gather(shape: tuple, rows: jax.Array, points: _Points) -> jax.Array:
    return _on_each(_forward, shape, rows, points)


def _gather_and_keep(shape: tuple, rows: jax.Array, points: _Points) -> tuple:
    return _gather(shape, rows, points), points


def _scatter(shape: tuple, points: _Points, bar: jax.Array) -> tuple:
    wide = widen(bar)
    zeros = jnp.zeros(shape, wide.dtype)
    return _on_each(_backward, shape, zeros, points, wide).astype(bar.dtype), None


def _tangent(shape: tuple, points: _Points, dots: tuple) -> jax.Array:
    return _gather(shape, dots[0], points)


# Left to JAX, each box's share would be written to an array as large as the map, and added.
_read = with_backward(_gather_and_keep, _scatter, value=_gather, tangent=_tangent, static=(0,))
