"""A graph's edges in rows of few widths, by the node at one end: sums without a scatter.

A scatter adds edge after edge on one core, and all that edges bring has to lie in memory before. In
a row as wide as a node has edges, or a little wider, the sum is one of so many gathers, of which
XLA makes one loop on a CPU: its cores share it, and it writes nothing but the result.
"""

import functools
import operator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl.ops.wide import widen

# Of rows, ascending; a program grows by their sum. With more edges than the last a node has
# several rows.
_WIDTHS = (4, 8, 16, 32)


class Rows(NamedTuple):
    """Where each node's edges are.

    Attributes:
      edges: (rows, width) int32 for each width that there is: which edges they are; the row's first
        one again where it has fewer.
      lengths: (rows,) int32 for each: how many a row has.
      first: (nodes,) int32: a row of each node, counted through all widths; of a node without
        edges, how many rows there are.
      more: (others,) int32: the rows of nodes that have several, but for the first one.
      owners: (others,) int32, ascending: whose they are.
    """

    edges: tuple[jax.Array, ...]
    lengths: tuple[jax.Array, ...]
    first: jax.Array
    more: jax.Array
    owners: jax.Array


def rows_of(ends: np.ndarray, nodes: int) -> Rows:
    """The rows of edges by the node at one end, ``ends`` (edges,), below ``nodes``; on the host."""
    widest = _WIDTHS[-1]
    order = np.argsort(ends, kind="stable")
    degrees = np.bincount(ends, minlength=nodes)
    counts = -(-degrees // widest)
    owner = np.repeat(np.arange(nodes), counts)
    turn = np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
    start = (np.cumsum(degrees) - degrees)[owner] + turn * widest
    length = np.minimum(degrees[owner] - turn * widest, widest)
    kind = np.searchsorted(_WIDTHS, length)
    edges, lengths, place = [], [], np.empty(len(owner), np.int64)
    for number, width in enumerate(_WIDTHS):
        own = np.flatnonzero(kind == number)
        if len(own):
            place[own] = sum(map(len, edges)) + np.arange(len(own))
            column = np.arange(width)
            there = column < length[own, None]
            edges.append(order[start[own, None] + np.where(there, column, 0)])
            lengths.append(length[own])
    first = np.full(nodes, len(owner))
    first[owner[turn == 0]] = place[turn == 0]
    made = Rows(tuple(edges), tuple(lengths), first, place[turn > 0], owner[turn > 0])
    return jax.tree.map(lambda x: jnp.asarray(x, jnp.int32), made)


def sum_in_rows(x: jax.Array, weights: jax.Array, ends: jax.Array, rows: Rows) -> jax.Array:
    """Σ over each node's edges of weight · x at their other end, head by head.

    Args:
      x: (nodes, heads, features) floating; added in at least float32.
      weights: (edges, heads).
      ends: (edges,) int32: the other ends.
      rows: of the edges by the ends that sums are for.

    Returns:
      (nodes, heads, features), in what it is added in; 0 where there is no edge.
    """
    if not rows.edges:
        return jnp.zeros_like(widen(x))
    made = jnp.concatenate(
        [
            _row_sums(x, weights, ends, *block)
            for block in zip(rows.edges, rows.lengths, strict=True)
        ]
    )
    total = made.at[rows.first].get(mode="fill", fill_value=0)
    return total.at[rows.owners].add(made[rows.more], indices_are_sorted=True)


def _row_sums(
    x: jax.Array, weights: jax.Array, ends: jax.Array, edges: jax.Array, lengths: jax.Array
) -> jax.Array:
    there = jnp.arange(edges.shape[1]) < lengths[:, None]
    weights = jnp.where(there[..., None], weights[edges].astype(x.dtype), 0)
    # Else both are looked up again for each feature.
    weights, ends = jax.lax.optimization_barrier((weights, ends[edges]))
    terms = (widen(x[ends[:, j]] * weights[:, j, :, None]) for j in range(edges.shape[1]))
    return functools.reduce(operator.add, terms)
