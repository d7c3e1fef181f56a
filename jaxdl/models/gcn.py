"""Graph convolutional network (Kipf and Welling, 2017).

Features (nodes, features) and an adjacency in, logits (nodes, num_classes) float32 out. Parameters
for Cora (1433 features, 7 classes) with the defaults: 1433·16 + 16 + 16·7 + 7 = 23,063.
"""

from collections.abc import Callable

import jax
from flax import linen as nn

from jaxdl import layers, ops
from jaxdl.models import register
from jaxdl.models.node_network import NodeNetwork


@register("gcn")
class GCN(NodeNetwork):
    """Graph convolutions with ReLU and dropout in front of each.

    Attributes:
      num_classes: features of the last layer.
      hidden: features of each layer before it.
      hops: propagations a layer.
      dropout: rate in front of every layer.
      residual: layers are added to what they read.
      jump: "concatenate" or "max" of all layers is read by a dense last one; "" for neither.
      norm: in front of each activation: "batch", "graph", "layer" or "" for none.
      dtype: of the computation; parameters and logits stay float32.
    """

    hops: int = 1

    @nn.compact
    def __call__(self, x: jax.Array, edges: ops.Edges, *, train: bool = False) -> jax.Array:
        """(nodes, features), edges of `jaxdl.ops.normalised` -> (nodes, num_classes)."""

        def conv(features: int, name: str) -> Callable[[jax.Array], jax.Array]:
            layer = layers.GraphConv(features, self.hops, dtype=self.dtype, name=name)
            return lambda x: layer(x, edges)

        return self.stacked(x, conv, activation=ops.relu, train=train)
