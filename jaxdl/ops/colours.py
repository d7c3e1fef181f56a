"""Brightness and colour apart, by ITU-R BT.601, as pictures and videos are coded."""

import jax
import jax.numpy as jnp
import numpy as np

# ITU-R BT.601-7, 2.5: what red, green and blue are of brightness; and 219 levels of 255 from black,
# 16, to white, 235, for it, 224 around 128 for the differences of colour.
_R, _G, _B = 0.299, 0.587, 0.114
_LUMA, _CHROMA = 219 / 255, 224 / 255
_BLACK, _GREY = 16 / 255, 128 / 255

# (3, 3): rows are Y, Cb and Cr of red, green and blue.
_FORWARD = np.array(
    [
        [_LUMA * _R, _LUMA * _G, _LUMA * _B],
        [-_CHROMA * _R / (2 - 2 * _B), -_CHROMA * _G / (2 - 2 * _B), _CHROMA / 2],
        [_CHROMA / 2, -_CHROMA * _G / (2 - 2 * _R), -_CHROMA * _B / (2 - 2 * _R)],
    ]
)
_OFFSET = np.array([_BLACK, _GREY, _GREY])
_BACK = np.linalg.inv(_FORWARD)


def luminance(images: jax.Array) -> jax.Array:
    """Y of BT.601 with its footroom: from 16 / 255, black, to 235 / 255, white, as in MATLAB.

    It is what papers on super-resolution judge pictures by.

    Args:
      images: (…, 3) of red, green and blue in [0, 1], floating; of one channel it is what they are.

    Returns:
      (…, 1), in their dtype.
    """
    return images if images.shape[-1] == 1 else _mixed(images, _FORWARD[:1], _OFFSET[:1])


def to_ycbcr(images: jax.Array) -> jax.Array:
    """Red, green and blue (…, 3) in [0, 1] to Y, Cb and Cr, of bytes over 255; floating."""
    return _mixed(images, _FORWARD, _OFFSET)


def from_ycbcr(images: jax.Array) -> jax.Array:
    """The inverse of `to_ycbcr`; colours that there are not come out below 0 or above 1."""
    return _mixed(images, _BACK, -_BACK @ _OFFSET)


def _mixed(images: jax.Array, matrix: np.ndarray, offset: np.ndarray) -> jax.Array:
    # No product of matrices: it would be rounded to 16 bits where these are the default.
    x = [images[..., i] for i in range(3)]
    rows = [
        row[0] * x[0] + row[1] * x[1] + row[2] * x[2] + shift
        for row, shift in zip(matrix.tolist(), offset.tolist(), strict=True)
    ]
    return jnp.stack(rows, axis=-1)
