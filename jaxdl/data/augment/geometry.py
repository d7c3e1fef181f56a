"""Shifts, turns, crops and mirrors: what moves an image moves its mask and boxes with it.

Images are (batch, h, w, c), floating, in [0, 1]; masks, (batch, h, w) or (batch, h, w, c) of any
dtype, are read at the nearest pixel, and are 0 where nothing was. Boxes are (batch, n, 4) of x0,
y0, x1, y1 in pixels from the upper left corner, edges: the whole image is (0, 0, w, h). They are
cut off at the image's edges; of one that has left it nothing is between its edges. ``visible``
(batch, n), where a batch has it beside its boxes, is multiplied by the share of each box's area
that is left of it. Every example draws its own transformation.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxdl.data.augment.transform import Batch, changed, moves


@moves("image", "mask", "boxes", "visible")
def random_shift(key: jax.Array, batch: Batch, pixels: int) -> Batch:
    """Moves each image by up to ``pixels`` in both directions, zeros coming in.

    The same distribution as padding by ``pixels`` and cropping at random to the old size.
    """
    B, H, W, _ = batch["image"].shape
    p = pixels
    starts_Bx2 = jax.random.randint(key, (B, 2), 0, 2 * p + 1, jnp.int32)

    def move(x: jax.Array) -> jax.Array:
        x, rest = jnp.asarray(x), ((0, 0),) * (x.ndim - 3)
        padded = jnp.pad(x, ((0, 0), (p, p), (p, p), *rest))
        at = lambda start: (start[0], start[1], *(jnp.int32(0) for _ in rest))
        crop = lambda x, start: jax.lax.dynamic_slice(x, at(start), (H, W, *x.shape[2:]))
        return jax.vmap(crop)(padded, starts_Bx2)

    by_Bx2 = (p - starts_Bx2)[:, ::-1]
    follow = lambda corners: corners + by_Bx2[:, None, None]
    return changed(batch, image=move, mask=move, **with_boxes(batch, follow, H, W))


@moves("image", "mask", "boxes", "visible")
def random_affine(
    key: jax.Array,
    batch: Batch,
    *,
    rotate: float = 0.0,
    zoom: float = 0.0,
    shear: float = 0.0,
    shift: float = 0.0,
) -> Batch:
    """Rotates, zooms, shears and moves each image about its centre, bilinearly, zeros outside.

    A box becomes the smallest upright one around what it was turned to.

    Args:
      key: typed random key.
      batch: with ``image`` (batch, h, w, c).
      rotate: largest angle in degrees, either way.
      zoom: largest change of size; .1 draws a factor in exp(±.1).
      shear: largest horizontal shear, columns per row.
      shift: largest move in pixels, fractions included.
    """
    images = batch["image"]
    B, H, W, _ = images.shape
    draw = jax.random.uniform(key, (5, B), jnp.float32, minval=-1.0, maxval=1.0)
    angle = draw[0] * jnp.deg2rad(rotate)
    size = jnp.exp(draw[1] * zoom)
    cos, sin = jnp.cos(angle) / size, jnp.sin(angle) / size
    y, x = jnp.mgrid[:H, :W].astype(images.dtype).reshape(2, -1)
    y, x = y - (H - 1) / 2, x - (W - 1) / 2
    # For each pixel of the result, where in the source it comes from.
    column = lambda v: v[:, None]
    from_y = column(cos) * y - column(sin) * x
    from_x = column(sin) * y + column(cos) * x + column(draw[2] * shear) * y
    from_y = from_y + (H - 1) / 2 + column(draw[3] * shift)
    from_x = from_x + (W - 1) / 2 + column(draw[4] * shift)

    def follow(corners_BxNx4x2: jax.Array) -> jax.Array:
        # The way back, of edges, whose centre is half the image's sides.
        centre = jnp.array([W / 2, H / 2], jnp.float32)
        off = jnp.stack([draw[4], draw[3]], axis=-1)[:, None, None] * shift
        x, y = jnp.moveaxis(corners_BxNx4x2 - centre - off, -1, 0)
        c, s, t = (v[:, None, None] for v in (cos, sin, sin + draw[2] * shear))
        determinant = c * c + s * t
        back = jnp.stack([c * x - t * y, s * x + c * y], axis=-1)
        return back / determinant[..., None] + centre

    return changed(
        batch,
        image=lambda images: _bilinear(images, from_y, from_x),
        mask=lambda masks: _nearest(masks, from_y, from_x),
        **with_boxes(batch, follow, H, W),
    )


@moves("image", "mask", "boxes", "visible")
def random_resized_crop(key: jax.Array, batch: Batch, smallest: float) -> Batch:
    """Crops a random part of each image and scales it to the full size (Szegedy et al., 2014).

    Args:
      key: typed random key.
      batch: with ``image`` (batch, h, w, c).
      smallest: least part of the area that is kept, in (0, 1]; aspect ratios in [3/4, 4/3].
    """
    images = batch["image"]
    B, H, W, C = images.shape
    k_area, k_aspect, k_place = jax.random.split(key, 3)
    area = jax.random.uniform(k_area, (B,), jnp.float32, minval=smallest, maxval=1.0)
    # A large part leaves less room for stretching: its sides must stay inside the image.
    most = jnp.minimum(jnp.log(4 / 3), -jnp.log(area))
    aspect = jnp.exp(
        jax.random.uniform(k_aspect, (B,), jnp.float32, minval=-1.0, maxval=1.0) * most
    )
    side_Bx2 = jnp.minimum(jnp.sqrt(jnp.stack([area / aspect, area * aspect], axis=1)), 1.0)
    scale_Bx2 = 1 / side_Bx2
    size = jnp.array([H, W], images.dtype)
    corner_Bx2 = jax.random.uniform(k_place, (B, 2), jnp.float32) * (1 - side_Bx2) * size
    resize = lambda image, scale, corner: jax.image.scale_and_translate(
        image, (H, W, C), (0, 1), scale, -corner * scale, "linear", antialias=True
    )

    def read(masks: jax.Array) -> jax.Array:
        y, x = jnp.mgrid[:H, :W].astype(jnp.float32).reshape(2, -1)
        from_y, from_x = (
            (at + 0.5) * side_Bx2[:, i, None] + corner_Bx2[:, i, None] - 0.5
            for i, at in enumerate((y, x))
        )
        return _nearest(masks, from_y, from_x)

    turned = lambda v: v[:, None, None, ::-1]
    follow = lambda corners: (corners - turned(corner_Bx2)) * turned(scale_Bx2)
    return changed(
        batch,
        image=lambda images: jax.vmap(resize)(images, scale_Bx2, corner_Bx2),
        mask=read,
        **with_boxes(batch, follow, H, W),
    )


@moves("image", "mask", "boxes", "visible")
def random_flip(key: jax.Array, batch: Batch, vertical: bool = False) -> Batch:
    """Mirrors half of the images, left to right, or else upside down."""
    B, H, W, _ = batch["image"].shape
    flipped = jax.random.bernoulli(key, jnp.float32(0.5), (B, 1, 1, 1))
    axis, sign, start = (1, [1, -1], [0, H]) if vertical else (2, [-1, 1], [W, 0])

    def mirror(x: jax.Array) -> jax.Array:
        return jnp.where(flipped.reshape(B, *(1,) * (x.ndim - 1)), jnp.flip(x, axis), x)

    def follow(corners: jax.Array) -> jax.Array:
        return jnp.where(flipped, corners * jnp.array(sign) + jnp.array(start), corners)

    return changed(batch, image=mirror, mask=mirror, **with_boxes(batch, follow, H, W))


def _bilinear(images: jax.Array, y: jax.Array, x: jax.Array) -> jax.Array:
    """Reads images (batch, h, w, c) at real positions (batch, h·w), zeros outside."""
    B, H, W, C = images.shape
    flat = images.reshape(B, H * W, C)
    y0, x0 = jnp.floor(y), jnp.floor(x)
    total = jnp.zeros_like(flat)
    for dy in (0, 1):
        for dx in (0, 1):
            yi, xi = y0 + dy, x0 + dx
            weight = (1 - jnp.abs(y - yi)) * (1 - jnp.abs(x - xi))
            weight = jnp.where((yi >= 0) & (yi < H) & (xi >= 0) & (xi < W), weight, 0)
            index = jnp.clip(yi, 0, H - 1) * W + jnp.clip(xi, 0, W - 1)
            pixel = jnp.take_along_axis(flat, index.astype(jnp.int32)[..., None], axis=1)
            total = total + weight[..., None] * pixel
    return total.reshape(images.shape).astype(images.dtype)


def _nearest(masks: jax.Array, y: jax.Array, x: jax.Array) -> jax.Array:
    """Reads masks (batch, h, w) or (batch, h, w, c) at real positions (batch, h·w), 0 outside."""
    masks = jnp.asarray(masks)
    B, H, W = masks.shape[:3]
    yi, xi = jnp.round(y).astype(jnp.int32), jnp.round(x).astype(jnp.int32)
    inside = ((yi >= 0) & (yi < H) & (xi >= 0) & (xi < W))[..., None]
    index = jnp.clip(yi, 0, H - 1) * W + jnp.clip(xi, 0, W - 1)
    read = jnp.take_along_axis(masks.reshape(B, H * W, -1), index[..., None], axis=1)
    return jnp.where(inside, read, jnp.zeros((), masks.dtype)).reshape(masks.shape)


def with_boxes(
    batch: Batch, follow: Callable[[jax.Array], jax.Array], height: int, width: int
) -> dict[str, Callable[[jax.Array], jax.Array]]:
    """How ``boxes`` and ``visible`` change where corners go where ``follow`` takes them.

    Boxes become the smallest upright ones around their corners.

    Args:
      batch: with ``boxes`` (batch, n, 4), or without.
      follow: corners (batch, n, 4, 2) of x and y -> the same.
      height: of the image, at whose edges they are cut off.
      width: of the image.
    """
    if "boxes" not in batch:
        return {}
    x0, y0, x1, y1 = jnp.moveaxis(jnp.asarray(batch["boxes"]), -1, 0)
    corners = jnp.stack([x0, y0, x1, y0, x0, y1, x1, y1], axis=-1)
    moved = follow(corners.reshape(*corners.shape[:-1], 4, 2))
    whole = jnp.concatenate([moved.min(axis=-2), moved.max(axis=-2)], axis=-1)
    cut = jnp.clip(whole, 0, jnp.array([width, height] * 2)).astype(corners.dtype)
    return {"boxes": lambda _: cut, "visible": lambda share: share * share_left(cut, whole)}


def share_left(cut: jax.Array, whole: jax.Array) -> jax.Array:
    """Areas of boxes (…, 4) over those of the boxes that they were cut from; 0 of empty ones."""
    area = lambda box: (box[..., 2] - box[..., 0]) * (box[..., 3] - box[..., 1])
    return jnp.where(area(whole) > 0, area(cut) / jnp.maximum(area(whole), 1e-6), 0)
