"""Graph convolutional network (Kipf and Welling, 2017).

Features (nodes, features) and an adjacency in, logits (nodes, num_classes) float32 out. Parameters
for Cora (1433 features, 7 classes) with the defaults: 1433·16 + 16 + 16·7 + 7 = 23,063.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxdl import layers, ops
from jaxdl.models import register


@register("gcn")
class GCN(nn.Module):
    """Graph convolutions with ReLU and dropout in front of each.

    Attributes:
      num_classes: features of the last layer.
      hidden: features of each layer before it.
      hops: propagations a layer.
      dropout: rate in front of every layer.
      dtype: of the computation; parameters and logits stay float32.
    """

    num_classes: int = 7
    hidden: Sequence[int] = (16,)
    hops: int = 1
    dropout: float = 0.5
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self, x: jax.Array, adjacency: ops.Edges | jax.Array, *, train: bool = False
    ) -> jax.Array:
        """(nodes, features), adjacency -> (nodes, num_classes)."""
        for i, features in enumerate((*self.hidden, self.num_classes)):
            x = layers.Dropout(self.dropout)(x, train=train)
            last = i == len(self.hidden)
            name = "head" if last else f"conv_{i}"
            x = layers.GraphConv(features, self.hops, dtype=self.dtype, name=name)(x, adjacency)
            x = x if last else ops.relu(x)
        return ops.widen(x)
