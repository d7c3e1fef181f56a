"""Convolution and activation, of networks older than batch norm."""

from collections.abc import Callable
from typing import Any

import jax
from flax import linen as nn

from jaxdl import ops
from jaxdl.layers.convolution import Conv
from jaxdl.ops.convolution import Padding


class ConvAct(nn.Module):
    """A convolution with bias and an activation: (batch, h, w, c) in and out.

    Submodule: ``conv``, named as in `ConvNorm`.

    Attributes:
      features: of the result.
      kernel_size: of the convolution; so are stride, padding and kernel_init.
      activation: a name in `jaxdl.ops.activations`.
      dtype: of the computation.
    """

    features: int
    kernel_size: int = 3
    stride: int = 1
    padding: Padding = "half"
    activation: str = "relu"
    kernel_init: Callable = nn.initializers.he_normal()
    dtype: Any = None

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """``train`` changes nothing: it is taken so that this stands where `ConvNorm` does."""
        del train
        x = Conv(
            self.features,
            self.kernel_size,
            stride=self.stride,
            padding=self.padding,
            kernel_init=self.kernel_init,
            dtype=self.dtype,
            name="conv",
        )(x)
        return ops.activation(self.activation)(x)
