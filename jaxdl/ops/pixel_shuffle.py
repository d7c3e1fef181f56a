"""Channels laid out as pixels: a larger image out of a deeper one."""

import jax


def pixel_shuffle(x: jax.Array, scale: int) -> jax.Array:
    """The r² channels that belong to a channel become its r x r pixels (Shi et al., 2016, eq. 4).

    Of place (y, x) channel ``c r² + i r + j`` becomes channel c of pixel (r y + i, r x + j), the
    order of PyTorch, in which the authors of EDSR publish.

    Args:
      x: (batch, h, w, c r²).
      scale: r, at least 1.

    Returns:
      (batch, r h, r w, c), in x's dtype.
    """
    B, H, W, C = x.shape
    r = scale
    x = x.reshape(B, H, W, C // r**2, r, r).transpose(0, 1, 4, 2, 5, 3)
    return x.reshape(B, H * r, W * r, C // r**2)
