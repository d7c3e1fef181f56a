"""Graph isomorphism network (Xu et al., 2019), of nodes or of whole graphs.

Features (nodes, features) and edges in, logits (nodes, num_classes) float32 out. Parameters for
Cora (1433 features, 7 classes) with the defaults: 1433·16 + 16 + 16·16 + 16, 2·16 for the norm and
16·7 + 7 + 7·7 + 7, 23,423; with ``learned`` one more a layer. With ``pool`` the
last layer is a dense one, 16·7 + 7.
"""

from collections.abc import Callable

import jax
import numpy as np
from flax import linen as nn

from jaxdl import layers, ops
from jaxdl.models import register
from jaxdl.models.node_network import NodeNetwork


@register("gin")
class GIN(NodeNetwork):
    """Sums of neighbours and perceptrons with ReLU, batch norm, and dropout in front of each layer.

    Attributes:
      num_classes: features of the last layer.
      hidden: features of each layer before it.
      learned: how much more a node counts than a neighbour is learned, layer by layer.
      dropout: rate in front of every layer, but with ``pool`` not of the first.
      residual: layers are added to what they read.
      jump: "concatenate" or "max" of all layers is read by a dense last one; "" for neither.
      norm: in front of each activation: "batch", "graph", "layer" or "" for none.
      pool: whole graphs are classified by a dense last layer on the "sum", "mean", "max" or
        "attention" of their nodes; "" where each node is.
      dtype: of the computation; parameters and logits stay float32.
    """

    learned: bool = False
    norm: str = "batch"
    pool: str = ""

    def adjacency(
        self, edges: np.ndarray, nodes: int, weight: np.ndarray | None = None
    ) -> ops.Edges:
        """What `__call__` takes, of undirected edges (edges, 2), each once and no loops."""
        return ops.connect(edges, nodes, both_ways=True, weight=weight)

    @nn.compact
    def __call__(
        self, x: jax.Array, edges: ops.Edges, sizes: jax.Array | None = None, *, train: bool = False
    ) -> jax.Array:
        """(nodes, features), edges -> (nodes, num_classes).

        With ``sizes`` (graphs,) ``x`` and ``edges`` are of `jaxdl.ops.pack_graphs`, of graphs of so
        many nodes each, and what comes out is (graphs, num_classes).
        """

        def isomorphism(features: int, name: str) -> Callable[[jax.Array], jax.Array]:
            conv = layers.GINConv(features, self.learned, dtype=self.dtype, name=name)
            return lambda x: conv(x, edges)

        how = dict(activation=ops.relu, train=train, pool=self.pool, sizes=sizes)
        return self.stacked(x, isomorphism, **how)
