"""Images made larger or smaller by a filter: zeros between, a finite impulse response, a stride."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

# The filter of StyleGAN2 along one direction, of sum 1: a triangle's, which enlarges bilinearly.
BINOMIAL = (1 / 8, 3 / 8, 3 / 8, 1 / 8)


def upfirdn(
    x: jax.Array,
    taps: Sequence[float],
    *,
    up: int = 1,
    down: int = 1,
    padding: tuple[int, int] = (0, 0),
) -> jax.Array:
    """Puts zeros between pixels, convolves with a separable filter, and keeps every n-th pixel.

    Karras et al., 2020, "Analyzing and Improving the Image Quality of StyleGAN", as their code
    names it. Along each direction, with u the n pixels at multiples of ``up``, zeros at the other
    places from 0 to up n - 1 and further zeros outside,

        y[i] = Σ_k taps[k] u[i down - before + (T - 1 - k)],  T taps.

    Args:
      x: (batch, h, w, channels), floating.
      taps: of the filter along one direction, numbers that are known; a filter of sum 1 keeps means
        where ``up`` is 1, and one of sum ``up`` always.
      up: pixels that come of one, the others being zeros.
      down: of as many pixels of the result the first is kept.
      padding: (before, after), zeros on both sides of u; negative ones take pixels off.

    Returns:
      (batch, h', w', channels) in x's dtype, h' = ⌊(up h + before + after - T) / down⌋ + 1.

    Raises:
      ValueError: nothing would be left.
    """
    for axis in (1, 2):
        x = _along(x, axis, tuple(taps), up, down, padding)
    return x


def upsampled(x: jax.Array, taps: Sequence[float] = BINOMIAL) -> jax.Array:
    """(batch, h, w, c) to (batch, 2h, 2w, c) by a filter of sum 1, whose middle stays in place."""
    T = len(taps)
    return upfirdn(x, [2 * t for t in taps], up=2, padding=((T + 1) // 2, (T - 2) // 2))


def downsampled(x: jax.Array, taps: Sequence[float] = BINOMIAL) -> jax.Array:
    """(batch, 2h, 2w, c) to (batch, h, w, c) by a filter of sum 1, whose middle stays in place."""
    T = len(taps)
    return upfirdn(x, taps, down=2, padding=((T - 1) // 2, (T - 2) // 2))


def _along(
    x: jax.Array, axis: int, taps: Sequence[float], up: int, down: int, padding: tuple[int, int]
) -> jax.Array:
    """`upfirdn` along one axis, as sums of shifted parts: no product with what is zero."""
    before, after = padding
    T, size = len(taps), x.shape[axis]
    out = (up * size + before + after - T) // down + 1
    if out < 1:
        raise ValueError(f"{size} pixels with padding {padding} are fewer than {T} taps need")
    # Results fall into kinds i ≡ p (mod up): each is of the taps that meet a pixel there, and pixel
    # numbers within a kind go up by `down` from one result to the next.
    return _laid(
        [_kind(x, axis, taps, up, down, before, p, len(range(p, out, up))) for p in range(up)],
        axis,
        out,
    )


def _kind(
    x: jax.Array,
    axis: int,
    taps: Sequence[float],
    up: int,
    down: int,
    before: int,
    p: int,
    count: int,
) -> jax.Array:
    """The results p, p + up, … of an axis."""
    T, total = len(taps), None
    for place in range(T):
        at = p * down - before + place
        if at % up:
            continue
        part = taps[T - 1 - place] * _every(x, axis, at // up, down, count)
        total = part if total is None else total + part
    if total is None:
        shape = list(x.shape)
        shape[axis] = count
        return jnp.zeros(shape, x.dtype)
    return total


def _every(x: jax.Array, axis: int, first: int, step: int, count: int) -> jax.Array:
    """``count`` of an axis's elements, from ``first`` on in steps; zeros outside of it."""
    size, last = x.shape[axis], first + step * (count - 1)
    low, high = max(0, -first), max(0, last + 1 - size)
    if low or high:
        pads = [(0, 0)] * x.ndim
        pads[axis] = (low, high)
        x = jnp.pad(x, pads)
    return jax.lax.slice_in_dim(x, first + low, last + low + 1, step, axis)


def _laid(kinds: Sequence[jax.Array], axis: int, out: int) -> jax.Array:
    """The elements of all kinds in turn along an axis."""
    if len(kinds) == 1:
        return kinds[0]
    longest = max(kind.shape[axis] for kind in kinds)
    even = [_every(kind, axis, 0, 1, longest) for kind in kinds]
    joined = jnp.stack(even, axis + 1)
    shape = list(even[0].shape)
    shape[axis] = longest * len(kinds)
    return jax.lax.slice_in_dim(joined.reshape(shape), 0, out, 1, axis)
