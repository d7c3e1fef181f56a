"""Multi-layer perceptron.

Any array (batch, …) in, flattened; logits (batch, num_classes) float32 out. Parameters with the
defaults on 784 inputs: 784·256 + 256 + 256·256 + 256 + 256·10 + 10 = 269,322.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxdl import layers, ops
from jaxdl.models import register


@register("mlp")
class MLP(nn.Module):
    """Dense layers with an activation after each but the last.

    Attributes:
      num_classes: features of the last layer.
      hidden: features of each hidden layer.
      activation: a name in `jaxdl.ops.activations`.
      kernel_init: a name in `jaxdl.layers.initializers`.
      dropout: rate after each activation.
      dtype: of the computation; parameters and logits stay float32.
    """

    num_classes: int = 10
    hidden: Sequence[int] = (256, 256)
    activation: str = "relu"
    kernel_init: str = "he_normal"
    dropout: float = 0.0
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """(batch, …) -> (batch, num_classes)."""
        init = layers.initializer(self.kernel_init)
        x = x.reshape(x.shape[0], -1)
        for i, features in enumerate(self.hidden):
            x = layers.Dense(features, kernel_init=init, dtype=self.dtype, name=f"dense_{i}")(x)
            x = ops.activation(self.activation)(x)
            x = layers.Dropout(self.dropout)(x, train=train)
        return layers.Dense(
            self.num_classes, kernel_init=init, dtype=self.dtype, wide=True, name="head"
        )(x)
