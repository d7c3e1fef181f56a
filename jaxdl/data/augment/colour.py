"""Colours: what changes an image's values and moves nothing in it."""

import jax
import jax.numpy as jnp

from jaxdl.data.augment.transform import Batch, moves
from jaxdl.per_member import any_on


@moves("image")
def color_jitter(
    key: jax.Array,
    batch: Batch,
    *,
    brightness: float = 0.0,
    contrast: float = 0.0,
    saturation: float = 0.0,
) -> Batch:
    """Blends each image with black, its mean grey, and its own grey version; clips to [0, 1].

    Each strength s in [0, 1] draws a factor in [1 - s, 1 + s]; 0 leaves that property alone.
    Grey is ITU-R BT.601 luma for three channels, the mean of the channels otherwise.
    """
    images = batch["image"]
    B, C = images.shape[0], images.shape[-1]
    luma = jnp.array([0.299, 0.587, 0.114] if C == 3 else [1 / C] * C, jnp.float32)
    draw = jax.random.uniform(key, (3, B, 1, 1, 1), jnp.float32, minval=-1.0, maxval=1.0)

    def blend(images: jax.Array, other: jax.Array, draw: jax.Array, strength: float) -> jax.Array:
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
    return {**batch, "image": images}
