"""Many small graphs as one: their nodes lie side by side, and no edge leaves its graph.

Each graph takes as many places as the largest; the last place of each is never a node. Edges that
only fill up join it to itself, so that they reach no node, and receivers ascend as they must.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxdl.ops.graph import Edges
from jaxdl.ops.segments import segment_mean


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


def pack_graphs(
    nodes: jax.Array,
    edges: jax.Array,
    loops: bool = False,
    features: jax.Array | None = None,
) -> tuple[jax.Array, Edges]:
    """Graphs (graphs, …) as one graph, of each device's own examples.

    Args:
      nodes: (graphs, places, features) floating; each graph's nodes first, one place empty or more.
      edges: (graphs, edges, 2) integers from 0, sender and receiver within the graph, receivers
        ascending; ``places`` - 1 or more in both fills up, behind the others.
      loops: every place is joined to itself too, beside ``edges``, which have no such edge.
      features: (graphs, edges, d) floating, of the edges, or None; a loop has the mean of the edges
        that arrive there, as of `jaxdl.ops.connect`.

    Returns:
      (graphs · places, features), and edges, of weight 0 where they fill up.
    """
    graphs, places = nodes.shape[:2]
    edges = jnp.minimum(edges, places - 1)
    weight = (edges[..., 1] < places - 1).astype(jnp.float32)
    if loops:
        edges, weight, features = _with_loops(edges, weight, features, places)
    first = places * jnp.arange(graphs, dtype=edges.dtype)
    source, target = (edges + first[:, None, None]).reshape(-1, 2).T
    if features is not None:
        features = features.reshape(-1, features.shape[-1])
    return nodes.reshape(graphs * places, -1), Edges(source, target, weight.reshape(-1), features)


def _with_loops(
    edges: jax.Array, weight: jax.Array, features: jax.Array | None, places: int
) -> tuple[jax.Array, jax.Array, jax.Array | None]:
    """(graphs, edges + places, 2), their weights and features; a loop stands behind its place's
    edges.
    """
    every = jnp.arange(places, dtype=edges.dtype)
    target = edges[..., 1]
    # So many loops, or edges, come before.
    at = jnp.arange(target.shape[1], dtype=edges.dtype) + target
    behind = jax.vmap(lambda ends: jnp.searchsorted(ends, every, side="right"))(target)
    at = jnp.concatenate([at, behind.astype(edges.dtype) + every], axis=1)
    loops = jnp.broadcast_to(every[:, None], (len(edges), places, 2))
    put = jax.vmap(lambda values, at: jnp.zeros_like(values).at[at].set(values))
    columns = [(edges, loops), (weight, jnp.ones(loops.shape[:2], weight.dtype))]
    if features is not None:
        mean = functools.partial(segment_mean, count=places)
        columns.append((features, jax.vmap(mean)(features, target)))
    made = [put(jnp.concatenate(both, axis=1), at) for both in columns]
    return made[0], made[1], made[2] if features is not None else None


def members_of(sizes: jax.Array, places: int) -> Members:
    """Of graphs with ``sizes`` (graphs,) nodes, in ``places`` altogether, each as many."""
    graphs = len(sizes)
    empty = jnp.arange(places // graphs)[None] >= sizes[:, None]
    numbers = 2 * jnp.arange(graphs, dtype=jnp.int32)[:, None] + empty.astype(jnp.int32)
    return Members(numbers.reshape(-1), 2 * graphs)
