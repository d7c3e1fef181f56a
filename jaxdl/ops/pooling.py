"""Pooling over windows of an image."""

import functools

import jax
import jax.numpy as jnp
from jax import lax

from jaxdl.ops.convolution import out_size


def _windows(x: jax.Array, window: int, stride: int, padding: int, fill: float) -> list[jax.Array]:
    """The window's offsets as strided slices of x: window² arrays (batch, h_out, w_out, c)."""
    B, H, W, C = x.shape
    edge = (padding, padding)
    padded = jnp.pad(x, ((0, 0), edge, edge, (0, 0)), constant_values=fill) if padding else x
    h, w = (out_size(n, window, stride=stride, padding=padding) for n in (H, W))
    end = lambda start, n: start + stride * (n - 1) + 1
    return [
        lax.slice(padded, (0, i, j, 0), (B, end(i, h), end(j, w), C), (1, stride, stride, 1))
        for i in range(window)
        for j in range(window)
    ]


def max_pool(
    x: jax.Array, window: int = 2, stride: int | None = None, padding: int = 0
) -> jax.Array:
    """The largest value of each window; a remainder at the edge is dropped.

    The winner's place is kept and takes the whole gradient: the first of equal maxima, as in
    PyTorch. With slices instead of lax.reduce_window the gradient is elementwise, where that one
    scatters (8 to 15 times slower on a CPU).

    Args:
      x: (batch, height, width, channels), floating.
      window: side of the square window.
      stride: step between windows, the window's side by default.
      padding: pixels added on every side; they never win.

    Returns:
      (batch, out_size(height, …), out_size(width, …), channels).
    """
    return _max_pool(x, window, stride or window, padding)


@functools.partial(jax.custom_vjp, nondiff_argnums=(1, 2, 3))
def _max_pool(x, window, stride, padding):
    return functools.reduce(jnp.maximum, _windows(x, window, stride, padding, -jnp.inf))


def _max_pool_forward(x, window, stride, padding):
    # Not derivatives of maxima: compiled, each compares values that were computed anew and may
    # differ in the last bit, so that among equal ones none wins, or two. One integer decides.
    slices = _windows(x, window, stride, padding, -jnp.inf)
    best, winner = slices[0], jnp.zeros(slices[0].shape, jnp.int8)
    for place, other in enumerate(slices[1:], start=1):
        winner = jnp.where(other > best, jnp.int8(place), winner)
        best = jnp.maximum(best, other)
    return best, (winner, x.shape)


def _max_pool_backward(window, stride, padding, kept, g):
    winner, shape = kept
    zero = jnp.zeros((), g.dtype)
    dx = None
    for place in range(window**2):
        part = jnp.where(winner == place, g, 0)
        i, j = divmod(place, window)
        sides = [
            (at, n + 2 * padding - at - (stride * (m - 1) + 1), stride - 1)
            for at, n, m in ((i, shape[1], g.shape[1]), (j, shape[2], g.shape[2]))
        ]
        part = lax.pad(part, zero, [(0, 0, 0), *sides, (0, 0, 0)])
        dx = part if dx is None else dx + part
    p = padding
    return (dx[:, p : p + shape[1], p : p + shape[2]],)


_max_pool.defvjp(_max_pool_forward, _max_pool_backward)


def avg_pool(
    x: jax.Array, window: int = 2, stride: int | None = None, padding: int = 0
) -> jax.Array:
    """The mean of each window, padding counted as zeros; arguments and shapes as `max_pool`'s."""
    slices = _windows(x, window, stride or window, padding, 0.0)
    return functools.reduce(jnp.add, slices) * (1 / window**2)
