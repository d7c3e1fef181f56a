"""Action values in two streams: what a state is worth, and what each action adds to it.

Wang et al., 2016, "Dueling Network Architectures for Deep Reinforcement Learning". Any array
(batch, …) in, flattened; values (batch, num_classes) float32 out. Parameters with the defaults on
CartPole, 4 numbers in and 2 actions: 4·256 + 256 + 2 · (256·256 + 256) + 256·1 + 1 + 256·2 + 2 =
133,635.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxdl import layers, ops
from jaxdl.models import register


@register("dueling")
class Dueling(nn.Module):
    """``v(s) + a(s, ·) - mean a(s, ·)`` (equation 9), behind layers that both streams share.

    Attributes:
      num_classes: actions.
      hidden: features of each layer that is shared.
      stream: features of each hidden layer in each of the two streams.
      activation: a name in `jaxdl.ops.activations`.
      kernel_init: a name in `jaxdl.layers.initializers`.
      dtype: of the computation; parameters and values stay float32.
    """

    num_classes: int = 2
    hidden: Sequence[int] = (256,)
    stream: Sequence[int] = (256,)
    activation: str = "relu"
    kernel_init: str = "he_normal"
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """(batch, …) -> (batch, num_classes)."""
        x = self._hidden("dense", x.reshape(x.shape[0], -1), self.hidden)
        value = self._stream("value", x, 1)
        advantage = self._stream("advantage", x, self.num_classes)
        return value + advantage - advantage.mean(axis=-1, keepdims=True)

    def _hidden(self, name: str, x: jax.Array, widths: Sequence[int]) -> jax.Array:
        init = layers.initializer(self.kernel_init)
        for i, width in enumerate(widths):
            x = layers.Dense(width, kernel_init=init, dtype=self.dtype, name=f"{name}_{i}")(x)
            x = ops.activation(self.activation)(x)
        return x

    def _stream(self, name: str, x: jax.Array, features: int) -> jax.Array:
        init = layers.initializer(self.kernel_init)
        x = self._hidden(name, x, self.stream)
        return layers.Dense(
            features, kernel_init=init, dtype=self.dtype, wide=True, name=f"{name}_head"
        )(x)
