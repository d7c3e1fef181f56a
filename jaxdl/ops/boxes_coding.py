"""Boxes in other numbers: by their middle and size, and by how they differ from an anchor."""

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp

from jaxdl.ops.wide import widen

# No box is decoded to more than 62.5 times its anchor's width or height, as in Detectron.
LIMIT = math.log(1000 / 16)


def middles(boxes: jax.Array) -> jax.Array:
    """x0 y0 x1 y1 -> x y w h, x and y of the middle; (…, 4), in at least float32."""
    low, high = jnp.split(widen(boxes), 2, axis=-1)
    return jnp.concatenate([(low + high) / 2, high - low], axis=-1)


def corners(boxes: jax.Array) -> jax.Array:
    """The inverse of `middles`."""
    middle, size = jnp.split(widen(boxes), 2, axis=-1)
    return jnp.concatenate([middle - size / 2, middle + size / 2], axis=-1)


def clip(boxes: jax.Array, size: Sequence[float] | jax.Array) -> jax.Array:
    """What of boxes (…, 4) lies in an image; one outside becomes empty.

    Args:
      boxes: x0 y0 x1 y1.
      size: (height, width), or such an array that broadcasts against (…, 2), of their unit.
    """
    size = jnp.asarray(size, boxes.dtype)[..., ::-1]
    most = jnp.broadcast_to(jnp.concatenate([size, size], axis=-1), boxes.shape)
    return jnp.clip(boxes, 0, most)


def encode(
    boxes: jax.Array, anchors: jax.Array, weights: Sequence[float] = (1, 1, 1, 1)
) -> jax.Array:
    """How boxes differ from anchors: (Δx / w, Δy / h, log w'/w, log h'/h) times ``weights``.

    Girshick et al., 2014, "Rich feature hierarchies", appendix C.

    Args:
      boxes: (…, 4) as x0 y0 x1 y1.
      anchors: broadcast against boxes; none may be empty.
      weights: of x, y, w and h.

    Returns:
      (…, 4) in at least float32; -∞ for the size of an empty box.
    """
    boxes, anchors = jnp.broadcast_arrays(boxes, anchors)
    (xy, size), (anchor_xy, anchor_size) = (_halves(middles(x)) for x in (boxes, anchors))
    deltas = jnp.concatenate([(xy - anchor_xy) / anchor_size, jnp.log(size / anchor_size)], -1)
    return deltas * _alike(weights, deltas)


def decode(
    deltas: jax.Array,
    anchors: jax.Array,
    weights: Sequence[float] = (1, 1, 1, 1),
    limit: float = LIMIT,
) -> jax.Array:
    """The inverse of `encode`: boxes as x0 y0 x1 y1, broadcast, in at least float32.

    Args:
      deltas: (…, 4).
      anchors: broadcast against deltas.
      weights: as they were encoded with.
      limit: of the logarithm of width over width and of height over height.
    """
    deltas, anchors = jnp.broadcast_arrays(widen(deltas), anchors)
    move, grow = _halves(deltas / _alike(weights, deltas))
    anchor_xy, anchor_size = _halves(middles(anchors))
    xy = move * anchor_size + anchor_xy
    size = jnp.exp(jnp.minimum(grow, limit)) * anchor_size
    return jnp.concatenate([xy - size / 2, xy + size / 2], axis=-1)


def _halves(x: jax.Array) -> tuple[jax.Array, jax.Array]:
    return x[..., :2], x[..., 2:]


def _alike(weights: Sequence[float], deltas: jax.Array) -> jax.Array:
    return jnp.broadcast_to(jnp.asarray(weights, deltas.dtype), deltas.shape)
