"""Convolution whose kernel is each example's own: scaled by a style, and brought to a size."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxdl.ops.convolution import conv
from jaxdl.ops.wide import widen

Convolve = Callable[[jax.Array, jax.Array], jax.Array]


def modulated_conv(
    x: jax.Array,
    kernel: jax.Array,
    style: jax.Array,
    *,
    demodulate: bool = True,
    convolve: Convolve = conv,
    eps: float = 1e-8,
) -> jax.Array:
    """A convolution of each example with ``s_i w_ijk``, then over ``√(Σ_ik (s_i w_ijk)² + ε)``.

    Karras et al., 2020, "Analyzing and Improving the Image Quality of StyleGAN", equations 1 and 3.
    As both factors are the same at every place, the image is scaled in front and behind, and all
    examples share one convolution.

    Args:
      x: (batch, h, w, channels_in).
      kernel: (k, k, channels_in, channels_out), in x's dtype.
      style: (batch, channels_in), s.
      demodulate: whether the division is made, which gives every channel a deviation of about 1 if
        x has one.
      convolve: (image, kernel) -> image, linear in both; `jaxdl.ops.conv_upsampled` doubles.
      eps: ε.

    Returns:
      (batch, h', w', channels_out), in x's dtype.
    """
    y = convolve(x * style.astype(x.dtype)[:, None, None, :], kernel)
    if not demodulate:
        return y
    sizes = jnp.square(widen(kernel)).sum((0, 1))
    squares = jnp.matmul(jnp.square(widen(style)), sizes, precision=jax.lax.Precision.HIGHEST)
    return y * jax.lax.rsqrt(squares + eps).astype(x.dtype)[:, None, None, :]
