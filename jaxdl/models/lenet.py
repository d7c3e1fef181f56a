"""LeNet-5.

LeCun et al., 1998, "Gradient-Based Learning Applied to Document Recognition", figure 2: conv 6 –
pool – conv 16 – pool – conv 120 – dense 84 – logits, 5x5 kernels without padding, 2x2 pools. As it
is commonly counted: every map of the second convolution sees all six of the first (table I leaves
some out), pools have no weights, and logits take the place of the radial basis functions.

Images (batch, h, w, c) in, at least 32 pixels a side (28 with padding=2), logits (batch,
num_classes) float32 out. Parameters for 32x32x1 images and 10 classes: 61,706 (156 + 2,416 + 48,120
+ 10,164 + 850).
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxdl import layers, ops
from jaxdl.errors import UserError
from jaxdl.models import register
from jaxdl.models.lengths import check_lengths
from jaxdl.registry import choose


@register("lenet", {"lenet5": {}})
class LeNet(nn.Module):
    """Three convolutions, the first two each with a pool, and two dense layers.

    Attributes:
      num_classes: logits at the end; with 0, what they are made of is the result.
      channels: of each convolution.
      hidden: features of the dense layer.
      padding: of the first convolution: 0 for the paper's 32x32 images, 2 for MNIST's 28x28.
      pool: "avg", the paper's subsampling, or "max".
      activation: behind each layer but the last, a name in `jaxdl.ops.activations`.
      dtype: of the computation; parameters and logits stay float32.
    """

    num_classes: int = 10
    channels: tuple[int, int, int] = (6, 16, 120)
    hidden: int = 84
    padding: int = 0
    pool: str = "avg"
    activation: str = "tanh"
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self, x: jax.Array, *, train: bool = False, features: bool = False
    ) -> jax.Array | dict[int, jax.Array]:
        """(batch, h, w, c) -> (batch, num_classes), or the convolutions' maps.

        Of larger images the third convolution gives more than one pixel; their mean goes on.

        Args:
          x: images.
          train: changes nothing here.
          features: return {1: …, 2: …} instead, the first two convolutions' maps by stride. They
            have the places that a whole kernel reaches: of 32x32 pixels 28x28 and 10x10.
        """
        del train
        check_lengths(self, "channels", count=3)
        least = 32 - 2 * self.padding
        if min(x.shape[1:3]) < least:
            raise UserError(
                f"images of {x.shape[1]}x{x.shape[2]} pixels are too small for LeNet with "
                f"padding={self.padding}: it takes {least}x{least} and more"
            )
        pool = choose("pool", self.pool, {"avg": ops.avg_pool, "max": ops.max_pool})
        pyramid = {}
        for i, channels in enumerate(self.channels):
            x = pool(x, 2) if i else x
            x = layers.ConvAct(
                channels,
                5,
                padding=0 if i else self.padding,
                activation=self.activation,
                kernel_init=nn.initializers.lecun_normal(),
                dtype=self.dtype,
                name=f"block_{i}",
            )(x)
            pyramid[2**i] = x
        if features:
            return {stride: pyramid[stride] for stride in (1, 2)}  # the third is mostly one pixel
        x = layers.Dense(self.hidden, dtype=self.dtype, name="dense")(x.mean(axis=(1, 2)))
        x = ops.activation(self.activation)(x)
        x = ops.widen(x)
        return layers.Dense(self.num_classes, name="head")(x) if self.num_classes else x
