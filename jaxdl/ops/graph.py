"""Message passing on graphs: reductions over the edges that arrive at each node.

A graph's adjacency is `Edges`, sorted by receiver once, when the graph is read; what is computed on
it costs as much as there are edges.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl.ops.graph_parts import joined, over_parts
from jaxdl.ops.graph_rows import Rows, rows_of
from jaxdl.ops.segments import segment_reduction, segment_softmax


class Edges(NamedTuple):
    """Directed edges with weights: messages go from ``source`` to ``target``.

    Of a graph in parts (`jaxdl.ops.edges_in_parts`) all have an axis of parts in front, and a
    target is a place within its part.

    Attributes:
      source: (edges,) int32 node indices.
      target: (edges,) int32, ascending, so that sums of neighbours need no search.
      weight: (edges,) float32.
      features: (edges, features) float32, or None.
      rows: the edges by target and by source, of `in_rows`, or None.
    """

    source: jax.Array
    target: jax.Array
    weight: jax.Array
    features: jax.Array | None = None
    rows: tuple[Rows, Rows] | None = None


def senders(x: jax.Array, edges: Edges) -> jax.Array:
    """(edges, …): the row of ``x`` (nodes, …) that each edge comes from; in parts as they are."""
    if edges.source.ndim == 1:
        return x[edges.source]
    return over_parts(lambda x, source: x[source], x, edges.source)


def receivers(x: jax.Array, edges: Edges) -> jax.Array:
    """As `senders`, the row that each edge arrives at; of padding any."""
    if edges.target.ndim == 1:
        return x[edges.target]
    rows = x.reshape(len(edges.target), -1, *x.shape[1:])
    return over_parts(lambda _, rows, target: rows[target], (), rows, edges.target)


def arrived(values: jax.Array, edges: Edges, nodes: int, how: str = "sum") -> jax.Array:
    """(nodes, …): what edges bring, ``values`` (edges, …), as one for each node; 0 where none does.

    Args:
      values: floating, in parts where ``edges`` are.
      edges: those that bring it.
      nodes: how many there are, or are told of: the first ones.
      how: "sum", "mean" or "max", of `jaxdl.ops.segment_reduction`.
    """
    reduce = segment_reduction(how)
    if edges.target.ndim == 1:
        return reduce(values, edges.target, nodes)
    own = nodes // len(edges.target)
    return joined(over_parts(lambda _, x, ids: reduce(x, ids, own), (), values, edges.target))


def arrived_softmax(scores: jax.Array, edges: Edges, nodes: int) -> jax.Array:
    """`jaxdl.ops.segment_softmax` over the edges that arrive at each node; as `arrived`."""
    if edges.target.ndim == 1:
        return segment_softmax(scores, edges.target, nodes)
    own = nodes // len(edges.target)
    return over_parts(lambda _, x, ids: segment_softmax(x, ids, own), (), scores, edges.target)


def connect(
    pairs: np.ndarray,
    nodes: int,
    *,
    both_ways: bool = False,
    loops: bool | None = None,
    weight: np.ndarray | None = None,
    features: np.ndarray | None = None,
) -> Edges:
    """Edges sorted by receiver; on the host.

    Args:
      pairs: (edges, 2) whole numbers from 0 and below ``nodes``, sender and receiver.
      nodes: how many there are.
      both_ways: each edge but a loop goes both ways, and is the same in both.
      loops: edges from a node to itself: exactly one at each node, of weight 1 and of the mean
        features of the other edges that arrive there (0 where none does); False: none; None: those
        of ``pairs``, as often as they stand there.
      weight: (edges,), 1 each if None.
      features: (edges, features), or None.
    """
    pairs = np.asarray(pairs).reshape(-1, 2)
    columns = [pairs[:, 0], pairs[:, 1], np.ones(len(pairs)) if weight is None else weight]
    columns += [] if features is None else [np.asarray(features, np.float32)]
    if loops is not None:
        columns = [column[pairs[:, 0] != pairs[:, 1]] for column in columns]
    if both_ways:
        there = columns[0] != columns[1]
        back = [columns[1], columns[0], *columns[2:]]
        columns = [np.concatenate([a, b[there]]) for a, b in zip(columns, back, strict=True)]
    if loops:
        every = np.arange(nodes)
        added = [every, every, np.ones(nodes), *(_means(f, columns[1], nodes) for f in columns[3:])]
        columns = [np.concatenate(pair) for pair in zip(columns, added, strict=True)]
    order = np.lexsort((columns[0], columns[1]))
    source, target, weight, *rest = (column[order] for column in columns)
    return Edges(
        jnp.asarray(source, jnp.int32),
        jnp.asarray(target, jnp.int32),
        jnp.asarray(weight, jnp.float32),
        *map(jnp.asarray, rest),
    )


def normalised(edges: np.ndarray, nodes: int, weight: np.ndarray | None = None) -> Edges:
    """Edges both ways and loops, weighted ``1 / √(d_i d_j)`` (Kipf and Welling, 2017, equation 2).

    d counts a node's neighbours and itself, so that a propagation is close to a mean and the
    largest eigenvalue is 1. Weights of edges are multiplied with that, and d is their sum and 1.

    Args:
      edges: (edges, 2) whole numbers below ``nodes``, each undirected edge once, no loops; on the
        host.
      nodes: how many there are.
      weight: (edges,), above 0; None of 1 each.
    """
    once = np.asarray(edges).reshape(-1, 2)
    weight = np.ones(len(once)) if weight is None else np.asarray(weight, np.float64)
    scale = 1 / np.sqrt(1 + np.bincount(once.ravel(), np.repeat(weight, 2), nodes))
    loops = np.stack([np.arange(nodes)] * 2, axis=1)
    pairs = np.concatenate([once, once[:, ::-1], loops])
    weight = np.concatenate([weight, weight, np.ones(nodes)])
    return connect(pairs, nodes, weight=weight * scale[pairs[:, 0]] * scale[pairs[:, 1]])


# Programs that use rows are longer.
_MANY = 65536


def in_rows(edges: Edges, nodes: int) -> Edges:
    """``edges`` with their ``rows`` if they are many: sums are faster by them on CPUs.

    On the host, of a graph that stays as it is. Rows take some 12 bytes an edge.
    """
    if len(edges.source) < _MANY:
        return edges
    source, target = np.asarray(edges.source), np.asarray(edges.target)
    return edges._replace(rows=(rows_of(target, nodes), rows_of(source, nodes)))


def _means(features: np.ndarray, target: np.ndarray, nodes: int) -> np.ndarray:
    """(nodes, features): the mean of those of the edges that arrive at each node, 0 of none."""
    total = np.zeros((nodes, features.shape[1]))
    np.add.at(total, target, features)
    counts = np.bincount(target, minlength=nodes)
    return (total / np.maximum(counts, 1)[:, None]).astype(np.float32)
