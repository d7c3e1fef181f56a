"""A convolution along time with its parameters."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxdl import ops


class Conv1D(nn.Module):
    """Convolution (batch, time, c) -> (batch, time', features); padding k // 2 at both ends.

    ``time'`` is ⌊(time + 2 (k // 2) - k) / stride⌋ + 1. Parameters: ``kernel`` (k, c, features) and
    ``bias`` (features).
    """

    features: int
    kernel_size: int = 3
    stride: int = 1
    kernel_init: Callable = nn.initializers.he_normal()
    dtype: Any = None

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Applies the convolution in ``dtype`` (the promoted dtype of x and kernel if None)."""
        k = self.kernel_size
        shape = (k, x.shape[-1], self.features)
        kernel = self.param("kernel", self.kernel_init, shape, jnp.float32)
        bias = self.param("bias", nn.initializers.zeros_init(), (self.features,), jnp.float32)
        x, kernel, bias = nn.dtypes.promote_dtype(x, kernel, bias, dtype=self.dtype)
        # An image that is one pixel wide.
        padding = ((k // 2, k // 2), (0, 0))
        y = ops.conv(x[:, :, None], kernel[:, None], stride=self.stride, padding=padding)
        return y[:, :, 0] + bias
