"""How images are prepared for a model: read, scaled, cut and standardised."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from etils import epath

from jaxdl.data import pictures
from jaxdl.errors import UserError


class Preprocess(NamedTuple):
    """What a published model was trained to see; the defaults are those of most.

    Attributes:
      size: pixels a side of what goes in: a square from the centre.
      resize: pixels of the image's short side before that; its own size where it is 0.
      interpolation: "bilinear", "bicubic", "lanczos", "box", "hamming" or "nearest", antialiased
        where it shrinks.
      mean: of each channel, images in [0, 1]; subtracted.
      std: what is divided by then.
      channels: their order, "rgb" or "bgr"; that of mean and std too.
      squash: both sides are scaled to ``resize``, so that the cut leaves nothing out; some of
        transformers' models want it.
      floor_cut: where half a pixel would be cut off, the cut begins before it, as transformers has
        it; otherwise at the even one of its neighbours, as torchvision and timm have it.
    """

    size: int = 224
    resize: int = 256
    interpolation: str = "bilinear"
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    channels: str = "rgb"
    squash: bool = False
    floor_cut: bool = False


# What jax calls the kinds of interpolation.
_METHODS = dict(bilinear="linear", bicubic="cubic", lanczos="lanczos3", nearest="nearest")


def image(file: epath.Path, preprocess: Preprocess, channels: int = 3) -> np.ndarray:
    """One image as a model is to see it, but for `standardised`.

    To the bit what Resize and CenterCrop of torchvision (and timm) make of it; beyond them, a
    camera's note of how it was held is followed, and more than 8 bits are scaled to 8.

    Args:
      file: of any kind that Pillow reads.
      preprocess: of it size, resize, interpolation and squash.
      channels: 1 for grey, 3 for colour.

    Returns:
      (size, size, channels) uint8, colours as red, green, blue.

    Raises:
      UserError: the file cannot be read or decoded, or holds numbers without a white.
    """
    from PIL import Image

    how = Image.Resampling[preprocess.interpolation.upper()]
    with pictures.opened(file) as found:
        found = pictures.decoded(found, file, channels)
        found = found.resize(_scaled(*found.size, preprocess), how)
        left, top = (_margin(side, preprocess) for side in found.size)
        # What lies outside is black.
        found = found.crop((left, top, left + preprocess.size, top + preprocess.size))
    return np.asarray(found).reshape(preprocess.size, preprocess.size, channels)


def fitted(images: jax.Array, preprocess: Preprocess) -> jax.Array:
    """`image` for arrays (batch, h, w, c), free to jit: float32, before they are standardised.

    It rounds nowhere, where Pillow makes whole numbers of what it has scaled, twice: they are a
    level of 255 apart.

    Raises:
      UserError: jax does not interpolate so.
    """
    width, height = _scaled(images.shape[2], images.shape[1], preprocess)
    method = _METHODS.get(preprocess.interpolation)
    if method is None:
        raise UserError(
            f"interpolation {preprocess.interpolation!r} is Pillow's alone: scale pictures by it "
            "before they go in"
        )
    x = unit_range(images)
    x = jax.image.resize(x, (x.shape[0], height, width, x.shape[3]), method, antialias=True)
    before = [_margin(side, preprocess) for side in (height, width)]
    # Negative padding cuts.
    pads = [
        (-start, preprocess.size + start - side, 0)
        for start, side in zip(before, (height, width), strict=True)
    ]
    # Bicubic interpolation overshoots at edges.
    return jax.lax.pad(x.clip(0, 1), jnp.zeros((), x.dtype), [(0, 0, 0), *pads, (0, 0, 0)])


def standardised(images: jax.Array, preprocess: Preprocess) -> jax.Array:
    """What goes into the model; free to jit.

    Args:
      images: (…, c) uint8, or floats in [0, 1]; colours as red, green, blue.
      preprocess: of it channels, mean and std.

    Returns:
      The same shape, float32.
    """
    x = unit_range(images)
    if preprocess.channels == "bgr":
        x = x[..., ::-1]
    return (x - np.float32(preprocess.mean)) / np.float32(preprocess.std)


def of_channels(mean: np.ndarray, std: np.ndarray) -> Callable[[jax.Array], jax.Array]:
    """(batch, h, w, c) in [0, 1] -> (images - mean) / std, of one number or one a channel."""
    mean, std = (np.reshape(x, (1, 1, 1, -1)) for x in (mean, std))
    return lambda images: (images - mean) / std


def unit_range(images: jax.Array) -> jax.Array:
    """uint8 or floats to float32 in [0, 1]."""
    return images.astype(jnp.float32) * (1 / white(images.dtype))


def white(dtype: Any) -> float:
    """The number that is white in images of this dtype: 255 of bytes, 1 of floats."""
    return 255.0 if dtype == np.uint8 else 1.0


def _scaled(width: int, height: int, preprocess: Preprocess) -> tuple[int, int]:
    short = min(width, height)
    resize = preprocess.resize or short
    if preprocess.squash:
        return resize, resize
    return resize * width // short, resize * height // short


def _margin(side: int, preprocess: Preprocess) -> int:
    """Where the middle ``size`` of ``side`` begins; below 0 if there are fewer."""
    spare = side - preprocess.size
    if preprocess.floor_cut:
        return spare // 2
    return round(spare / 2) if spare > 0 else -(-spare // 2)
