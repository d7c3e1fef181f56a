"""Images to tokens."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxdl import ops
from jaxdl.errors import UserError


def cut_patches(x: jax.Array, size: int) -> jax.Array:
    """Squares of ``size``, which divides h and w, each with its pixels row by row.

    (batch, h, w, c) -> (batch, h / size, w / size, size² c).
    """
    B, H, W, C = x.shape
    x = x.reshape(B, H // size, size, W // size, size, C).transpose(0, 1, 3, 2, 4, 5)
    return x.reshape(B, H // size, W // size, size**2 * C)


class PatchEmbed(nn.Module):
    """Cuts (batch, h, w, c) into squares of ``patch_size`` and projects each to ``width``.

    The same map as a convolution whose stride is its kernel size, and with that convolution's
    parameters (``kernel`` (p, p, c, width), ``bias`` (width)), but as one matrix product.
    """

    patch_size: int
    width: int
    dtype: Any = None

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Returns (batch, h/p, w/p, width). UserError if p does not divide h and w."""
        _, H, W, C = x.shape
        p = self.patch_size
        if H % p or W % p:
            what = f"images of {H}x{W} pixels do not divide into patches of {p}x{p}"
            raise UserError(f"{what}: their sides must be multiples of {p}")
        init = nn.initializers.variance_scaling(
            1.0, "fan_in", "truncated_normal", in_axis=(0, 1, 2), out_axis=3
        )
        kernel = self.param("kernel", init, (p, p, C, self.width), jnp.float32)
        bias = self.param("bias", nn.initializers.zeros_init(), (self.width,), jnp.float32)
        x, kernel, bias = nn.dtypes.promote_dtype(x, kernel, bias, dtype=self.dtype)
        return ops.dense(cut_patches(x, p), kernel.reshape(-1, self.width), bias)
