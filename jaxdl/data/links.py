"""Edges that are held out to be found, and pairs of nodes that are not joined."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jaxdl.errors import UserError

# The room in a draw for pairs that are drawn twice, or are joined.
_SPARE = 1.1


class Divided(NamedTuple):
    """The edges of an undirected graph in two parts, and as many pairs that are in neither.

    Attributes:
      known: (edges, 2) int32, what is learned from and all that is heard by.
      asked: (n, 2) int32, held out.
      absent: (n, 2) int32, different pairs of different nodes that no edge joins.
    """

    known: np.ndarray
    asked: np.ndarray
    absent: np.ndarray


def divide(
    edges: np.ndarray, nodes: int, held_out: float, seed: Sequence[int], setting: str
) -> Divided:
    """A graph's edges, divided by chance.

    Args:
      edges: (edges, 2) whole numbers below ``nodes``, each undirected edge once, no loops.
      nodes: how many there are.
      held_out: the share of edges to be asked for, above 0 and below 1.
      seed: of the draw.
      setting: what ``held_out`` is called, for messages.

    Raises:
      UserError: a share that is none, or too few edges or free pairs for it.
    """
    if not 0 < held_out < 1:
        raise UserError(f"{setting}={held_out} must be above 0 and below 1")
    count = round(held_out * len(edges))
    if not 0 < count < len(edges):
        raise UserError(
            f"{setting}={held_out}: of {len(edges)} edges {count} would be held out; some must "
            "be, and some must be left"
        )
    rng = np.random.default_rng(tuple(seed))
    edges = np.sort(np.asarray(edges, np.int32), axis=1)
    order = rng.permutation(len(edges))
    absent = absent_pairs(edges, nodes, count, rng)
    if len(absent) < count:
        raise UserError(
            f"{setting}={held_out}: {count} edges and as many pairs that are not joined are "
            f"wanted, and there are {len(absent)} such pairs"
        )
    return Divided(edges[np.sort(order[count:])], edges[np.sort(order[:count])], absent)


def absent_pairs(edges: np.ndarray, nodes: int, count: int, rng: np.random.Generator) -> np.ndarray:
    """(count, 2) int32: different pairs, lower node first, none of them in ``edges``.

    All that there are if they are fewer; otherwise each set is as likely.

    Args:
      edges: (edges, 2), each undirected edge once, no loops.
      nodes: how many there are.
      count: how many are wanted.
      rng: of the draw.
    """
    joined = np.sort(_keys(edges, nodes))
    free = nodes * (nodes - 1) // 2 - len(joined)
    if count > free // 2:  # few are left to be found by chance
        every = _keys(np.stack(np.triu_indices(nodes, 1), axis=1), nodes)
        found = np.setdiff1d(every, joined, assume_unique=True)
    else:
        found = np.empty(0, np.int64)
        while len(found) < count:
            drawn = rng.integers(0, nodes, (int((count - len(found)) * _SPARE) + 16, 2))
            drawn = _keys(drawn[drawn[:, 0] != drawn[:, 1]], nodes)
            found = np.unique(np.append(found, drawn[~_among(drawn, joined)]))
    chosen = rng.choice(len(found), min(count, len(found)), replace=False)
    return np.stack(np.divmod(found[chosen], nodes), axis=1).astype(np.int32)


def _keys(pairs: np.ndarray, nodes: int) -> np.ndarray:
    """(pairs,) int64, one number for each pair whichever node comes first."""
    pairs = np.sort(np.asarray(pairs, np.int64), axis=1)
    return pairs[:, 0] * nodes + pairs[:, 1]


def _among(values: np.ndarray, ascending: np.ndarray) -> np.ndarray:
    """(n,) bool: which of ``values`` (n,) are in ``ascending``."""
    if not len(ascending):
        return np.zeros(len(values), bool)
    place = np.minimum(np.searchsorted(ascending, values), len(ascending) - 1)
    return ascending[place] == values
