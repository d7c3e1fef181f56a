"""ResNet (He et al., 2015, table 1), with the basic block or the bottleneck.

Images (batch, h, w, c) in, logits (batch, num_classes) float32 out. As published (stem
"published", 224 px, 1000 classes): ResNet-18 11,689,512 parameters, ResNet-50 25,557,032. The
stride of a bottleneck is at its 3x3 convolution, as in PyTorch's.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxdl import layers, models, ops


class Residual(nn.Module):
    """``relu(shortcut(x) + branch(x))``: two 3x3 convolutions, or 1x1, 3x3, 1x1."""

    features: int
    stride: int
    bottleneck: bool
    dtype: Any

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """(batch, h, w, c) -> (batch, h / stride, w / stride, features, or 4 of them)."""

        def conv(x: jax.Array, name: str, features: int, kernel: int, stride: int = 1):
            x = layers.Conv(
                features,
                kernel,
                stride=stride,
                use_bias=False,
                dtype=self.dtype,
                name=f"conv_{name}",
            )(x)
            return layers.BatchNorm(
                use_running_average=not train, dtype=self.dtype, name=f"norm_{name}"
            )(x)

        out = self.features * (4 if self.bottleneck else 1)
        if self.bottleneck:
            y = ops.relu(conv(x, "0", self.features, 1))
            y = ops.relu(conv(y, "1", self.features, 3, self.stride))
            y = conv(y, "2", out, 1)
        else:
            y = ops.relu(conv(x, "0", self.features, 3, self.stride))
            y = conv(y, "1", out, 3)
        if self.stride != 1 or x.shape[-1] != out:
            x = conv(x, "shortcut", out, 1, self.stride)
        return ops.relu(x + y)


@models.register("benchmark_resnet")
class ResNet(nn.Module):
    """Stages of residual blocks, each but the first halving the image.

    Attributes:
      num_classes: logits at the end.
      stages: blocks in each.
      width: features of the first stage; they double from stage to stage.
      bottleneck: which block.
      stem: "published" (7x7 of stride 2, then a max-pool), or "small": 3x3 of stride 1, no pool.
      dtype: of the computation; parameters, statistics and logits stay float32.
    """

    num_classes: int = 1000
    stages: Sequence[int] = (2, 2, 2, 2)
    width: int = 64
    bottleneck: bool = False
    stem: str = "published"
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """(batch, h, w, c) -> (batch, num_classes)."""
        kernel, stride = (7, 2) if self.stem == "published" else (3, 1)
        x = layers.Conv(
            self.width, kernel, stride=stride, use_bias=False, dtype=self.dtype, name="stem"
        )(x)
        x = layers.BatchNorm(use_running_average=not train, dtype=self.dtype, name="stem_norm")(x)
        x = ops.relu(x)
        if self.stem == "published":
            x = ops.max_pool(x, 3, 2, 1)
        for i, count in enumerate(self.stages):
            for j in range(count):
                stride = 2 if i and not j else 1
                block = Residual(
                    self.width << i, stride, self.bottleneck, self.dtype, name=f"block_{i}_{j}"
                )
                x = block(x, train=train)
        x = x.mean(axis=(1, 2))
        return layers.Dense(self.num_classes, name="head")(
            x.astype(jnp.promote_types(x.dtype, jnp.float32))
        )
