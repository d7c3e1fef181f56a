"""What a node's neighbours hold, as one: the message passing of graph networks."""

import jax
import jax.numpy as jnp

from jaxdl.ops.graph import Edges, arrived, senders
from jaxdl.ops.graph_heads import sum_of_heads


def aggregate(x: jax.Array, edges: Edges, how: str = "sum", nodes: int | None = None) -> jax.Array:
    """What each node's neighbours hold, times their edges' weights, as one.

    Args:
      x: (nodes, …) floating.
      edges: between them.
      how: "sum", "mean" (by the number of edges, not by their weights) or "max".
      nodes: how many of the first are told of; all if None.

    Returns:
      (nodes, …): of weight(j → i) x_j over the edges that arrive at i; 0 where none does.

    Raises:
      UserError: another word for how.
    """
    nodes = len(x) if nodes is None else nodes
    if edges.rows is not None and nodes == len(x) and how in ("sum", "mean"):
        total = sum_of_heads(x.reshape(nodes, 1, -1), edges.weight[:, None], edges).reshape(x.shape)
        return total if how == "sum" else total / _arriving(edges, nodes, total)
    weight = edges.weight.astype(x.dtype).reshape(*edges.weight.shape, *(1,) * (x.ndim - 1))
    return arrived(senders(x, edges) * weight, edges, nodes, how)


def _arriving(edges: Edges, nodes: int, beside: jax.Array) -> jax.Array:
    """How many edges arrive at each node, or 1, to divide ``beside`` (nodes, …) by."""
    counts = arrived(jnp.ones(edges.target.shape, jnp.float32), edges, nodes)
    shape = (nodes, *(1,) * (beside.ndim - 1))
    return jnp.maximum(counts, 1).astype(beside.dtype).reshape(shape)
