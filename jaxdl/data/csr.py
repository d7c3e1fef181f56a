"""A graph of any size on the host: for every node, the nodes that edges come from.

Compressed sparse rows (CSR), sorted by receiver once. Arrays that were read from text are kept as
files that are mapped into memory: a graph of ten million edges then opens at once, and takes the
memory of what is looked at.
"""

import os
import shutil
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy import sparse

from jaxdl.errors import UserError


class Csr(NamedTuple):
    """Edges by receiver; those that arrive at node i come from ``indices[indptr[i]:indptr[i+1]]``.

    Attributes:
      indptr: (nodes + 1,) int64, ascending from 0 to the number of edges.
      indices: (edges,) int32, ascending at each node; an undirected edge stands there twice.
      weights: (edges,) float32, above 0; None of 1 each.
    """

    indptr: np.ndarray
    indices: np.ndarray
    weights: np.ndarray | None = None

    @property
    def nodes(self) -> int:
        """How many there are."""
        return len(self.indptr) - 1

    @property
    def degrees(self) -> np.ndarray:
        """(nodes,) int64: edges that arrive at each."""
        return np.diff(self.indptr)


def matrix(graph: Csr) -> sparse.csr_matrix:
    """(nodes, nodes) float32: at [i, j] the weight of an edge from j to i. Products are sums."""
    weights = graph.weights
    weights = np.ones(len(graph.indices), np.float32) if weights is None else weights
    return sparse.csr_matrix((weights, graph.indices, graph.indptr), (graph.nodes, graph.nodes))


def pairs_of(graph: Csr) -> np.ndarray:
    """(edges, 2) int32: each edge once, the lower node first; of a graph both ways."""
    target = _targets(graph)
    once = graph.indices > target
    return np.stack([target[once], graph.indices[once]], axis=1)


def weights_of_pairs(graph: Csr) -> np.ndarray | None:
    """(edges,) the weights of `pairs_of`, if there are any."""
    return None if graph.weights is None else graph.weights[graph.indices > _targets(graph)]


def _targets(graph: Csr) -> np.ndarray:
    return np.repeat(np.arange(graph.nodes, dtype=np.int32), graph.degrees)


def create(
    sources: np.ndarray,
    targets: np.ndarray,
    nodes: int,
    where: str,
    *,
    weights: np.ndarray | None = None,
    both_ways: bool = True,
    first_row: int = 0,
) -> Csr:
    """A graph from its edges, in any order; loops are left out, and what stands twice counts once.

    Of different weights of the same edge the largest counts.

    Args:
      sources: (edges,) integers, the nodes that edges come from.
      targets: (edges,) integers, where they arrive.
      nodes: how many there are.
      where: the file or data set, for messages.
      weights: (edges,) floating, or None.
      both_ways: an edge goes both ways.
      first_row: the number of the first edge's row in messages.

    Raises:
      UserError: an edge to a node that is not there or a weight that is none, with its row, or
        loops alone.
    """
    ends = np.asarray(sources), np.asarray(targets)
    for end in ends:
        wrong = np.flatnonzero((end < 0) | (end >= nodes))
        if len(wrong):
            raise UserError(
                f"{where}, row {first_row + wrong[0]}: node {end[wrong[0]]} is missing: with "
                f"{nodes} nodes they go from 0 to {nodes - 1}"
            )
    if weights is not None:
        weights = np.asarray(weights, np.float32)
        wrong = np.flatnonzero(~((weights > 0) & (weights < np.inf)))
        if len(wrong):
            raise UserError(
                f"{where}, row {first_row + wrong[0]}: weight {weights[wrong[0]]:g} must be a "
                "finite number above 0"
            )
    if nodes > np.iinfo(np.int32).max:
        raise UserError(f"{where}: {nodes} nodes are too many: at most 2147483647")
    there = ends[0] != ends[1]
    if len(there) and not there.any():
        raise UserError(
            f"{where}, row {first_row}: node {ends[0][0]} is joined to itself, and so is every "
            "other: an edge between two nodes is wanted"
        )
    sources, targets = (end[there].astype(np.int32) for end in ends)
    weights = None if weights is None else weights[there]
    if both_ways:
        sources, targets = np.append(sources, targets), np.append(targets, sources)
        weights = None if weights is None else np.append(weights, weights)
    if weights is not None:
        return _weighted(sources, targets, weights, nodes)
    ones = np.ones(len(sources), bool)
    # Counting, not sorting: linear in the edges.
    found = sparse.coo_matrix((ones, (targets, sources)), (nodes, nodes)).tocsr()
    found.sum_duplicates()
    return Csr(found.indptr.astype(np.int64), found.indices.astype(np.int32, copy=False))


def _weighted(sources: np.ndarray, targets: np.ndarray, weights: np.ndarray, nodes: int) -> Csr:
    order = np.lexsort((sources, targets))
    sources, targets, weights = sources[order], targets[order], weights[order]
    new = np.append(True, (np.diff(sources) != 0) | (np.diff(targets) != 0))[: len(order)]
    first = np.flatnonzero(new)
    indptr = np.append(0, np.cumsum(np.bincount(targets[first], minlength=nodes)))
    largest = np.maximum.reduceat(weights, first) if len(first) else weights
    return Csr(indptr.astype(np.int64), sources[first], largest)


def kept(
    folder: Path, make: Callable[[], Mapping[str, np.ndarray]], names: tuple[str, ...]
) -> dict[str, np.ndarray]:
    """The arrays of ``make``, mapped from files in ``folder``; made and written if not there yet.

    Args:
      folder: one for each content: its name should follow from all that ``make`` reads.
      make: returns the arrays by name.
      names: of the arrays.

    Returns:
      The arrays, read-only, that take memory as they are read.
    """
    if not folder.is_dir():
        begun = folder.with_name(f"{folder.name}.{uuid.uuid4().hex}")
        begun.mkdir(parents=True)
        try:
            arrays = make()
            for name in names:
                np.save(begun / f"{name}.npy", arrays[name], allow_pickle=False)
            del arrays
            try:
                os.replace(begun, folder)  # all at once, and whole
            except OSError:  # another process was first
                if not folder.is_dir():
                    raise
        finally:
            shutil.rmtree(begun, ignore_errors=True)
    # As plain arrays: memory maps' own class makes every gather of theirs slower.
    return {name: np.asarray(np.load(folder / f"{name}.npy", mmap_mode="r")) for name in names}
