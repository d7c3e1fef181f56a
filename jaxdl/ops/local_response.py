"""Normalisation of a pixel by its neighbouring channels, of networks older than batch norm."""

import jax
import jax.numpy as jnp
from jax import lax

from jaxdl.ops.wide import widen


def local_response_norm(
    x: jax.Array, size: int = 5, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> jax.Array:
    """``x / (k + α/n · Σ x²)^β``, the sum over the n channels around each.

    Krizhevsky et al., 2012, section 3.3, with α over n, as Caffe and PyTorch have it. Computed in
    at least float32.

    Args:
      x: (…, channels).
      size: n, odd; channels beyond the first and last count as zeros.
      alpha: α.
      beta: β.
      k: added to the mean.

    Returns:
      x's shape and dtype.
    """
    wide = widen(x)
    around = [(0, 0)] * (x.ndim - 1) + [(size // 2, size // 2)]
    squares = jnp.pad(jnp.square(wide), around)
    near = [lax.slice_in_dim(squares, i, i + x.shape[-1], axis=-1) for i in range(size)]
    return (wide * (k + alpha / size * sum(near)) ** -beta).astype(x.dtype)
