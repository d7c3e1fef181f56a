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


def pack_graphs(nodes: jax.Array, edges: jax.Array, loops: bool = False) -> tuple[jax.Array, Edges]:
    """Graphs (graphs, …) as one graph, of each device's own examples.

    Args:
      nodes: (graphs, places, features) floating; each graph's nodes first, one place empty or more.
      edges: (graphs, edges, 2) integers from 0, sender and receiver within the graph, receivers
        ascending; ``places`` - 1 or more in both fills up, behind the others.
      loops: every place is joined to itself too, beside ``edges``, which have no such edge.

    Returns:
      (graphs · places, features), and edges, of weight 0 where they fill up.
    """
    graphs, places = nodes.shape[:2]
    edges = jnp.minimum(edges, places - 1)
    weight = (edges[..., 1] < places - 1).astype(jnp.float32)
    if loops:
        edges, weight = _with_loops(edges, weight, places)
    first = places * jnp.arange(graphs, dtype=edges.dtype)
    source, target = (edges + first[:, None, None]).reshape(-1, 2).T
    return nodes.reshape(graphs * places, -1), Edges(source, target, weight.reshape(-1))


def _with_loops(edges: jax.Array, weight: jax.Array, places: int) -> tuple[jax.Array, jax.Array]:
    """(graphs, edges + places, 2) and their weights; each loop stands behind its place's edges."""
    every = jnp.arange(places, dtype=edges.dtype)
    target = edges[..., 1]
    # So many loops, or edges, come before.
    at = jnp.arange(target.shape[1], dtype=edges.dtype) + target
    behind = jax.vmap(lambda ends: jnp.searchsorted(ends, every, side="right"))(target)
    at = jnp.concatenate([at, behind.astype(edges.dtype) + every], axis=1)
    loops = jnp.broadcast_to(every[:, None], (len(edges), places, 2))
    put = jax.vmap(lambda values, at: jnp.zeros_like(values).at[at].set(values))
    return (
        put(jnp.concatenate([edges, loops], axis=1), at),
        put(jnp.concatenate([weight, jnp.ones(loops.shape[:2], weight.dtype)], axis=1), at),
    )


def members_of(sizes: jax.Array, places: int) -> Members:
    """Of graphs with ``sizes`` (graphs,) nodes, in ``places`` altogether, each as many."""
    graphs = len(sizes)
    empty = jnp.arange(places // graphs)[None] >= sizes[:, None]
    numbers = 2 * jnp.arange(graphs, dtype=jnp.int32)[:, None] + empty.astype(jnp.int32)
    return Members(numbers.reshape(-1), 2 * graphs)
