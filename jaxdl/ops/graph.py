"""Message passing on graphs: sums over the edges that arrive at each node.

A graph's adjacency is `Edges`, whose sums cost as much as there are edges, or the dense matrix that
they stand for, which is a product and pays on small graphs. Both give the same sums.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np


class Edges(NamedTuple):
    """Directed edges with weights: messages go from ``source`` to ``target``.

    Attributes:
      source: (edges,) int32 node indices.
      target: (edges,) int32, ascending, so that sums of neighbours need no search.
      weight: (edges,) float32.
    """

    source: jax.Array
    target: jax.Array
    weight: jax.Array


def propagate(x: jax.Array, adjacency: Edges | jax.Array) -> jax.Array:
    """The weighted sum of what each node's neighbours hold.

    Args:
      x: (nodes, features).
      adjacency: edges, or a matrix (nodes, nodes) with the weight from node j to i at [i, j].

    Returns:
      (nodes, features): Σ_j weight(j → i) x_j for every node i.
    """
    if not isinstance(adjacency, Edges):
        return adjacency.astype(x.dtype) @ x
    messages = x[adjacency.source] * adjacency.weight[:, None].astype(x.dtype)
    return jax.ops.segment_sum(
        messages, adjacency.target, num_segments=x.shape[0], indices_are_sorted=True
    )


def normalised(edges: np.ndarray, nodes: int) -> Edges:
    """Edges both ways and loops, weighted ``1 / √(d_i d_j)`` (Kipf and Welling, 2017, equation 2).

    d counts a node's neighbours and itself, so that a propagation is close to a mean and the
    largest eigenvalue is 1.

    Args:
      edges: (edges, 2) whole numbers below ``nodes``, each undirected edge once, no loops; on the
        host.
      nodes: how many there are.
    """
    loops = np.arange(nodes, dtype=np.int32)
    source = np.concatenate([edges[:, 0], edges[:, 1], loops])
    target = np.concatenate([edges[:, 1], edges[:, 0], loops])
    order = np.lexsort((source, target))
    source, target = source[order], target[order]
    scale = 1 / np.sqrt(np.bincount(target))
    weight = (scale[source] * scale[target]).astype(np.float32)
    return Edges(jnp.asarray(source), jnp.asarray(target), jnp.asarray(weight))


def dense_adjacency(edges: Edges, nodes: int) -> jax.Array:
    """(nodes, nodes): the weight from node j to i at [i, j]; parallel edges add up."""
    empty = jnp.zeros((nodes, nodes), edges.weight.dtype)
    return empty.at[edges.target, edges.source].add(edges.weight)
