"""How much two boxes have in common: IoU, and the three that say something of boxes apart.

All take boxes (…, 4) as x0 y0 x1 y1 in any one unit, broadcast them against each other, and give
(…) in at least float32. An empty box overlaps with nothing: its IoU is 0, also with itself.
"""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax

from jaxdl.ops.wide import widen


def area(boxes: jax.Array) -> jax.Array:
    """(…): width times height of boxes (…, 4)."""
    x0, y0, x1, y1 = _sides(boxes)
    return (x1 - x0) * (y1 - y0)


def pairwise(
    overlap: Callable[[jax.Array, jax.Array], jax.Array], a: jax.Array, b: jax.Array
) -> jax.Array:
    """(…, n, m): of each of ``a`` (…, n, 4) with each of ``b`` (…, m, 4), by `iou` or another."""
    return overlap(a[..., :, None, :], b[..., None, :, :])


def iou(a: jax.Array, b: jax.Array) -> jax.Array:
    """Area in common over area of both together, 0 … 1.

    Boxes that only touch have no gradient.
    """
    return _iou(a, b)[0]


def giou(a: jax.Array, b: jax.Array) -> jax.Array:
    """Generalised IoU, -1 … 1: less the share of the box around both that neither covers.

    Rezatofighi et al., 2019, "Generalized Intersection over Union".
    """
    value, union = _iou(a, b)
    w, h = _around(a, b)
    return value - _over(w * h - union, w * h)


def diou(a: jax.Array, b: jax.Array) -> jax.Array:
    """Distance IoU, -1 … 1: less the squared distance of middles over that box's diagonal.

    Zheng et al., 2020, "Distance-IoU Loss".
    """
    return iou(a, b) - _distance(a, b)


def ciou(a: jax.Array, b: jax.Array) -> jax.Array:
    """Complete IoU: `diou`, less α v, v the squared difference of the angles of the diagonals.

    Zheng et al., 2020, as above; α = v / (1 - IoU + v) is a constant for the gradient.
    """
    value = iou(a, b)
    v = (4 / math.pi**2) * jnp.square(_angle(a) - _angle(b))
    alpha = lax.stop_gradient(_over(v, 1 - value + v))
    return value - _distance(a, b) - alpha * v


def _sides(boxes: jax.Array) -> tuple[jax.Array, ...]:
    boxes = widen(boxes)
    return tuple(boxes[..., i] for i in range(4))


def _over(x: jax.Array, y: jax.Array) -> jax.Array:
    """x / y, and 0 with a gradient of 0 where y is 0."""
    safe = y != 0
    return jnp.where(safe, x / jnp.where(safe, y, 1), 0)


def _iou(a: jax.Array, b: jax.Array) -> tuple[jax.Array, jax.Array]:
    """IoU and union."""
    ax0, ay0, ax1, ay1 = _sides(a)
    bx0, by0, bx1, by1 = _sides(b)
    w = jnp.minimum(ax1, bx1) - jnp.maximum(ax0, bx0)
    h = jnp.minimum(ay1, by1) - jnp.maximum(ay0, by0)
    common = jnp.where((w > 0) & (h > 0), w * h, 0)
    union = (ax1 - ax0) * (ay1 - ay0) + (bx1 - bx0) * (by1 - by0) - common
    return _over(common, union), union


def _around(a: jax.Array, b: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Width and height of the smallest box around both."""
    ax0, ay0, ax1, ay1 = _sides(a)
    bx0, by0, bx1, by1 = _sides(b)
    return (
        jnp.maximum(ax1, bx1) - jnp.minimum(ax0, bx0),
        jnp.maximum(ay1, by1) - jnp.minimum(ay0, by0),
    )


def _distance(a: jax.Array, b: jax.Array) -> jax.Array:
    """Squared, between middles, over the squared diagonal of the box around both."""
    ax0, ay0, ax1, ay1 = _sides(a)
    bx0, by0, bx1, by1 = _sides(b)
    dx, dy = (ax0 + ax1 - bx0 - bx1) / 2, (ay0 + ay1 - by0 - by1) / 2
    w, h = _around(a, b)
    return _over(dx * dx + dy * dy, w * w + h * h)


def _angle(boxes: jax.Array) -> jax.Array:
    """arctan(width / height); 0 for a point, which has none."""
    x0, y0, x1, y1 = _sides(boxes)
    w, h = x1 - x0, y1 - y0
    point = (w == 0) & (h == 0)
    return jnp.where(point, 0, jnp.arctan2(jnp.where(point, 0, w), jnp.where(point, 1, h)))
