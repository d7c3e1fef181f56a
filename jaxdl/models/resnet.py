"""ResNet.

He et al., 2015, "Deep Residual Learning for Image Recognition", table 1. The stride of a bottleneck
is at its 3x3 convolution, as in PyTorch's and nearly all published checkpoints, not at the first
1x1 as in the paper.

Images (batch, h, w, c) in, logits (batch, num_classes) float32 out; any h and w. Parameters for 3
channels and 1000 classes: resnet18 11,689,512; resnet34 21,797,672; resnet50 25,557,032; resnet101
44,549,160; resnet152 60,192,808.
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxdl import layers, ops
from jaxdl.layers.initializers import FAN_OUT, PYTORCH
from jaxdl.models import register
from jaxdl.registry import choose

VARIANTS = {
    "resnet18": dict(stages=(2, 2, 2, 2), bottleneck=False),
    "resnet34": dict(stages=(3, 4, 6, 3), bottleneck=False),
    "resnet50": dict(stages=(3, 4, 6, 3), bottleneck=True),
    "resnet101": dict(stages=(3, 4, 23, 3), bottleneck=True),
    "resnet152": dict(stages=(3, 8, 36, 3), bottleneck=True),
}

# As torchvision and transformers draw them: FAN_OUT for convolutions, PYTORCH for the head.


class Residual(nn.Module):
    """``relu(shortcut(x) + branch(x))``: two 3x3 convolutions, or 1x1, 3x3, 1x1.

    Submodules: ``conv_0`` and so on, and ``shortcut`` where the shape changes.

    Attributes:
      features: of the 3x3 convolutions; a bottleneck gives 4 times as many.
      stride: of the first 3x3 convolution and of the shortcut.
      bottleneck: which branch.
      order: of `jaxdl.layers.ConvNorm`.
      dtype: of the computation.
    """

    features: int
    stride: int
    bottleneck: bool
    order: str
    dtype: Any

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """(batch, h, w, c) -> (batch, h / stride, w / stride, features, or 4 of them)."""

        def conv(x, name, features, kernel, stride=1, activation="relu"):
            return layers.ConvNorm(
                features,
                kernel,
                stride=stride,
                activation=activation,
                order=self.order,
                kernel_init=FAN_OUT,
                dtype=self.dtype,
                name=name,
            )(x, train=train)

        out = self.features * (4 if self.bottleneck else 1)
        if self.bottleneck:
            y = conv(x, "conv_0", self.features, 1)
            y = conv(y, "conv_1", self.features, 3, self.stride)
            y = conv(y, "conv_2", out, 1, activation="identity")
        else:
            y = conv(x, "conv_0", self.features, 3, self.stride)
            y = conv(y, "conv_1", out, 3, activation="identity")
        if self.stride != 1 or x.shape[-1] != out:
            x = conv(x, "shortcut", out, 1, self.stride, activation="identity")
        return ops.relu(x + y)


@register("resnet", VARIANTS)
class ResNet(nn.Module):
    """Stages of residual blocks, each but the first halving the image.

    Attributes:
      num_classes: logits at the end; with 0, the pooled features are the result.
      stages: blocks in each.
      width: features of the first stage; they double from stage to stage.
      bottleneck: which block.
      stem: "published" (7x7 of stride 2, then a max-pool: a quarter of the image's side), or
        "small": 3x3 of stride 1 and no pool, for images of few pixels (the paper's section 4.2).
      order: "conv_norm_act", as published, or "conv_act_norm", in the stem and in branches; what
        comes behind a block's sum is its activation alone in both.
      dtype: of the computation; parameters, statistics and logits stay float32.
    """

    num_classes: int = 1000
    stages: tuple[int, ...] = (2, 2, 2, 2)
    width: int = 64
    bottleneck: bool = False
    stem: str = "published"
    order: str = "conv_norm_act"
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self, x: jax.Array, *, train: bool = False, features: bool = False
    ) -> jax.Array | dict[int, jax.Array]:
        """(batch, h, w, c) -> (batch, num_classes), or the maps before pooling.

        Args:
          x: images.
          train: normalise by the batch's own statistics.
          features: return {stride: (batch, h / stride, w / stride, c)} instead: the stem's map and
            each stage's, by default of strides 2, 4, 8, 16, 32.
        """
        published = choose("stem", self.stem, {"published": True, "small": False})
        stride = 2 if published else 1
        x = layers.ConvNorm(
            self.width,
            7 if published else 3,
            stride=stride,
            order=self.order,
            kernel_init=FAN_OUT,
            dtype=self.dtype,
            name="stem",
        )(x, train=train)
        pyramid = {stride: x}
        if published:
            x, stride = ops.max_pool(x, 3, 2, 1), 4
        for i, count in enumerate(self.stages):
            for j in range(count):
                step = 2 if i and not j else 1
                stride *= step
                block = Residual(
                    self.width << i,
                    step,
                    self.bottleneck,
                    self.order,
                    self.dtype,
                    name=f"block_{i}_{j}",
                )
                x = block(x, train=train)
            pyramid[stride] = x
        if features:
            return pyramid
        x = ops.widen(x).mean(axis=(1, 2))
        if not self.num_classes:
            return x
        return layers.Dense(self.num_classes, kernel_init=PYTORCH, name="head")(x)
