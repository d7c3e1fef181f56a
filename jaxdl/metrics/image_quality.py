"""How near a picture is to the one that it should be: PSNR, and SSIM.

Pictures are (batch, h, w, c), floating; each has a figure of its own, which add up as any `Mean`
does. Both have derivatives of any order, and may be a loss.
"""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl.metrics.directions import HIGH
from jaxdl.ops.wide import widen

DIRECTIONS = {"psnr": HIGH, "ssim": HIGH}

# Wang et al., 2004, section III-B and C: the deviation and side of the window, and the constants
# that keep what is divided by from 0.
SIGMA, WINDOW = 1.5, 11
K1, K2 = 0.01, 0.03


def psnr(found: jax.Array, true: jax.Array, *, peak: float = 1.0) -> jax.Array:
    """Peak signal-to-noise ratio, ``10 log₁₀ (peak² / mean squared error)``, in decibels.

    Args:
      found: (batch, …), floating.
      true: the same shape.
      peak: between the darkest and the brightest that there can be.

    Returns:
      (batch,) in at least float32; infinite where nothing differs.
    """
    found, true = widen(found), widen(true)
    errors = jnp.square(found - true).reshape(found.shape[0], -1).mean(axis=1)
    return -10 / math.log(10) * jnp.log(errors / peak**2)


def ssim(found: jax.Array, true: jax.Array, *, peak: float = 1.0) -> jax.Array:
    """Structural similarity (Wang, Bovik, Sheikh and Simoncelli, 2004, equation 13), its mean.

    Of windows of 11 x 11 pixels, which a Gaussian of deviation 1.5 weighs, those that lie in the
    picture whole; of each channel by itself. It is scikit-image's ``structural_similarity`` with
    ``gaussian_weights=True, sigma=1.5, use_sample_covariance=False``.

    Args:
      found: (batch, h, w, c), floating, at least 11 pixels a side.
      true: the same shape.
      peak: between the darkest and the brightest that there can be.

    Returns:
      (batch,) in at least float32: 1 where nothing differs, at least -1.

    Raises:
      ValueError: the pictures are too small for a window.
    """
    if min(found.shape[1:3]) < WINDOW:
        raise ValueError(f"pictures of {found.shape[1:3]} are smaller than a window of {WINDOW}")
    # About the middle: of squares less digits are lost, and shifts change no covariance.
    x, y = widen(found) - peak / 2, widen(true) - peak / 2
    mean_x, mean_y = _weighed(x), _weighed(y)
    var_x, var_y = _weighed(x * x) - mean_x**2, _weighed(y * y) - mean_y**2
    both = _weighed(x * y) - mean_x * mean_y
    c1, c2 = (K1 * peak) ** 2, (K2 * peak) ** 2
    mean_x, mean_y = mean_x + peak / 2, mean_y + peak / 2
    brightness = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    structure = (2 * both + c2) / (var_x + var_y + c2)
    return (brightness * structure).reshape(x.shape[0], -1).mean(axis=1)


def shaved(images: jax.Array, pixels: int) -> jax.Array:
    """Pictures (batch, h, w, c) without so many rows and columns at each edge."""
    return images[:, pixels : images.shape[1] - pixels, pixels : images.shape[2] - pixels]


def _weighed(x: jax.Array) -> jax.Array:
    """The mean of each window of (batch, h, w, c) by the Gaussian's weights."""
    # Slices, and no convolution: that of a single channel is slow on a CPU, and in 16 bits on TPUs.
    weights = np.exp(-0.5 * ((np.arange(WINDOW) - WINDOW // 2) / SIGMA) ** 2)
    weights = (weights / weights.sum()).tolist()
    for axis in (1, 2):
        size = x.shape[axis] - WINDOW + 1
        parts = [jax.lax.slice_in_dim(x, i, i + size, axis=axis) for i in range(WINDOW)]
        x = functools.reduce(jnp.add, [w * part for w, part in zip(weights, parts, strict=True)])
    return x
