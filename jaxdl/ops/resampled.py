"""Convolutions that double or halve an image with a filter against aliasing, as one convolution."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from jaxdl.ops.convolution import conv
from jaxdl.ops.upfirdn import BINOMIAL

# A filter and a kernel, one after the other without a cut between them, are one larger kernel. At
# an even place of the fine grid it meets other pixels than at an odd one, so that it is a plain
# convolution on the coarse grid, with the four kinds of fine pixels as channels: no product with
# zeros, none for pixels that are dropped, and the large image is passed over once.


def conv_upsampled(x: jax.Array, kernel: jax.Array, taps: Sequence[float] = BINOMIAL) -> jax.Array:
    """The convolution of the image that `jaxdl.ops.upfirdn.upsampled` makes, of twice the size.

    Zeros are put around the fine image far enough out that nothing of the filter's is cut off
    before the kernel sees it, as in Karras et al.'s code.

    Args:
      x: (batch, h, w, channels_in).
      kernel: (k, k, channels_in, channels_out), k odd, in x's dtype.
      taps: an even number, of sum 1.

    Returns:
      (batch, 2h, 2w, channels_out), in x's dtype.
    """
    k, T, F = kernel.shape[0], len(taps), kernel.shape[-1]
    before = k // 2 + (T + 1) // 2
    # Of y[i] = Σ_m joined[m] u[i + m - before], with u zero at odd places.
    joined = _joined(kernel, [2 * t for t in taps])
    extra = (before + 1) % 2  # zeros in front, so that even places meet odd elements
    joined, before = _even(joined, extra), before + extra
    n = joined.shape[0] // 2
    # (n, 2, n, 2, C, F), of an even place's elements in front of an odd one's.
    parts = joined.reshape(n, 2, n, 2, *kernel.shape[2:])[:, ::-1, :, ::-1]
    parts = parts.transpose(0, 2, 4, 1, 3, 5).reshape(n, n, -1, 4 * F)
    low = (before - 1) // 2
    y = conv(x, parts, padding=[(low, n - 1 - low)] * 2)
    B, H, W, _ = y.shape
    return y.reshape(B, H, W, 2, 2, F).transpose(0, 1, 3, 2, 4, 5).reshape(B, 2 * H, 2 * W, F)


def conv_downsampled(
    x: jax.Array, kernel: jax.Array, taps: Sequence[float] = BINOMIAL
) -> jax.Array:
    """The convolution of a filtered image, of every other place in both directions.

    Args:
      x: (batch, 2h, 2w, channels_in).
      kernel: as of `conv_upsampled`; so are the taps.

    Returns:
      (batch, h, w, channels_out), in x's dtype.
    """
    k, T = kernel.shape[0], len(taps)
    before = k // 2 + (T - 1) // 2
    extra = before % 2
    joined, before = _even(_joined(kernel, taps), extra), before + extra
    n = joined.shape[0] // 2
    parts = joined.reshape(n, 2, n, 2, *kernel.shape[2:]).transpose(0, 2, 1, 3, 4, 5)
    parts = parts.reshape(n, n, -1, kernel.shape[-1])
    B, H, W, C = x.shape
    kinds = x.reshape(B, H // 2, 2, W // 2, 2, C).transpose(0, 1, 3, 2, 4, 5)
    low = before // 2
    return conv(kinds.reshape(B, H // 2, W // 2, 4 * C), parts, padding=[(low, n - 1 - low)] * 2)


def _joined(kernel: jax.Array, taps: Sequence[float]) -> jax.Array:
    """(k, k, C, F) to (k + T - 1, k + T - 1, C, F): cross-correlates as both in turn do."""
    for axis in (0, 1):
        kernel = sum(tap * _shifted(kernel, axis, i, len(taps)) for i, tap in enumerate(taps[::-1]))
    return kernel


def _shifted(kernel: jax.Array, axis: int, by: int, T: int) -> jax.Array:
    pads = [(0, 0)] * kernel.ndim
    pads[axis] = (by, T - 1 - by)
    return jnp.pad(kernel, pads)


def _even(joined: jax.Array, extra: int) -> jax.Array:
    """With ``extra`` zeros in front, and one behind if the size would be odd."""
    pads = (extra, (joined.shape[0] + extra) % 2)
    return jnp.pad(joined, [pads, pads, (0, 0), (0, 0)])
