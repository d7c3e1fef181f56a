"""A graph that is too large to be learned from as one piece."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jaxdl.data import Data, csr, neighbours
from jaxdl.data.csr import Csr
from jaxdl.data.graph import Graph, check_finite, drawn_nodes
from jaxdl.errors import UserError


class LargeGraph(NamedTuple):
    """Nodes with features and classes; edges by node.

    Attributes:
      indptr: of `jaxdl.data.csr.Csr`.
      indices: of it.
      features: (nodes, features) float32.
      labels: (nodes,) int32; -1 where nobody knows the class.
      known: (nodes,) bool, the nodes whose labels are learned from.
      scored: (nodes,) bool, the nodes to be measured on.
      weights: of it, or None.
    """

    indptr: np.ndarray
    indices: np.ndarray
    features: np.ndarray
    labels: np.ndarray
    known: np.ndarray
    scored: np.ndarray
    weights: np.ndarray | None = None

    @property
    def edges(self) -> Csr:
        """By receiver."""
        return Csr(self.indptr, self.indices, self.weights)


def create(
    edges: Csr,
    features: np.ndarray,
    labels: np.ndarray,
    class_names: Sequence[str],
    where: str,
    *,
    seeds: int,
    fan_out: Sequence[int],
    labels_per_class: int = 0,
    label_seed: int = 0,
    known: np.ndarray | None = None,
    scored: np.ndarray | None = None,
    first_row: int = 0,
    notes: Sequence[str] = (),
    whole: bool = False,
) -> Data:
    """A checked graph and the neighbourhoods that are learned from, or the graph in one piece.

    Args:
      edges: as many nodes as features.
      features: (nodes, features) numbers.
      labels: (nodes,) whole numbers, -1 where there is none.
      class_names: one a class.
      where: the file or data set, for messages.
      seeds: of a neighbourhood.
      fan_out: neighbours drawn for a node, one number a layer.
      labels_per_class: known labels, drawn of each class; all others are to be found.
      label_seed: of that draw.
      known: (nodes,) bool, where labels_per_class is 0; None in one piece leaves it to the task.
      scored: (nodes,) bool, the nodes to be measured on; None is all that are not known.
      first_row: the number of the first node's row in messages.
      notes: lines for the launcher to print.
      whole: in one piece; nothing is drawn from it, and every edge must go both ways.

    Raises:
      UserError: features that are no numbers, with the row; shapes and labels that do not fit; none
        known, or none to be measured on.
    """
    features = np.asarray(features, np.float32)
    if features.ndim != 2 or len(features) != edges.nodes or not features.size:
        raise UserError(
            f"{where}: features must be ({edges.nodes}, features), one row a node; got "
            f"{features.shape}"
        )
    check_finite(features, f"{where}, row", first_row)
    labels = np.asarray(labels)
    if labels.shape != (edges.nodes,) or labels.dtype.kind not in "iu":
        raise UserError(
            f"{where}: labels must be ({edges.nodes},) whole numbers, one a node; got "
            f"{labels.dtype}{labels.shape}"
        )
    wrong = np.flatnonzero((labels < -1) | (labels >= len(class_names)))
    if len(wrong):
        raise UserError(
            f"{where}, row {first_row + wrong[0]}: label {labels[wrong[0]]} is none: with "
            f"{len(class_names)} classes they go from 0 to {len(class_names) - 1}, and -1 is for "
            "none"
        )
    if labels_per_class:
        known = drawn_nodes(
            labels, class_names, labels_per_class, (label_seed,), "config.data.labels_per_class"
        )
    elif known is None and not whole:
        raise UserError(
            "config.data.labels_per_class=0, but the graph does not say which labels are known: "
            "set how many to draw of each class, or data.whole=True for a task that learns from "
            "the graph in one piece"
        )
    labels, named = labels.astype(np.int32), labels >= 0
    if known is None:
        counts = _counts(edges, labels)
        made = in_one_piece(edges, features, labels, class_names)
        return Data(whole=made, notes=(counts, *notes))
    known, scored = known & named, (~known if scored is None else scored & ~known) & named
    for which, found in (("to learn from", known), ("to be measured on", scored)):
        if not found.any():
            raise UserError(f"{where}: no node with a label is {which}")
    notes = (_counts(edges, labels, known), *notes)
    if whole:
        made = in_one_piece(edges, features, labels, class_names, train=known, test=scored)
        return Data(whole=made, notes=notes)
    own = (edges.indptr, edges.indices, features, labels, known, scored)
    graph = LargeGraph(*own, edges.weights)
    nodes = np.flatnonzero(known)
    train = neighbours.Neighbourhoods(edges, features, graph.labels, nodes, seeds, fan_out)
    drawn = f"neighbourhoods of up to {train.room.nodes[-1]} nodes and {train.room.edges[-1]} edges"
    notes = (notes[0], drawn, *notes[1:])
    return Data(train, class_names=tuple(class_names), whole=graph, notes=notes)


def in_one_piece(
    edges: Csr,
    features: np.ndarray,
    labels: np.ndarray | None = None,
    class_names: Sequence[str] = (),
    **parts: np.ndarray | None,
) -> Graph:
    """The graph as `jaxdl.data.graph.Graph`; without labels -1 is everyone's.

    Args:
      edges: each both ways.
      features: (nodes, features) float32.
      labels: (nodes,) int32, or None.
      class_names: one a class.
      **parts: ``train`` and ``test``.
    """
    labels = np.full(edges.nodes, -1, np.int32) if labels is None else labels
    pairs, weights = csr.pairs_of(edges), csr.weights_of_pairs(edges)
    names = tuple(class_names)
    return Graph(np.asarray(features), pairs, labels, names, weights=weights, **parts)


def _counts(edges: Csr, labels: np.ndarray, known: np.ndarray | None = None) -> str:
    """A line on how many there are of what."""
    unlabelled = int((labels < 0).sum())
    line = f"{edges.nodes} nodes, {len(edges.indices)} edges by receiver"
    line += "" if known is None else f", {known.sum()} known labels"
    return line + (f", {unlabelled} nodes without a label" if unlabelled else "")
