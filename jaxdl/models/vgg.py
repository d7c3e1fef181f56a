"""VGG.

Simonyan and Zisserman, 2014, "Very Deep Convolutional Networks for Large-Scale Image Recognition",
table 1, columns A, B, D and E; the names in _bn have a batch norm behind every convolution.

Images (batch, h, w, c) in, at least 32 pixels a side, logits (batch, num_classes) float32 out.
Parameters for 3 channels and 1000 classes: vgg11 132,863,336; vgg13 133,047,848; vgg16 138,357,544;
vgg19 143,667,240; vgg11_bn 132,868,840; vgg13_bn 133,053,736; vgg16_bn 138,365,992; vgg19_bn
143,678,248.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxdl import layers, ops
from jaxdl.errors import UserError
from jaxdl.layers.initializers import FAN_OUT
from jaxdl.models import register
from jaxdl.models.lengths import check_lengths

STAGES = {
    "vgg11": (1, 1, 2, 2, 2),
    "vgg13": (2, 2, 2, 2, 2),
    "vgg16": (2, 2, 3, 3, 3),
    "vgg19": (2, 2, 4, 4, 4),
}
VARIANTS = {
    name + suffix: dict(stages=stages, batch_norm=bool(suffix))
    for name, stages in STAGES.items()
    for suffix in ("", "_bn")
}

# torchvision's: FAN_OUT for convolutions, and a fixed variance for the dense layers.
_DENSE_INIT = nn.initializers.normal(0.01)


@register("vgg", VARIANTS)
class VGG(nn.Module):
    """Stages of 3x3 convolutions, each with a pool at its end, and three dense layers.

    Attributes:
      num_classes: logits at the end; with 0, what they are made of is the result.
      stages: convolutions in each.
      channels: of each stage.
      hidden: features of the two dense layers in front of the logits.
      pooled: pixels a side that the last map is averaged to, 7 of 224 as they are; the first dense
        layer reads them all.
      batch_norm: behind every convolution.
      order: of `jaxdl.layers.ConvNorm`, where there is batch norm.
      dropout: rate behind these two layers.
      dtype: of the computation; parameters, statistics and logits stay float32.
    """

    num_classes: int = 1000
    stages: tuple[int, ...] = (2, 2, 3, 3, 3)
    channels: tuple[int, ...] = (64, 128, 256, 512, 512)
    hidden: int = 4096
    pooled: int = 7
    batch_norm: bool = False
    order: str = "conv_norm_act"
    dropout: float = 0.5
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self, x: jax.Array, *, train: bool = False, features: bool = False
    ) -> jax.Array | dict[int, jax.Array]:
        """(batch, h, w, c) -> (batch, num_classes), or the maps before pooling.

        Args:
          x: images.
          train: normalise by the batch's own statistics; with dropout.
          features: return {stride: (batch, h / stride, w / stride, c)} instead: each stage's map in
            front of its pool, and the last pool's; of strides 1, 2, 4, 8, 16 and 32.
        """
        check_lengths(self, "stages", "channels")
        least = 2 ** len(self.stages)
        if min(x.shape[1:3]) < least:
            raise UserError(
                f"images of {x.shape[1]}x{x.shape[2]} pixels are too small for VGG with "
                f"{len(self.stages)} stages: it takes {least}x{least} and more"
            )
        normed = functools.partial(layers.ConvNorm, use_bias=True, order=self.order)
        conv = functools.partial(
            normed if self.batch_norm else layers.ConvAct, kernel_init=FAN_OUT, dtype=self.dtype
        )
        pyramid = {}
        for i, (count, channels) in enumerate(zip(self.stages, self.channels, strict=True)):
            for j in range(count):
                x = conv(channels, name=f"block_{i}_{j}")(x, train=train)
            pyramid[2**i] = x
            x = pyramid[2 ** (i + 1)] = ops.max_pool(x, 2)
        if features:
            return pyramid
        x = ops.adaptive_avg_pool(x, self.pooled)
        dense = dict(kernel_init=_DENSE_INIT, dtype=self.dtype)
        x = ops.relu(layers.MapDense(self.hidden, **dense, name="dense_0")(x))
        x = layers.Dropout(self.dropout)(x, train=train)
        x = ops.relu(layers.Dense(self.hidden, **dense, name="dense_1")(x))
        x = layers.Dropout(self.dropout)(x, train=train)
        x = ops.widen(x)
        if not self.num_classes:
            return x
        return layers.Dense(self.num_classes, kernel_init=_DENSE_INIT, name="head")(x)
