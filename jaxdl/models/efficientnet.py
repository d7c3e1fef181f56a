"""EfficientNet.

Tan and Le, 2019, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", table
1, with blocks of MobileNetV2 (Sandler et al., 2018) and squeeze-and-excitation. B0 is the table;
the others have multiples of its widths and depths, and were trained on larger images: B0 to B7 on
224, 240, 260, 300, 380, 456, 528 and 600 pixels.

Images (batch, h, w, c) in, logits (batch, num_classes) float32 out; any h and w. Parameters for 3
channels and 1000 classes: efficientnet_b0 5,288,548; b1 7,794,184; b2 9,109,994; b3 12,233,232; b4
19,341,616; b5 30,389,784; b6 43,040,704; b7 66,347,960.
"""

import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxdl import layers
from jaxdl.models import register
from jaxdl.registry import choose

# B0's stages: expansion, kernel, stride of the first block, features, blocks.
STAGES = (
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)

# From B5 on, batch norm as in the authors' code, which the others' PyTorch checkpoints do without.
_AUTHORS = dict(epsilon=1e-3, momentum=0.99)

# The authors' multipliers, near powers of the paper's 1.1 and 1.2.
VARIANTS = {
    "efficientnet_b0": dict(width=1.0, depth=1.0, dropout=0.2),
    "efficientnet_b1": dict(width=1.0, depth=1.1, dropout=0.2),
    "efficientnet_b2": dict(width=1.1, depth=1.2, dropout=0.3),
    "efficientnet_b3": dict(width=1.2, depth=1.4, dropout=0.3),
    "efficientnet_b4": dict(width=1.4, depth=1.8, dropout=0.4),
    "efficientnet_b5": dict(width=1.6, depth=2.2, dropout=0.4, **_AUTHORS),
    "efficientnet_b6": dict(width=1.8, depth=2.6, dropout=0.5, **_AUTHORS),
    "efficientnet_b7": dict(width=2.0, depth=3.1, dropout=0.5, **_AUTHORS),
}

# The authors' variance: 2 over the places and channels that an input reaches. Each channel of a
# depthwise kernel reaches one.
_CONV_INIT = nn.initializers.variance_scaling(2.0, "fan_out", "normal")
_DEPTHWISE_INIT = nn.initializers.variance_scaling(2.0, "fan_in", "normal")
_HEAD_INIT = nn.initializers.variance_scaling(1 / 3, "fan_out", "uniform")


def scaled(features: int, width: float) -> int:
    """``features · width`` as the nearest multiple of 8, or the next if that loses over a tenth."""
    exact = features * width
    rounded = max(8, int(exact + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * exact else rounded


def repeated(blocks: int, depth: float) -> int:
    """``blocks · depth``, rounded up."""
    return math.ceil(blocks * depth)


def same(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """TensorFlow's padding (before, after): ⌈size / stride⌉ pixels come out, the odd one behind."""
    total = max((math.ceil(size / stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


class MBConv(nn.Module):
    """``x + project(squeeze_excite(depthwise(expand(x))))``, the sum where the shape stays.

    Submodules: ``expand``, unless there is nothing to, ``depthwise``, ``squeeze_excite`` and
    ``project``.

    Attributes:
      conv: makes a `jaxdl.layers.ConvNorm`; it knows what all of a network have in common.
      features: of the result.
      expansion: features in between over those that come in.
      kernel_size: of the depthwise convolution; so are stride and padding, "half" or "same".
      drop_path: stochastic depth, where there is a sum.
      dtype: of the computation.
    """

    conv: Callable[..., nn.Module]
    features: int
    expansion: int
    kernel_size: int
    stride: int
    padding: str
    drop_path: float
    dtype: Any

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """(batch, h, w, c) -> (batch, h / stride, w / stride, features)."""
        y, C = x, x.shape[-1]
        if self.expansion != 1:
            y = self.conv(C * self.expansion, 1, name="expand")(y, train=train)
        y = self.conv(
            y.shape[-1],
            self.kernel_size,
            stride=self.stride,
            padding=_pads(self.padding, x, self.kernel_size, self.stride),
            groups=y.shape[-1],
            kernel_init=_DEPTHWISE_INIT,
            name="depthwise",
        )(y, train=train)
        y = layers.SqueezeExcite(
            max(1, C // 4), activation="silu", dtype=self.dtype, name="squeeze_excite"
        )(y)
        y = self.conv(self.features, 1, activation="identity", name="project")(y, train=train)
        if self.stride != 1 or self.features != C:
            return y
        return x + layers.DropPath(self.drop_path)(y, train=train)


@register("efficientnet", VARIANTS)
class EfficientNet(nn.Module):
    """Stages of inverted bottlenecks, of widths and depths that scale together.

    Attributes:
      num_classes: logits at the end; with 0, the pooled features are the result.
      width: multiplies all widths, which stay multiples of 8.
      depth: multiplies the blocks of all stages.
      stages: (expansion, kernel, stride of the first block, features, blocks) of each, before that.
      last: features of the 1x1 convolution behind them, before it is multiplied.
      stem: "published", 3x3 of stride 2, or "small", of stride 1, for images of few pixels.
      padding: "half", k // 2 on every side, as in PyTorch, or "same", TensorFlow's, which the
        authors' own checkpoints want. They differ where a stride of 2 meets an even size.
      order: of `jaxdl.layers.ConvNorm`; so are epsilon and momentum.
      dropout: rate before the last layer.
      drop_path: stochastic depth, rising from 0 by equal steps that would reach it one block
        behind the last.
      dtype: of the computation; parameters, statistics and logits stay float32.
    """

    num_classes: int = 1000
    width: float = 1.0
    depth: float = 1.0
    stages: tuple[tuple[int, int, int, int, int], ...] = STAGES
    last: int = 1280
    stem: str = "published"
    padding: str = "half"
    order: str = "conv_norm_act"
    epsilon: float = 1e-5
    momentum: float = 0.9
    dropout: float = 0.2
    drop_path: float = 0.2
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self, x: jax.Array, *, train: bool = False, features: bool = False
    ) -> jax.Array | dict[int, jax.Array]:
        """(batch, h, w, c) -> (batch, num_classes), or the maps before pooling.

        Args:
          x: images.
          train: normalise by the batch's own statistics; drop blocks and features.
          features: return {stride: (batch, h / stride, w / stride, c)} instead: the last stage's
            map of each, by default of strides 2, 4, 8, 16, 32, without the convolution ``last``,
            which belongs to the classifier.
        """
        conv = functools.partial(
            layers.ConvNorm,
            activation="silu",
            order=self.order,
            epsilon=self.epsilon,
            momentum=self.momentum,
            kernel_init=_CONV_INIT,
            dtype=self.dtype,
        )
        stride = choose("stem", self.stem, {"published": 2, "small": 1})
        x = conv(
            scaled(32, self.width),
            3,
            stride=stride,
            padding=_pads(self.padding, x, 3, stride),
            name="stem",
        )(x, train=train)
        pyramid = {stride: x}
        counts = [repeated(stage[-1], self.depth) for stage in self.stages]
        seen = 0
        for i, (expansion, kernel, step, wide, _) in enumerate(self.stages):
            for j in range(counts[i]):
                block = MBConv(
                    conv,
                    scaled(wide, self.width),
                    expansion,
                    kernel,
                    1 if j else step,
                    self.padding,
                    self.drop_path * seen / sum(counts),
                    self.dtype,
                    name=f"block_{i}_{j}",
                )
                x, seen = block(x, train=train), seen + 1
            stride *= step
            pyramid[stride] = x
        if features:
            return pyramid
        x = conv(scaled(self.last, self.width), 1, name="last")(x, train=train)
        x = x.astype(jnp.promote_types(x.dtype, jnp.float32)).mean(axis=(1, 2))
        if not self.num_classes:
            return x
        x = layers.Dropout(self.dropout)(x, train=train)
        return layers.Dense(self.num_classes, kernel_init=_HEAD_INIT, name="head")(x)


def _pads(padding: str, x: jax.Array, kernel: int, stride: int) -> Any:
    """``padding`` of an image (batch, h, w, c), in the form that a convolution takes."""
    fixed = choose("padding", padding, {"half": True, "same": False})
    return "half" if fixed else tuple(same(n, kernel, stride) for n in x.shape[1:3])
