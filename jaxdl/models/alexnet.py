"""AlexNet, in the form with one tower that torchvision publishes.

Krizhevsky et al., 2012, "ImageNet Classification with Deep Convolutional Neural Networks"; widths
of Krizhevsky, 2014, "One weird trick for parallelizing convolutional neural networks", without
local response normalisation.

Images (batch, h, w, c) in, at least 63 pixels a side, logits (batch, num_classes) float32 out.
Parameters for 3 channels and 1000 classes: 61,100,840.
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxdl import layers, ops
from jaxdl.errors import UserError
from jaxdl.layers.initializers import PYTORCH
from jaxdl.models import register
from jaxdl.models.lengths import check_lengths

# (kernel, stride, padding) of each convolution, and those that a pool follows.
CONVS = ((11, 4, 2), (5, 1, 2), (3, 1, 1), (3, 1, 1), (3, 1, 1))
POOLED = (0, 1, 4)

# Kernels are drawn by PYTORCH, which torchvision leaves as it is; biases are zeros here.


@register("alexnet")
class AlexNet(nn.Module):
    """Five convolutions, three of them with a pool, and three dense layers.

    Attributes:
      num_classes: logits at the end; with 0, what they are made of is the result.
      channels: of each convolution.
      hidden: features of the two dense layers in front of the logits.
      pooled: pixels a side that the last map is averaged to; the first dense layer reads them all.
      dropout: rate in front of these two layers.
      dtype: of the computation; parameters and logits stay float32.
    """

    num_classes: int = 1000
    channels: tuple[int, ...] = (64, 192, 384, 256, 256)
    hidden: int = 4096
    pooled: int = 6
    dropout: float = 0.5
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self, x: jax.Array, *, train: bool = False, features: bool = False
    ) -> jax.Array | dict[int, jax.Array]:
        """(batch, h, w, c) -> (batch, num_classes), or the maps before pooling.

        Args:
          x: images.
          train: whether there is dropout.
          features: return {stride: map} instead: those of the convolutions of strides 4, 8 and 16,
            in front of their pools, and the last pool's of stride 32. Pools have no padding: a map
            is up to a pixel smaller than image / stride (of 224 pixels 55, 27, 13 and 6).
        """
        check_lengths(self, "channels", count=len(CONVS))
        if min(x.shape[1:3]) < 63:
            raise UserError(
                f"images of {x.shape[1]}x{x.shape[2]} pixels are too small for AlexNet: it takes "
                "63x63 and more"
            )
        stride, pyramid = 4, {}
        for i, (kernel, step, padding) in enumerate(CONVS):
            x = layers.ConvAct(
                self.channels[i],
                kernel,
                stride=step,
                padding=padding,
                kernel_init=PYTORCH,
                dtype=self.dtype,
                name=f"block_{i}",
            )(x)
            pyramid[stride] = x
            if i in POOLED:
                stride *= 2
                x = pyramid[stride] = ops.max_pool(x, 3, 2)
        if features:
            return pyramid
        x = ops.adaptive_avg_pool(x, self.pooled)
        x = layers.Dropout(self.dropout)(x, train=train)
        dense = dict(kernel_init=PYTORCH, dtype=self.dtype)
        x = ops.relu(layers.MapDense(self.hidden, **dense, name="dense_0")(x))
        x = layers.Dropout(self.dropout)(x, train=train)
        x = ops.relu(layers.Dense(self.hidden, **dense, name="dense_1")(x))
        x = ops.widen(x)
        if not self.num_classes:
            return x
        return layers.Dense(self.num_classes, kernel_init=PYTORCH, name="head")(x)
