"""A convolution with its parameters."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxdl import ops
from jaxdl.ops.convolution import Padding


class Conv(nn.Module):
    """Convolution (batch, h, w, c) -> (batch, h', w', features); padding k // 2 by default.

    Parameters: ``kernel`` (k, k, c / groups, features) and, with ``use_bias``, ``bias`` (features).
    A ``kernel_size`` of two is (height, width).
    """

    features: int
    kernel_size: int | tuple[int, int] = 3
    stride: int = 1
    padding: Padding = "half"
    groups: int = 1
    use_bias: bool = True
    kernel_init: Callable = nn.initializers.he_normal()
    bias_init: Callable = nn.initializers.zeros_init()
    dtype: Any = None

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Applies the convolution in ``dtype`` (the promoted dtype of x and kernel if None)."""
        k = self.kernel_size
        window = (k, k) if isinstance(k, int) else k
        shape = (*window, x.shape[-1] // self.groups, self.features)
        kernel = self.param("kernel", self.kernel_init, shape, jnp.float32)
        bias = (
            self.param("bias", self.bias_init, (self.features,), jnp.float32)
            if self.use_bias
            else None
        )
        x, kernel, bias = nn.dtypes.promote_dtype(x, kernel, bias, dtype=self.dtype)
        y = ops.conv(x, kernel, stride=self.stride, padding=self.padding, groups=self.groups)
        return y if bias is None else y + bias
