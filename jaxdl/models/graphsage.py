"""GraphSAGE (Hamilton et al., 2017), on all neighbours or on such as were drawn.

Features (nodes, features) and edges in, logits (nodes, num_classes) float32 out. Parameters for
Cora (1433 features, 7 classes) with the defaults: 2·1433·16 + 16 + 2·16·7 + 7 = 46,103.
"""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from jaxdl import layers, ops
from jaxdl.errors import UserError
from jaxdl.models import register
from jaxdl.models.node_network import NodeNetwork


@register("graphsage")
class GraphSAGE(NodeNetwork):
    """GraphSAGE's layers with ReLU, and dropout in front of each.

    Attributes:
      num_classes: features of the last layer.
      hidden: features of each layer before it.
      aggregation: of the neighbours: "mean", "max" or "sum".
      pooled: neighbours pass a dense layer with ReLU first.
      normalised: what hidden layers say is divided by its length.
      dropout: rate in front of every layer, but with ``pool`` not of the first.
      residual: layers are added to what they read.
      jump: "concatenate" or "max" of all layers is read by a dense last one; "" for neither.
      norm: in front of each activation: "batch", "graph", "layer" or "" for none.
      pool: whole graphs are classified by a dense last layer on the "sum", "mean", "max" or
        "attention" of their nodes; "" where each node is.
      dtype: of the computation; parameters and logits stay float32.
    """

    aggregation: str = "mean"
    pooled: bool = False
    normalised: bool = False
    pool: str = ""

    def adjacency(
        self, edges: np.ndarray, nodes: int, weight: np.ndarray | None = None
    ) -> ops.Edges:
        """What `__call__` takes, of undirected edges (edges, 2), each once and no loops."""
        return ops.connect(edges, nodes, both_ways=True, weight=weight)

    def drawn(
        self,
        source: jax.Array,
        target: jax.Array,
        scale: jax.Array,
        weight: jax.Array | None = None,
    ) -> ops.Edges:
        """The edges of `jaxdl.ops.Hops`, of such as were drawn.

        A sum of them is unbiased, as each counts as often as it stands for others, and so is a
        mean; a maximum over a part is at most the maximum.

        Args:
          source: (edges,) int32.
          target: (edges,) int32, ascending.
          scale: (edges,) how many of the graph's edges each stands for.
          weight: (edges,) of the graph's edges; None of 1 each.
        """
        counts = scale if self.aggregation == "sum" else jnp.ones_like(scale)
        return ops.Edges(source, target, counts if weight is None else counts * weight)

    @nn.compact
    def __call__(
        self,
        x: jax.Array | Sequence[jax.Array],
        edges: ops.Edges | ops.Hops,
        sizes: jax.Array | None = None,
        *,
        train: bool = False,
        only: int | None = None,
    ) -> jax.Array:
        """(nodes, features), edges -> (nodes, num_classes).

        Of `jaxdl.ops.Hops` the nodes that are asked for come out; one layer by itself, ``only``, is
        told of in `jaxdl.layers.graph_stack`. With ``sizes`` (graphs,) ``x`` and ``edges`` are of
        `jaxdl.ops.pack_graphs`, of graphs of so many nodes each, and what comes out is (graphs,
        num_classes).
        """

        if getattr(edges, "features", None) is not None:
            raise UserError(
                "data.edge_features=True must be False: GraphSAGE has no use for what edges have; "
                "'gin' and 'gat' do"
            )

        def sage(features: int, name: str) -> Callable[[jax.Array], jax.Array]:
            conv = layers.SAGEConv(
                features,
                self.aggregation,
                self.pooled,
                # Logits of length 1 could not be sure of anything.
                self.normalised and name != "head",
                dtype=self.dtype,
                name=name,
            )
            return lambda x: conv(x, *ops.of_layer(edges, self.numbered(name)))

        how = dict(activation=ops.relu, train=train, pool=self.pool, sizes=sizes, only=only)
        return self.stacked(x, sage, **how)
