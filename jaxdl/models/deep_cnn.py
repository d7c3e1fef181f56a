"""DeepCNN: the two-convolution network of introductory courses.

conv 32 – BN – ReLU – pool – conv 64 – BN – ReLU – pool – dense 128 – ReLU – dropout .3 – dense.
Images (batch, h, w, c) in, logits (batch, num_classes) float32 out. 3x3 kernels, padding 1, 2x2
pools. Parameters for 28x28x1 images and 10 classes: 421,834 (320 + 64 + 18,496 + 128 + 401,536 +
1,290).
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxdl import layers, ops
from jaxdl.models import register


@register("deep_cnn")
class DeepCNN(nn.Module):
    """Convolution stages, each halving the image, then two dense layers.

    Attributes:
      num_classes: logits at the end.
      channels: of each stage.
      hidden: features of the dense layer.
      dropout: rate before the last layer.
      dtype: of the computation; parameters, statistics and logits stay float32.
    """

    num_classes: int = 10
    channels: tuple[int, ...] = (32, 64)
    hidden: int = 128
    dropout: float = 0.3
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """(batch, h, w, c) -> (batch, num_classes)."""
        for i, features in enumerate(self.channels):
            x = layers.Conv(features, dtype=self.dtype, name=f"conv_{i}")(x)
            x = layers.BatchNorm(use_running_average=not train, dtype=self.dtype, name=f"norm_{i}")(
                x
            )
            x = ops.max_pool(ops.relu(x), 2)
        x = x.reshape(x.shape[0], -1)
        he = layers.initializer("he_normal")
        x = ops.relu(layers.Dense(self.hidden, kernel_init=he, dtype=self.dtype, name="dense")(x))
        x = layers.Dropout(self.dropout)(x, train=train)
        return layers.Dense(self.num_classes, name="head")(ops.widen(x))
