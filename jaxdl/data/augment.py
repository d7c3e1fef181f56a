"""Image augmentation on the device: pure functions of (key, images), free to jit inside a step.

Images are (batch, h, w, c), floating, in [0, 1]; every example draws its own transformation.
Labels that are mixed are distributions over classes, (batch, num_classes) float32.
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from jaxdl.per_member import any_on

Images = jax.Array
Augment = Callable[[jax.Array, Images, jax.Array], tuple[Images, jax.Array]]


def random_shift(key: jax.Array, images: Images, pixels: int) -> Images:
    """Moves each image by up to ``pixels`` in both directions, zeros coming in.

    The same distribution as padding by ``pixels`` and cropping at random to the old size.
    """
    B, H, W, C = images.shape
    p = pixels
    padded = jnp.pad(images, ((0, 0), (p, p), (p, p), (0, 0)))
    starts_Bx2 = jax.random.randint(key, (B, 2), 0, 2 * p + 1, jnp.int32)
    crop = lambda image, start: jax.lax.dynamic_slice(image, (start[0], start[1], 0), (H, W, C))
    return jax.vmap(crop)(padded, starts_Bx2)


def random_affine(
    key: jax.Array,
    images: Images,
    *,
    rotate: float = 0.0,
    zoom: float = 0.0,
    shear: float = 0.0,
    shift: float = 0.0,
) -> Images:
    """Rotates, zooms, shears and moves each image about its centre, bilinearly, zeros outside.

    Args:
      key: typed random key.
      images: (batch, h, w, c).
      rotate: largest angle in degrees, either way.
      zoom: largest change of size; .1 draws a factor in exp(±.1).
      shear: largest horizontal shear, columns per row.
      shift: largest move in pixels, fractions included.
    """
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
    return _bilinear(images, from_y, from_x)


def _bilinear(images: Images, y: jax.Array, x: jax.Array) -> Images:
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


def random_resized_crop(key: jax.Array, images: Images, smallest: float) -> Images:
    """Crops a random part of each image and scales it to the full size (Szegedy et al., 2014).

    Args:
      key: typed random key.
      images: (batch, h, w, c).
      smallest: least part of the area that is kept, in (0, 1]; aspect ratios in [3/4, 4/3].
    """
    B, H, W, C = images.shape
    k_area, k_aspect, k_place = jax.random.split(key, 3)
    area = jax.random.uniform(k_area, (B,), jnp.float32, minval=smallest, maxval=1.0)
    # A large part leaves less room for stretching: its sides must stay inside the image.
    most = jnp.minimum(jnp.log(4 / 3), -jnp.log(area))
    stretch = jax.random.uniform(k_aspect, (B,), jnp.float32, minval=-1.0, maxval=1.0)
    aspect = jnp.exp(stretch * most)
    side_Bx2 = jnp.minimum(jnp.sqrt(jnp.stack([area / aspect, area * aspect], axis=1)), 1.0)
    scale_Bx2 = 1 / side_Bx2
    size = jnp.array([H, W], images.dtype)
    corner_Bx2 = jax.random.uniform(k_place, (B, 2), jnp.float32) * (1 - side_Bx2) * size
    resize = lambda image, scale, corner: jax.image.scale_and_translate(
        image, (H, W, C), (0, 1), scale, -corner * scale, "linear", antialias=True
    )
    return jax.vmap(resize)(images, scale_Bx2, corner_Bx2)


def random_flip(key: jax.Array, images: Images) -> Images:
    """Mirrors half of the images, left to right."""
    flipped = jax.random.bernoulli(key, jnp.float32(0.5), (images.shape[0], 1, 1, 1))
    return jnp.where(flipped, images[:, :, ::-1], images)


def color_jitter(
    key: jax.Array,
    images: Images,
    *,
    brightness: float = 0.0,
    contrast: float = 0.0,
    saturation: float = 0.0,
) -> Images:
    """Blends each image with black, its mean grey, and its own grey version; clips to [0, 1].

    Each strength s in [0, 1] draws a factor in [1 - s, 1 + s]; 0 leaves that property alone.
    Grey is ITU-R BT.601 luma for three channels, the mean of the channels otherwise.
    """
    B, C = images.shape[0], images.shape[-1]
    luma = jnp.array([0.299, 0.587, 0.114] if C == 3 else [1 / C] * C, jnp.float32)
    draw = jax.random.uniform(key, (3, B, 1, 1, 1), jnp.float32, minval=-1.0, maxval=1.0)

    def blend(images: Images, other: jax.Array, draw: jax.Array, strength: float) -> Images:
        factor = 1 + draw * strength
        return jnp.clip(factor * images + (1 - factor) * other, 0.0, 1.0).astype(images.dtype)

    gray = lambda images: (images * luma).sum(-1, keepdims=True)
    if any_on(brightness):
        images = blend(images, jnp.zeros_like(images), draw[0], brightness)
    if any_on(contrast):
        mean = gray(images).mean((1, 2), keepdims=True)
        images = blend(images, mean, draw[1], contrast)
    if C > 1 and any_on(saturation):
        images = blend(images, gray(images), draw[2], saturation)
    return images


def _neighbour(a: jax.Array) -> jax.Array:
    """The example before each one, whose order is random already.

    A permutation would do the same, but gather the whole batch on every device of a mesh.
    """
    return jnp.roll(a, 1, axis=0)


def mixup(
    key: jax.Array, images: Images, labels: jax.Array, alpha: float
) -> tuple[Images, jax.Array]:
    """Blends each example with the one before it by λ ~ Beta(α, α) (Zhang et al., 2017).

    Args:
      key: typed random key.
      images: (batch, h, w, c).
      labels: (batch, num_classes), distributions.
      alpha: > 0.
    """
    images, labels = jnp.asarray(images), jnp.asarray(labels)
    share_B = jax.random.beta(key, alpha, alpha, images.shape[:1], jnp.float32)
    mix = lambda a, share: (share * a + (1 - share) * _neighbour(a)).astype(a.dtype)
    return mix(images, share_B[:, None, None, None]), mix(labels, share_B[:, None])


def cutmix(
    key: jax.Array, images: Images, labels: jax.Array, alpha: float
) -> tuple[Images, jax.Array]:
    """Pastes a box of the example before into each, labels mixed by area (Yun et al., 2019).

    The box has 1 - λ of the area, λ ~ Beta(α, α), at a uniform place, cut off at the edges; labels
    follow the area that is really covered. Arguments as `mixup`'s.
    """
    images, labels = jnp.asarray(images), jnp.asarray(labels)
    k_share, k_place = jax.random.split(key)
    B, H, W, _ = images.shape
    side_B = jnp.sqrt(1 - jax.random.beta(k_share, alpha, alpha, (B,), jnp.float32))
    place_2xB = jax.random.uniform(k_place, (2, B), jnp.float32)
    centre_2xB = place_2xB * jnp.array([[H], [W]])

    def inside(size: int, centre_B: jax.Array) -> jax.Array:
        half_B = side_B * size / 2
        low = jnp.clip(jnp.round(centre_B - half_B), 0, size)[:, None]
        high = jnp.clip(jnp.round(centre_B + half_B), 0, size)[:, None]
        at = jnp.arange(size)
        return (at >= low) & (at < high)

    box_BxHxW = inside(H, centre_2xB[0])[:, :, None] & inside(W, centre_2xB[1])[:, None, :]
    covered_B = box_BxHxW.mean((1, 2), dtype=jnp.float32)
    kept_B = jnp.maximum(1 - covered_B[:, None], 0)  # rounding can leave -1e-8
    mixed = jnp.where(box_BxHxW[..., None], _neighbour(images), images)
    return mixed, kept_B * labels + (1 - kept_B) * _neighbour(labels)


def create(settings: Mapping[str, Any], num_classes: int) -> Augment:
    """The augmentation that a config describes.

    Args:
      settings: the keys of `config.augment` (see `jaxdl.config`); 0 or False leaves one out.
      num_classes: for the mixed labels.

    Returns:
      A function (key, images, labels (batch,) int) -> (images, labels), whose labels are
      distributions (batch, num_classes) if mixup or cutmix is on, and unchanged otherwise.
    """
    s = settings
    affine = {name: s[name] for name in ("rotate", "zoom", "shear")}
    jitter = {name: s[name] for name in ("brightness", "contrast", "saturation")}

    def augment(key: jax.Array, images: Images, labels: jax.Array) -> tuple[Images, jax.Array]:
        k_crop, k_move, k_flip, k_color, k_mix, k_cut, k_which = jax.random.split(key, 7)
        if s["crop"] < 1:
            images = random_resized_crop(k_crop, images, s["crop"])
        if any(affine.values()):
            images = random_affine(k_move, images, shift=s["shift"], **affine)
        elif s["shift"]:
            images = random_shift(k_move, images, s["shift"])
        if s["flip"]:
            images = random_flip(k_flip, images)
        if any(map(any_on, jitter.values())):
            images = color_jitter(k_color, images, **jitter)
        if not (s["mixup"] or s["cutmix"]):
            return images, labels
        labels = jax.nn.one_hot(labels, num_classes, dtype=jnp.float32)
        if s["mixup"] and s["cutmix"]:  # one of the two for each batch
            return jax.lax.cond(
                jax.random.bernoulli(k_which),
                lambda: mixup(k_mix, images, labels, s["mixup"]),
                lambda: cutmix(k_cut, images, labels, s["cutmix"]),
            )
        if s["mixup"]:
            return mixup(k_mix, images, labels, s["mixup"])
        return cutmix(k_cut, images, labels, s["cutmix"])

    return augment
