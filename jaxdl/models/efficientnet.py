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
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxdl import layers, ops
from jaxdl.layers.initializers import FAN_OUT
from jaxdl.layers.inverted_residual import InvertedResidual, divisible
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

# As torchvision draws it: within one over the root of num_classes.
_HEAD_INIT = nn.initializers.variance_scaling(1 / 3, "fan_out", "uniform")


def repeated(blocks: int, depth: float) -> int:
    """``blocks · depth``, rounded up."""
    return math.ceil(blocks * depth)


def same(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """TensorFlow's padding (before, after): ⌈size / stride⌉ pixels come out, the odd one behind."""
    total = max((math.ceil(size / stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


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
        stride = choose("stem", self.stem, {"published": 2, "small": 1})
        shared = dict(
            order=self.order, epsilon=self.epsilon, momentum=self.momentum, dtype=self.dtype
        )
        conv = functools.partial(layers.ConvNorm, activation="silu", kernel_init=FAN_OUT, **shared)
        x = conv(
            divisible(32 * self.width),
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
                block = InvertedResidual(
                    divisible(wide * self.width),
                    kernel,
                    1 if j else step,
                    padding=_pads(self.padding, x, kernel, 1 if j else step),
                    expand_ratio=expansion,
                    squeeze_ratio=0.25,
                    drop_path=self.drop_path * seen / sum(counts),
                    name=f"block_{i}_{j}",
                    **shared,
                )
                x, seen = block(x, train=train), seen + 1
            stride *= step
            pyramid[stride] = x
        if features:
            return pyramid
        x = conv(divisible(self.last * self.width), 1, name="last")(x, train=train)
        x = ops.widen(x).mean(axis=(1, 2))
        if not self.num_classes:
            return x
        x = layers.Dropout(self.dropout)(x, train=train)
        return layers.Dense(self.num_classes, kernel_init=_HEAD_INIT, name="head")(x)


def _pads(padding: str, x: jax.Array, kernel: int, stride: int) -> Any:
    """``padding`` of an image (batch, h, w, c), in the form that a convolution takes."""
    fixed = choose("padding", padding, {"half": True, "same": False})
    return "half" if fixed else tuple(same(n, kernel, stride) for n in x.shape[1:3])
