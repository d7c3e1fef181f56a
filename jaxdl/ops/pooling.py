"""Pooling over windows of an image."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxdl.ops import forms
from jaxdl.ops.convolution import out_size
from jaxdl.ops.derivatives import with_backward
from jaxdl.ops.geometry import Pads, spread


def max_pool(
    x: jax.Array,
    window: int = 2,
    stride: int | None = None,
    padding: int = 0,
    *,
    ceil: bool = False,
) -> jax.Array:
    """The largest value of each window; a remainder at the edge is dropped, or, with ``ceil``, not.

    The first of equal maxima takes the whole gradient, as in PyTorch.

    Args:
      x: (batch, height, width, channels), floating.
      window: side of the square window.
      stride: step between windows, the window's side by default.
      padding: pixels added on every side, fewer than ``window``; they never win.
      ceil: a remainder has a last window too, which reaches over the edge but begins in front of
        the padding behind it: PyTorch's ceil_mode, and Caffe's only one.

    Returns:
      (batch, out_size(height, …), out_size(width, …), channels).
    """
    return _max_pool(x, _places(x, window, stride, padding, ceil))


def avg_pool(
    x: jax.Array,
    window: int = 2,
    stride: int | None = None,
    padding: int = 0,
    *,
    count_padding: bool = True,
) -> jax.Array:
    """The mean of each window; arguments and shapes as `max_pool`'s.

    With ``count_padding`` what lies in the padding counts as zeros, without it not at all:
    PyTorch's count_include_pad.
    """
    places = _places(x, window, stride, padding)
    total = functools.partial(_reduce_window, initial=0.0, reduce=lax.add, places=places)
    # Where windows overlap, XLA on a CPU spreads the gradient by a plain loop over each; the
    # gradient of shifted images is a sum of shifted images, 3 times faster for 3x3 at stride 2.
    shifted = lambda x: functools.reduce(jnp.add, _shifted(x, places, 0.0))
    overlap = places.stride < window
    total = forms.by_platform(total, x, cpu=shifted if overlap else None)
    if count_padding or not padding:
        return total * (1 / window**2)
    return total * (1 / _inside(x.shape[1:3], places)).astype(x.dtype)


def adaptive_avg_pool(x: jax.Array, size: int) -> jax.Array:
    """Means of windows that bring an image of any size to ``size`` pixels a side.

    As in PyTorch: of n pixels, window i has those from ⌊i n / size⌋ to ⌈(i + 1) n / size⌉. Windows
    overlap where size does not divide n, and repeat pixels where n is smaller.

    Args:
      x: (batch, height, width, channels), floating.
      size: of the result.

    Returns:
      (batch, size, size, channels).
    """
    for axis in (1, 2):
        n = x.shape[axis]
        if n != size:
            windows = [(i * n // size, -(-(i + 1) * n // size)) for i in range(size)]
            means = [lax.slice_in_dim(x, *ends, axis=axis).mean(axis) for ends in windows]
            x = jnp.stack(means, axis)
    return x


def _inside(size: tuple[int, int], places: "_Places") -> np.ndarray:
    """How many pixels of an image of ``size`` each window has, (h, w, 1)."""
    along = []
    for n, (before, after) in zip(size, places.sides, strict=True):
        count = out_size(n + before + after, places.window, stride=places.stride)
        first = np.arange(count) * places.stride - before
        along.append(np.minimum(first + places.window, n) - np.maximum(first, 0))
    return np.multiply.outer(*along)[..., None]


class _Places(NamedTuple):
    """Where windows lie: their side, the step between them, (before, after) in each direction."""

    window: int
    stride: int
    sides: Pads


def _places(x, window, stride, padding, ceil=False):
    stride = stride or window

    def ends(n):
        count = out_size(n, window, stride=stride, padding=padding)
        if ceil and (n + 2 * padding - window) % stride and count * stride < n + padding:
            return padding, count * stride + window - n - padding  # room for one window more
        return padding, padding

    return _Places(window, stride, tuple(ends(n) for n in x.shape[1:3]))


def _reduce_window(x, initial, reduce, places):
    window, stride, sides = places
    sides = [(0, 0), *sides, (0, 0)]
    size, step = (1, window, window, 1), (1, stride, stride, 1)
    return lax.reduce_window(x, initial, reduce, size, step, sides)


def _shifted(x: jax.Array, places: _Places, fill: float) -> list[jax.Array]:
    """For each place of the window its pixels: window² strided slices (batch, h, w, channels)."""
    window, stride, sides = places
    padded = lax.pad(x, jnp.asarray(fill, x.dtype), spread(sides))
    B, H, W, C = padded.shape
    h, w = (out_size(n, window, stride=stride) for n in (H, W))
    end = lambda start, n: start + stride * (n - 1) + 1
    return [
        lax.slice(padded, (0, i, j, 0), (B, end(i, h), end(j, w), C), (1, stride, stride, 1))
        for i, j in np.ndindex(window, window)
    ]


# The largest value's place is kept as an integer. XLA on a CPU finds it anew in the backward pass
# and scatters, 8 to 15 times slower than to select and add shifted gradients. What the forms keep
# differs; each platform uses one of (x, place), and the compiler drops the other.


def _reference_max_pool(x, places):
    return _reduce_window(x, -jnp.inf, lax.max, places)


def _largest(x, places):
    maxima = lambda x: functools.reduce(jnp.maximum, _shifted(x, places, -jnp.inf))
    return forms.by_platform(functools.partial(_reference_max_pool, places=places), x, cpu=maxima)


def _max_pool_forward(x, places):
    # Not derivatives of maxima: compiled, each compares values that were computed anew and may
    # differ in the last bit, so that among equal ones none wins, or two. One integer decides.
    integer = np.min_scalar_type(places.window**2 - 1)

    def reference(x):
        best = _reference_max_pool(x, places)
        return best, jnp.zeros(best.shape, integer)

    def winners(x):
        best, *others = _shifted(x, places, -jnp.inf)
        winner = jnp.zeros(best.shape, integer)
        for place, other in enumerate(others, start=1):
            winner = jnp.where(other > best, integer.type(place), winner)
            best = jnp.maximum(best, other)
        return best, winner

    best, winner = forms.by_platform(reference, x, cpu=winners)
    return best, (x, winner)


def _max_pool_backward(places, kept, g):
    def reference(x, winner, g):
        return jax.vjp(lambda x: _reference_max_pool(x, places), x)[1](g)[0]

    def selected(x, winner, g):
        shifted = lambda x: _shifted(x, places, 0.0)
        parts = [jnp.where(winner == place, g, 0) for place in range(places.window**2)]
        return jax.linear_transpose(shifted, jax.ShapeDtypeStruct(x.shape, g.dtype))(parts)[0]

    return (forms.by_platform(reference, *kept, g, cpu=selected),)


_max_pool = with_backward(_max_pool_forward, _max_pool_backward, value=_largest, static=(1,))
