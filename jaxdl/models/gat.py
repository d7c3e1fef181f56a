"""Graph attention networks (Veličković et al., 2018), and GATv2 (Brody et al., 2022).

Features (nodes, features) and edges in, logits (nodes, num_classes) float32 out. Parameters for
Cora (1433 features, 7 classes) with the defaults: 1433·64 + 2·64 + 64 and 64·7 + 2·7 + 7, 92,373.
"""

from collections.abc import Callable, Sequence

import jax
import numpy as np
from flax import linen as nn

from jaxdl import layers, ops
from jaxdl.models import register
from jaxdl.models.node_network import NodeNetwork


@register("gat", {"gatv2": dict(dynamic=True)})
class GAT(NodeNetwork):
    """Graph attention with ELU, and dropout in front of each layer and of its weights.

    Attributes:
      num_classes: features of the last layer.
      hidden: features of each head of each layer before it, whose heads stand side by side.
      heads: of these layers.
      head_heads: of the last layer, which averages them; without ``pool``.
      dynamic: attention as of GATv2.
      self_loops: a node hears itself too.
      hops: how often a layer passes on what nodes hold, by the same weights.
      dropout: rate in front of every layer, but with ``pool`` not of the first.
      attention_dropout: rate of the weights.
      residual: layers are added to what they read.
      jump: "concatenate" or "max" of all layers is read by a dense last one; "" for neither.
      norm: in front of each activation: "batch", "graph", "layer" or "" for none.
      pool: whole graphs are classified by a dense last layer on the "sum", "mean", "max" or
        "attention" of their nodes; "" where each node is.
      dtype: of the computation; parameters, softmax and logits stay float32.
    """

    hidden: Sequence[int] = (8,)
    heads: int = 8
    head_heads: int = 1
    dynamic: bool = False
    self_loops: bool = True
    hops: int = 1
    dropout: float = 0.6
    attention_dropout: float = 0.6
    pool: str = ""

    def adjacency(
        self, edges: np.ndarray, nodes: int, weight: np.ndarray | None = None
    ) -> ops.Edges:
        """What `__call__` takes, of undirected edges (edges, 2), each once and no loops.

        How much an edge counts is learned; its weight, if there are any, is a feature of it that
        attention reads.
        """
        features = None if weight is None else np.asarray(weight)[:, None]
        return ops.connect(edges, nodes, both_ways=True, loops=self.self_loops, features=features)

    @nn.compact
    def __call__(
        self, x: jax.Array, edges: ops.Edges, sizes: jax.Array | None = None, *, train: bool = False
    ) -> jax.Array:
        """(nodes, features), edges -> (nodes, num_classes).

        With ``sizes`` (graphs,) ``x`` and ``edges`` are of `jaxdl.ops.pack_graphs`, with loops if
        ``self_loops``, of graphs of so many nodes each; what comes out is (graphs, num_classes).
        """

        def attention(
            features: int, name: str, heads: int = self.heads, joined: bool = True
        ) -> Callable[[jax.Array], jax.Array]:
            conv = layers.GATConv(
                features,
                heads,
                joined,
                self.dynamic,
                dropout=self.attention_dropout,
                hops=self.hops,
                dtype=self.dtype,
                name=name,
            )
            return lambda x: conv(x, edges, train=train)

        return self.stacked(
            x,
            attention,
            head=lambda x: attention(self.num_classes, "head", self.head_heads, False)(x),
            activation=ops.elu,
            train=train,
            pool=self.pool,
            sizes=sizes,
        )
