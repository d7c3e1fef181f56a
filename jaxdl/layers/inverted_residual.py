"""MobileNet's block, which widens before it looks around."""

from collections.abc import Callable
from typing import Any

import jax
from flax import linen as nn

from jaxdl.layers.conv_norm import ConvNorm
from jaxdl.layers.drop_path import DropPath
from jaxdl.layers.initializers import DEPTHWISE, FAN_OUT
from jaxdl.layers.squeeze_excite import SqueezeExcite
from jaxdl.ops.convolution import Padding


def divisible(features: float, by: int = 8) -> int:
    """The nearest multiple of ``by``, but never less than nine tenths of ``features``."""
    nearest = max(by, int(features + by / 2) // by * by)
    return nearest if nearest >= 0.9 * features else nearest + by


class InvertedResidual(nn.Module):
    """1x1 up, depthwise, 1x1 down without activation (Sandler et al., 2018, section 3.3).

    A batch norm follows each. What went in is added at stride 1 if the result is as wide. With
    squeeze-excite between depthwise and down it is EfficientNet's block (Tan and Le, 2019).
    Submodules: ``expand`` unless expand_ratio is 1, ``depthwise``, ``squeeze_excite`` if there is
    one, ``project``.

    Attributes:
      features: of the result.
      kernel_size: of the depthwise convolution; so are stride and padding.
      expand_ratio: features between over those that go in, to the nearest multiple of 8.
      squeeze_ratio: squeeze-excite's hidden features over those that go in; 0 for none.
      activation: a name in `jaxdl.ops.activations`.
      order: of each convolution, its norm and its activation, as of `ConvNorm`.
      drop_path: stochastic depth, where what went in is added.
      epsilon: of the normalisations; so is momentum.
      kernel_init: of the 1x1 convolutions.
      dtype: of the computation.
    """

    features: int
    kernel_size: int = 3
    stride: int = 1
    padding: Padding = "half"
    expand_ratio: float = 4.0
    squeeze_ratio: float = 0.0
    activation: str = "silu"
    order: str = "conv_norm_act"
    drop_path: float = 0.0
    epsilon: float = 1e-5
    momentum: float = 0.9
    kernel_init: Callable = FAN_OUT
    dtype: Any = None

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """(batch, h, w, c) -> (batch, h / stride, w / stride, features)."""

        def conv(name: str, features: int, kernel_size: int = 1, **fields: Any) -> nn.Module:
            shared = dict(
                activation=self.activation,
                order=self.order,
                epsilon=self.epsilon,
                momentum=self.momentum,
                kernel_init=self.kernel_init,
                dtype=self.dtype,
            )
            return ConvNorm(features, kernel_size, **{**shared, **fields}, name=name)

        y, C = x, x.shape[-1]
        if self.expand_ratio != 1:
            y = conv("expand", divisible(C * self.expand_ratio))(y, train=train)
        y = conv(
            "depthwise",
            y.shape[-1],
            self.kernel_size,
            stride=self.stride,
            padding=self.padding,
            groups=y.shape[-1],
            kernel_init=DEPTHWISE,
        )(y, train=train)
        if self.squeeze_ratio:
            hidden = max(1, int(C * self.squeeze_ratio))
            y = SqueezeExcite(hidden, self.activation, dtype=self.dtype, name="squeeze_excite")(y)
        y = conv("project", self.features, activation="identity")(y, train=train)
        if self.stride != 1 or self.features != C:
            return y
        return x + DropPath(self.drop_path, name="drop")(y, train=train)
