"""Many small graphs as one: their nodes lie side by side, and no edge leaves its graph.

Each graph takes as many places as the largest; the last place of each is never a node. Edges that
only fill up join it to itself, so that they reach no node, and receivers ascend as they must.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxdl.ops.graph import Edges


class Members(NamedTuple):
    """Which graph each place of a batch belongs to.

    Attributes:
      ids: (places,) int32, ascending: 2g for the nodes of graph g, 2g + 1 for its empty places.
      count: 2 · graphs, the numbers that there are.
    """

    ids: jax.Array
    count: int

    @property
    def is_node(self) -> jax.Array:
        """(places,) float32, 0 for an empty place."""
        return 1 - (self.ids % 2).astype(jnp.float32)


def pack_graphs(nodes: jax.Array, edges: jax.Array) -> tuple[jax.Array, Edges]:
    """Graphs (graphs, …) as one graph, of each device's own examples.

    Args:
      nodes: (graphs, places, features) floating; each graph's nodes first, one place empty or more.
      edges: (graphs, edges, 2) integers from 0, sender and receiver within the graph, receivers
        ascending; ``places`` - 1 or more in both fills up, behind the others.

    Returns:
      (graphs · places, features), and edges, of weight 0 where they fill up.
    """
    graphs, places = nodes.shape[:2]
    edges = jnp.minimum(edges, places - 1)
    weight = (edges[..., 1] < places - 1).astype(jnp.float32)
    first = places * jnp.arange(graphs, dtype=edges.dtype)
    source, target = (edges + first[:, None, None]).reshape(-1, 2).T
    return nodes.reshape(graphs * places, -1), Edges(source, target, weight.reshape(-1))


def members_of(sizes: jax.Array, places: int) -> Members:
    """Of graphs with ``sizes`` (graphs,) nodes, in ``places`` altogether, each as many."""
    graphs = len(sizes)
    empty = jnp.arange(places // graphs)[None] >= sizes[:, None]
    numbers = 2 * jnp.arange(graphs, dtype=jnp.int32)[:, None] + empty.astype(jnp.int32)
    return Members(numbers.reshape(-1), 2 * graphs)
