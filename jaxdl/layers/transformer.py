"""The transformer's block and its feed-forward half."""

from typing import Any

import jax
from flax import linen as nn

from jaxdl import ops
from jaxdl.layers.attention import MultiHeadAttention
from jaxdl.layers.dense import Dense
from jaxdl.layers.drop_path import DropPath
from jaxdl.layers.dropout import Dropout
from jaxdl.layers.normalization import LayerNorm


class FeedForward(nn.Module):
    """Two dense layers with an activation between: (…, width) -> (…, hidden) -> (…, width)."""

    hidden: int
    activation: str = "gelu"
    dropout: float = 0.0
    dtype: Any = None

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """Dropout falls behind both layers, as in the published ViT."""
        dense = lambda features, name: Dense(
            features,
            kernel_init=nn.initializers.xavier_uniform(),
            bias_init=nn.initializers.normal(1e-6),
            dtype=self.dtype,
            name=name,
        )
        h = ops.activation(self.activation)(dense(self.hidden, "up")(x))
        h = Dropout(self.dropout)(h, train=train)
        y = dense(x.shape[-1], "down")(h)
        return Dropout(self.dropout)(y, train=train)


class EncoderBlock(nn.Module):
    """Pre-norm transformer block: ``x + attention(norm(x))``, then ``x + feed_forward(norm(x))``.

    Pre-norm as in Xiong et al., 2020; the two branches go through stochastic depth.
    """

    heads: int
    mlp_ratio: float = 4.0
    activation: str = "gelu"
    dropout: float = 0.0
    drop_path: float = 0.0
    norm_epsilon: float = 1e-6
    dtype: Any = None

    @nn.compact
    def __call__(
        self, x: jax.Array, *, train: bool, mask: jax.Array | None = None, causal: bool = False
    ) -> jax.Array:
        """``x``: (batch, T, width); same shape out. ``mask``, ``causal``: see ops.attention."""
        norm = lambda name: LayerNorm(epsilon=self.norm_epsilon, dtype=self.dtype, name=name)
        y = MultiHeadAttention(self.heads, dtype=self.dtype, name="attention")(
            norm("norm_attention")(x), mask=mask, causal=causal
        )
        y = Dropout(self.dropout)(y, train=train)
        x = x + DropPath(self.drop_path, name="drop_attention")(y, train=train)
        y = FeedForward(
            int(self.mlp_ratio * x.shape[-1]),
            activation=self.activation,
            dropout=self.dropout,
            dtype=self.dtype,
            name="feed_forward",
        )(norm("norm_feed_forward")(x), train=train)
        return x + DropPath(self.drop_path, name="drop_feed_forward")(y, train=train)
