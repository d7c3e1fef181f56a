"""LSTM language model: embedding, layers of LSTM, a linear output of its own.

Tokens (batch, T) in, logits (batch, T, num_classes) float32 out; the state starts at zero.
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxdl import layers, models
from jaxdl.layers.recurrent import LSTM


@models.register("benchmark_lstm")
class LSTMModel(nn.Module):
    """Predicts the next token.

    Attributes:
      num_classes: tokens of the vocabulary.
      width: features of a token and of every layer.
      depth: layers.
      dtype: of the computation; parameters and logits stay float32.
    """

    num_classes: int = 256
    width: int = 256
    depth: int = 2
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, tokens: jax.Array, *, train: bool = False) -> jax.Array:
        """(batch, T) integers -> (batch, T, num_classes)."""
        x = nn.Embed(self.num_classes, self.width, dtype=self.dtype, name="embed")(tokens)
        for i in range(self.depth):
            # PyTorch's forget gate starts without a bias, so that the models are the same.
            x, _ = LSTM(self.width, forget_bias=0.0, dtype=self.dtype, name=f"lstm_{i}")(x)
        return layers.Dense(self.num_classes, name="head")(
            x.astype(jnp.promote_types(x.dtype, jnp.float32))
        )
