"""Convolution, normalisation and activation, in either order."""

from collections.abc import Callable
from typing import Any

import jax
from flax import linen as nn

from jaxdl import ops
from jaxdl.layers.convolution import Conv
from jaxdl.layers.normalization import BatchNorm
from jaxdl.ops.convolution import Padding
from jaxdl.registry import choose


class ConvNorm(nn.Module):
    """A convolution without bias, batch norm and an activation: (batch, h, w, c) in and out.

    Submodules: ``conv`` and ``norm``.

    Attributes:
      features: of the result.
      kernel_size: of the convolution; so are stride, padding, groups, use_bias and kernel_init.
      activation: a name in `jaxdl.ops.activations`; "identity" for none.
      order: "conv_norm_act", as in VGG and ResNet, or "conv_act_norm", which normalises what the
        activation has left.
      epsilon: of the normalisation; so is momentum.
      dtype: of the computation.
    """

    features: int
    kernel_size: int | tuple[int, int] = 3
    stride: int = 1
    padding: Padding = "half"
    groups: int = 1
    use_bias: bool = False
    activation: str = "relu"
    order: str = "conv_norm_act"
    epsilon: float = 1e-5
    momentum: float = 0.9
    kernel_init: Callable = nn.initializers.he_normal()
    dtype: Any = None

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """Normalises by the batch's own statistics if ``train``, by their averages if not."""
        act_last = choose("order", self.order, {"conv_norm_act": True, "conv_act_norm": False})
        activation = ops.activation(self.activation)
        norm = BatchNorm(
            use_running_average=not train,
            momentum=self.momentum,
            epsilon=self.epsilon,
            dtype=self.dtype,
            name="norm",
        )
        x = Conv(
            self.features,
            self.kernel_size,
            stride=self.stride,
            padding=self.padding,
            groups=self.groups,
            use_bias=self.use_bias,
            kernel_init=self.kernel_init,
            dtype=self.dtype,
            name="conv",
        )(x)
        return activation(norm(x)) if act_last else norm(activation(x))
