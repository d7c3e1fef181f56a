"""A graph whose nodes have features and classes: one example, learned from as a whole."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jaxdl.errors import UserError

# At a time.
_ROWS = 1 << 16


class Graph(NamedTuple):
    """An undirected graph with a class for every node.

    Attributes:
      features: (nodes, features) float32.
      edges: (edges, 2) int32, each undirected edge once, no loops.
      labels: (nodes,) int32; -1 where nobody knows the class.
      class_names: one a class.
      train: (nodes,) bool, the nodes whose labels are known; None leaves it to be drawn.
      test: (nodes,) bool, the nodes to be scored on; None is all others that have a label.
      positions: (nodes, 2) float, where to draw the nodes; None leaves it to the drawing.
      weights: (edges,) float32, above 0; None of 1 each.
    """

    features: np.ndarray
    edges: np.ndarray
    labels: np.ndarray
    class_names: tuple[str, ...]
    train: np.ndarray | None = None
    test: np.ndarray | None = None
    positions: np.ndarray | None = None
    weights: np.ndarray | None = None


def create(
    features: np.ndarray,
    edges: np.ndarray,
    labels: np.ndarray | None,
    where: str,
    class_names: Sequence[str] = (),
    **parts: np.ndarray | None,
) -> Graph:
    """A checked graph.

    Args:
      features: (nodes, features) numbers.
      edges: (edges, 2) node indices in either direction, once or twice; loops are left out.
      labels: (nodes,) whole numbers from 0.
      where: the file or data set, for messages.
      class_names: one a class; counted if ().
      **parts: ``train``, ``test`` and ``positions`` of `Graph`.

    Raises:
      UserError: missing labels, features that are no numbers, edges that name nodes that do not
        exist, shapes that do not fit.
    """
    if labels is None or not len(labels):
        raise UserError(f"{where}: the graph has no labels; node classification needs one a node")
    features, labels = np.asarray(features, np.float32), np.asarray(labels)
    edges = np.asarray(edges).reshape(-1, 2)
    nodes = len(features)
    if features.ndim != 2 or not nodes:
        raise UserError(f"{where}: features must be (nodes, features), got {features.shape}")
    check_finite(features, f"{where}, node")
    if labels.shape != (nodes,) or not np.issubdtype(labels.dtype, np.integer):
        raise UserError(
            f"{where}: labels must be ({nodes},) whole numbers, one a node; got "
            f"{labels.dtype}{labels.shape}"
        )
    wrong = edges[((edges < 0) | (edges >= nodes)).any(axis=1)]
    if len(wrong):
        raise UserError(
            f"{where}: edge ({wrong[0, 0]}, {wrong[0, 1]}) names a node that is missing: with "
            f"{nodes} nodes they go from 0 to {nodes - 1}"
        )
    count = len(class_names) or int(labels.max()) + 1
    if labels.min() < 0 or labels.max() >= count:
        raise UserError(f"{where}: labels must go from 0 to {count - 1}")
    once = np.unique(np.sort(edges[edges[:, 0] != edges[:, 1]], axis=1), axis=0)
    names = tuple(class_names) or tuple(str(i) for i in range(count))
    return Graph(features, once.astype(np.int32), labels.astype(np.int32), names, **parts)


def check_finite(features: np.ndarray, where: str, first: int = 0) -> None:
    """Raises UserError for the first row of features (nodes, features) that is not finite.

    Args:
      features: looked at a part at a time, as they may be mapped from a file.
      where: the file and what its rows are, for messages.
      first: the number of the first row there.
    """
    for start in range(0, len(features), _ROWS):
        wrong = np.flatnonzero(~np.isfinite(features[start : start + _ROWS]).all(axis=1))
        if len(wrong):
            row = first + start + wrong[0]
            raise UserError(f"{where} {row}: features must be finite numbers")


def known_nodes(graph: Graph, per_class: int, seed: Sequence[int]) -> np.ndarray:
    """(nodes,) bool: which labels are known: the graph's own, or ``per_class`` drawn of each class.

    Raises:
      UserError: the graph has no training nodes of its own and none are to be drawn, or a class
        has too few nodes.
    """
    if not per_class:
        if graph.train is None:
            raise UserError(
                "config.task.labels_per_class=0, but the graph does not say which labels are "
                "known: set how many to draw of each class"
            )
        return graph.train
    setting = "config.task.labels_per_class"
    if not graph.class_names:
        raise UserError(f"{setting}={per_class}: no node of the graph has a label")
    return drawn_nodes(graph.labels, graph.class_names, per_class, seed, setting)


def drawn_nodes(
    labels: np.ndarray,
    class_names: Sequence[str],
    per_class: int,
    seed: Sequence[int],
    setting: str,
) -> np.ndarray:
    """(nodes,) bool: ``per_class`` of each class, of ``labels`` (nodes,); -1 is of none.

    Raises:
      UserError: a class has too few nodes for ``setting``.
    """
    known = np.zeros(len(labels), bool)
    rng = np.random.default_rng(tuple(seed))
    for label, name in enumerate(class_names):
        nodes = np.flatnonzero(labels == label)
        if len(nodes) <= per_class:
            raise UserError(
                f"{setting}={per_class}: class {name!r} has only {len(nodes)} nodes, and some "
                "must be left to be found"
            )
        known[rng.choice(nodes, per_class, replace=False)] = True
    return known
