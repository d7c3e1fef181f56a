"""Images to tokens."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxdl import ops
from jaxdl.errors import UserError


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
        B, H, W, C = x.shape
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
        patches_BxhxwxP = (
            x.reshape(B, H // p, p, W // p, p, C)
            .transpose(0, 1, 3, 2, 4, 5)
            .reshape(B, H // p, W // p, p * p * C)
        )
        return ops.dense(patches_BxhxwxP, kernel.reshape(-1, self.width), bias)
