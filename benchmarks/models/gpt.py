"""GPT-2 (Radford et al., 2019): a pre-norm decoder whose output layer is its embedding.

Tokens (batch, T) in, logits (batch, T, num_classes) float32 out. With width 768, depth 12, heads
12, 50,257 tokens and T = 1024: 124,439,808 parameters.
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxdl import layers, models


@models.register("benchmark_gpt")
class GPT(nn.Module):
    """A transformer that sees only the past, with learned positions.

    Attributes:
      num_classes: tokens of the vocabulary.
      width: features of a token.
      depth: blocks.
      heads: attention heads; divides width.
      dropout: rate behind the embedding, attention and feed-forward layers.
      dtype: of the computation; parameters, statistics and the sums of logits stay float32.
    """

    num_classes: int = 50257
    width: int = 768
    depth: int = 12
    heads: int = 12
    dropout: float = 0.0
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, tokens: jax.Array, *, train: bool = False) -> jax.Array:
        """(batch, T) integers -> (batch, T, num_classes)."""
        embed = nn.Embed(
            self.num_classes,
            self.width,
            embedding_init=nn.initializers.normal(0.02),
            dtype=self.dtype,
            name="embed",
        )
        x = embed(tokens)
        x = x + layers.learned_positions(self, tokens.shape[1], self.width).astype(x.dtype)
        x = nn.Dropout(self.dropout, deterministic=not train)(x)
        for i in range(self.depth):
            x = layers.Block(
                self.heads,
                activation="gelu_tanh",
                dropout=self.dropout,
                norm_epsilon=1e-5,
                dtype=self.dtype,
                name=f"block_{i}",
            )(x, train=train, causal=True)
        x = layers.LayerNorm(epsilon=1e-5, dtype=self.dtype, name="norm")(x)
        B, T, D = x.shape
        kernel = embed.embedding.astype(x.dtype)
        logits = jnp.matmul(x.reshape(B * T, D), kernel.T, preferred_element_type=jnp.float32)
        return logits.reshape(B, T, -1)
