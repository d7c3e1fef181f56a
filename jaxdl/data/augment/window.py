"""Pieces of pictures, laid where there is something: most of many a picture is ground."""

import jax
import jax.numpy as jnp

from jaxdl.data.augment.geometry import with_boxes
from jaxdl.data.augment.transform import Batch, changed, moves
from jaxdl.errors import UserError


@moves("image", "mask", "boxes", "visible")
def random_window(key: jax.Array, batch: Batch, side: int) -> Batch:
    """A square piece of each image around a thing in it: (batch, side, side, c).

    Isensee et al., 2021, "nnU-Net", section "Patch sampling", lay a third of their pieces so that
    there is something in them; here it is all of them. A pixel of ``mask`` that is not 0, each as
    likely as another, lies in the middle half of the piece, unless the image's edge is too near; of
    a batch without masks it is a point in one of the ``present`` boxes. Of an image with nothing in
    it the piece is anywhere.

    Args:
      key: typed random key.
      batch: with ``image`` (batch, h, w, c).
      side: pixels, at most h and w.

    Raises:
      UserError: the images are smaller.
    """
    B, H, W, _ = batch["image"].shape
    if side > min(H, W):
        raise UserError(
            f"config.augment_scene.window={side} is more than the images have, {H}x{W} pixels"
        )
    k_what, k_where, k_any = jax.random.split(key, 3)
    size = jnp.array([H, W], jnp.float32)
    point = jax.random.uniform(k_any, (B, 2), jnp.float32) * size
    if "mask" in batch:
        point = _of_masks(k_what, batch["mask"], point)
    elif "boxes" in batch:
        point = _of_boxes(k_what, batch, point)
    middle = jax.random.uniform(k_where, (B, 2), jnp.float32, minval=0.25, maxval=0.75) * side
    start = jnp.clip(jnp.round(point - middle), 0, size - side).astype(jnp.int32)

    def cut(x: jax.Array) -> jax.Array:
        at = lambda start: (start[0], start[1], *(jnp.int32(0) for _ in x.shape[3:]))
        piece = lambda x, start: jax.lax.dynamic_slice(x, at(start), (side, side, *x.shape[2:]))
        return jax.vmap(piece)(jnp.asarray(x), start)

    follow = lambda corners: corners - start[:, None, None, ::-1]
    return changed(batch, image=cut, mask=cut, **with_boxes(batch, follow, side, side))


def _of_masks(key: jax.Array, mask: jax.Array, otherwise: jax.Array) -> jax.Array:
    """(batch, 2) row and column of the centre of a pixel of each mask (batch, h, w), not of 0."""
    B, H, W = mask.shape
    so_far = jnp.cumsum((jnp.asarray(mask) != 0).reshape(B, H * W), axis=1, dtype=jnp.int32)
    count = so_far[:, -1:]
    share = jax.random.uniform(key, (B, 1), jnp.float32)
    chosen = jnp.floor(share * count.astype(jnp.float32)).astype(jnp.int32)
    # How many come before the one that has as many of its kind before it as were drawn.
    at = (so_far <= jnp.minimum(chosen, count - 1)).sum(axis=1, dtype=jnp.int32)
    pixel = jnp.stack([at // W, at % W], axis=1).astype(jnp.float32) + 0.5
    return jnp.where(count > 0, pixel, otherwise)


def _of_boxes(key: jax.Array, batch: Batch, otherwise: jax.Array) -> jax.Array:
    """(batch, 2) row and column of a point in one of the boxes that are ``present``."""
    k_which, k_point = jax.random.split(key)
    boxes = jnp.asarray(batch["boxes"], jnp.float32)
    there = jnp.asarray(batch["present"], bool)
    drawn = jax.random.uniform(k_which, there.shape, jnp.float32)
    chosen = jnp.where(there, drawn, -1).argmax(axis=1)
    low, high = jnp.split(jnp.take_along_axis(boxes, chosen[:, None, None], axis=1)[:, 0], 2, 1)
    point = low + jax.random.uniform(k_point, low.shape, jnp.float32) * (high - low)
    return jnp.where(there.any(axis=1, keepdims=True), point[:, ::-1], otherwise)
