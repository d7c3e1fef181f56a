"""A transposed convolution with its parameters."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxdl import ops
from jaxdl.ops.convolution import Padding


class ConvTranspose(nn.Module):
    """Transposed convolution (batch, h, w, c) -> (batch, h', w', features); see the operation's.

    Parameters: ``kernel`` (k, k, features, c), the shape of the convolution that goes the other
    way, and, with ``use_bias``, ``bias`` (features). By default k = 4, stride 2 and padding 1,
    which doubles both sides and lets every pixel be reached by as many others.
    """

    features: int
    kernel_size: int = 4
    stride: int = 2
    padding: Padding = 1
    output_padding: int = 0
    use_bias: bool = True
    kernel_init: Callable = nn.initializers.he_normal()
    dtype: Any = None

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Computes in ``dtype`` (the promoted dtype of x and kernel if None)."""
        k = self.kernel_size

        def init(key: jax.Array, shape: tuple[int, ...], dtype: Any) -> jax.Array:
            # Initialisers count what goes in along the last axis but one.
            return self.kernel_init(key, (k, k, shape[3], shape[2]), dtype).swapaxes(2, 3)

        kernel = self.param("kernel", init, (k, k, self.features, x.shape[-1]), jnp.float32)
        bias = None
        if self.use_bias:
            bias = self.param("bias", nn.initializers.zeros_init(), (self.features,), jnp.float32)
        x, kernel, bias = nn.dtypes.promote_dtype(x, kernel, bias, dtype=self.dtype)
        y = ops.conv_transpose(
            x,
            kernel,
            stride=self.stride,
            padding=self.padding,
            output_padding=self.output_padding,
        )
        return y if bias is None else y + bias
