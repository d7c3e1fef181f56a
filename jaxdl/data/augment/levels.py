"""The operations of AutoAugment's kin on grey levels, to the level as Pillow has them.

Images are (h, w, c) int32 in [0, 255]. Where Pillow rounds, cuts off or works in fixed point, so do
these: policies were searched with it, and what was published was trained by it.
"""

import jax
import jax.numpy as jnp
import numpy as np

# Pillow's weights of red, green and blue, in 65536ths.
_LUMA = (19595, 38470, 7471)


def grey(image: jax.Array) -> jax.Array:
    """(h, w, 1): luma of three channels, rounded; else the mean of the channels, cut off."""
    if image.shape[-1] != 3:
        return image.sum(axis=-1, keepdims=True) // image.shape[-1]
    weighted = (image * jnp.array(_LUMA, jnp.int32)).sum(axis=-1, keepdims=True)
    return (weighted + 0x8000) >> 16


def blend(other: jax.Array, image: jax.Array, factor: jax.Array | float) -> jax.Array:
    """``other + factor (image - other)``, its fraction cut off, in [0, 255]."""
    mixed = other + factor * (image - other).astype(jnp.float32)
    return jnp.clip(mixed, 0, 255).astype(jnp.int32)


def brightness(image: jax.Array, factor: jax.Array | float) -> jax.Array:
    """Away from black; factor 1 changes nothing, here and in the next three."""
    return blend(jnp.zeros_like(image), image, factor)


def color(image: jax.Array, factor: jax.Array | float) -> jax.Array:
    """Away from its own grey."""
    return image if image.shape[-1] == 1 else blend(grey(image), image, factor)


def contrast(image: jax.Array, factor: jax.Array | float) -> jax.Array:
    """Away from the mean of its grey, rounded."""
    of = grey(image)
    mean = jnp.floor(of.mean(dtype=jnp.float32) + 0.5).astype(jnp.int32)
    return blend(jnp.broadcast_to(mean, image.shape), image, factor)


def sharpness(image: jax.Array, factor: jax.Array | float) -> jax.Array:
    """Away from a mean of 3 x 3 pixels, of which the middle one counts five times.

    Pixels of the rim, which have no such mean, stay.
    """
    h, w, _ = image.shape
    if min(h, w) < 3:
        return image
    parts = [image[y : h - 2 + y, x : w - 2 + x] for y in range(3) for x in range(3)]
    inner = (2 * (sum(parts) + 4 * image[1:-1, 1:-1]) + 13) // 26
    return blend(image.at[1:-1, 1:-1].set(inner), image, factor)


def posterize(image: jax.Array, bits: jax.Array | int) -> jax.Array:
    """Of the eight bits of each level only the first ``bits`` stay."""
    low = 8 - jnp.asarray(bits, jnp.int32)
    return (image >> low) << low


def solarize(image: jax.Array, threshold: jax.Array | float) -> jax.Array:
    """Levels from ``threshold`` on are turned over."""
    return jnp.where(image < threshold, image, 255 - image)


def autocontrast(image: jax.Array) -> jax.Array:
    """Each channel stretched, so that its darkest level is 0 and its brightest 255."""
    low, high = image.min(axis=(0, 1)), image.max(axis=(0, 1))
    return jnp.where(high > low, (image - low) * 255 // jnp.maximum(high - low, 1), image)


def equalize(image: jax.Array) -> jax.Array:
    """Each channel by a table that leaves its levels as even as whole numbers allow."""
    flat = image.reshape(-1, image.shape[-1])
    levels = jnp.arange(256)
    # By sorting: a histogram by one-hot vectors is 256 times the image.
    below = jax.vmap(lambda x: jnp.searchsorted(jnp.sort(x), levels), 1, 1)(flat)
    last = (flat == flat.max(axis=0)).sum(axis=0)
    step = (len(flat) - last) // 255
    table = jnp.minimum((step // 2 + below) // jnp.maximum(step, 1), 255)
    found = jnp.take_along_axis(table.astype(jnp.int32), flat, axis=0)
    return jnp.where(step > 0, found, flat).reshape(image.shape)


def rotation(degrees: np.ndarray | float, height: int, width: int) -> np.ndarray:
    """The matrix (…, 6) of `affine` that turns counter-clockwise about the middle; float64."""
    angle = -np.deg2rad(np.asarray(degrees, np.float64))
    cos, sin = np.round(np.cos(angle), 15), np.round(np.sin(angle), 15)
    x, y = width / 2, height / 2
    parts = [cos, sin, x - cos * x - sin * y, -sin, cos, y + sin * x - cos * y]
    return np.stack(np.broadcast_arrays(*parts), axis=-1)


def fixed(matrix: np.ndarray) -> np.ndarray:
    """A matrix (…, 6) in 65536ths, int32, and from the pixels' middles: what `affine` reads by."""
    a, b, c, d, e, f = np.moveaxis(np.asarray(matrix, np.float64), -1, 0)
    parts = [a, b, c + a * 0.5 + b * 0.5, d, e, f + d * 0.5 + e * 0.5]
    return np.floor(np.stack(parts, axis=-1) * 65536 + 0.5).astype(np.int32)


def affine(image: jax.Array, matrix: jax.Array) -> jax.Array:
    """What stands at x, y is read at a x + b y + c, d x + e y + f, the nearest; 0 outside.

    Args:
      image: (h, w, c).
      matrix: of `fixed`, (6,) int32.
    """
    h, w, channels = image.shape
    a, b, c, d, e, f = matrix
    y, x = jnp.mgrid[:h, :w].astype(jnp.int32)
    from_x, from_y = (a * x + b * y + c) >> 16, (d * x + e * y + f) >> 16
    inside = (from_x >= 0) & (from_x < w) & (from_y >= 0) & (from_y < h)
    at = jnp.clip(from_y, 0, h - 1) * w + jnp.clip(from_x, 0, w - 1)
    found = jnp.take(image.reshape(h * w, channels), at.reshape(-1), axis=0)
    return jnp.where(inside[..., None], found.reshape(image.shape), 0)
