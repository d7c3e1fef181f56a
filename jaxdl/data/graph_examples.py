"""Graphs as examples, filled up to the largest in what a batch takes of them."""

import copy
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from jaxdl.data import Data, fingerprint, length_groups, parts
from jaxdl.data.split import Batch
from jaxdl.errors import UserError


class Example(NamedTuple):
    """A graph and its class.

    Attributes:
      features: (nodes, features) numbers.
      edges: (edges, 2) whole numbers from 0, below the nodes: sender and receiver.
      label: number of the class.
      edge_features: (edges, features) numbers, or None; of all graphs or of none.
    """

    features: np.ndarray
    edges: np.ndarray
    label: int
    edge_features: np.ndarray | None = None


class Graphs:
    """A split of graphs in memory, without padding until it is taken.

    ``take`` gives ``nodes`` (n, places, features) float32, 0 behind each graph's own; ``edges``
    (n, edges, 2) int32, sorted by receiver, behind which ``places`` - 1 fills up; ``size`` (n,)
    int32, the nodes of each; and ``label`` (n,) int32. Where edges have features there are
    ``edge_features`` (n, edges, features) float32, too, 0 behind each graph's own. No graph takes
    the last place, to which all edges belong that only fill up (`jaxdl.ops.pack_graphs`).

    Args:
      examples: at least one, all with as many features.
      positions: columns of the features that say where a node is drawn, or None.
      node_labels: what features stand for that are 1 at one of several places, in their order, with
        spaces between.
      edge_labels: the same of edges.
    """

    def __init__(
        self,
        examples: Sequence[Example],
        positions: tuple[int, int] | None = None,
        node_labels: str = "",
        edge_labels: str = "",
    ):
        self._nodes = np.concatenate([e.features for e in examples]).astype(np.float32)
        orders = [_by_receiver(e.edges) for e in examples]
        sorted_by = lambda each: np.concatenate([x[o] for x, o in zip(each, orders, strict=True)])
        self._edges = sorted_by(np.asarray(e.edges, np.int32).reshape(-1, 2) for e in examples)
        self._edge_features = None
        if examples[0].edge_features is not None:
            own = sorted_by(e.edge_features for e in examples)
            self._edge_features = own.astype(np.float32)
        nodes, edges = (np.array([len(e[i]) for e in examples], np.int32) for i in (0, 1))
        self._first_node, self._first_edge = (np.cumsum(x) - x for x in (nodes, edges))
        # As `length_groups` has it: how long each example is in what it takes.
        self.sizes = {"nodes": nodes + 1, "edges": edges}
        if self._edge_features is not None:
            self.sizes["edge_features"] = edges
        self.room = {name: max(1, int(own.max())) for name, own in self.sizes.items()}
        self.labels = np.array([e.label for e in examples], np.int32)
        self.positions, self.node_labels, self.edge_labels = positions, node_labels, edge_labels

    def __len__(self) -> int:
        """Number of graphs."""
        return len(self.labels)

    def take(self, indices: np.ndarray) -> Batch:
        """These graphs, filled up to the largest."""
        places, most = self.room["nodes"], self.room["edges"]
        nodes = np.zeros((len(indices), places, self._nodes.shape[1]), np.float32)
        edges = np.full((len(indices), most, 2), places - 1, np.int32)
        for row, i in enumerate(indices):
            x, pairs = self.graph(i)
            nodes[row, : len(x)], edges[row, : len(pairs)] = x, pairs
        size = self.sizes["nodes"][indices] - 1
        made = {"nodes": nodes, "edges": edges, "size": size, "label": self.labels[indices]}
        if self._edge_features is not None:
            made["edge_features"] = np.zeros(
                (len(indices), most, self._edge_features.shape[1]), np.float32
            )
            for row, i in enumerate(indices):
                own = self.edge_features(i)
                made["edge_features"][row, : len(own)] = own
        return made

    def graph(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Features (nodes, features) and edges (edges, 2) of one, without padding."""
        first, edge = self._first_node[index], self._first_edge[index]
        nodes, edges = self.sizes["nodes"][index] - 1, self.sizes["edges"][index]
        return self._nodes[first : first + nodes], self._edges[edge : edge + edges]

    def edge_features(self, index: int) -> np.ndarray:
        """(edges, features) of one, of which edges have features."""
        edge = self._first_edge[index]
        return self._edge_features[edge : edge + self.sizes["edges"][index]]

    def subset(self, indices: np.ndarray) -> "Graphs":
        """Only these, in this order; as much room as before, so that all parts have one shape."""
        made = copy.copy(self)
        made._first_node, made._first_edge = self._first_node[indices], self._first_edge[indices]
        made.sizes = {name: own[indices] for name, own in self.sizes.items()}
        made.labels = self.labels[indices]
        if (groups := length_groups.of(self)) is not None:
            made.length_groups = groups.subset(indices)
        return made

    @property
    def about(self) -> dict[str, str]:
        """``node_labels``, and ``edge_labels`` if there are any."""
        own = {"node_labels": self.node_labels}
        return own | ({"edge_labels": self.edge_labels} if self.edge_labels else {})

    def moments(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and deviation (features,) float32 of all nodes.

        Of a feature that never varies 0 and 1: it is as it is then, so that sums of it still count.
        """
        nodes = np.concatenate([self.graph(i)[0] for i in range(len(self))]).astype(np.float64)
        mean, std = nodes.mean(axis=0), nodes.std(axis=0)
        fixed = std <= 1e-6 * abs(mean)
        made = np.where(fixed, 0, mean), np.where(fixed, 1, std)
        return made[0].astype(np.float32), made[1].astype(np.float32)

    def fingerprint(self) -> str:
        """Of every number, whatever graphs there are beside."""
        own = [self.graph(i) for i in range(len(self))]
        nodes, edges = (np.concatenate([graph[i] for graph in own]) for i in (0, 1))
        every = {"nodes": nodes, "edges": edges, "labels": self.labels, **self.sizes}
        if self._edge_features is not None:
            each = [self.edge_features(i) for i in range(len(self))]
            every["edge_features"] = np.concatenate(each)
        return fingerprint.digest(every)


def data(
    graphs: Graphs,
    class_names: Sequence[str],
    *,
    lengths: int,
    notes: Sequence[str] = (),
    **how: object,
) -> Data:
    """Data of graphs that are yet to be divided.

    Args:
      graphs: all of them.
      class_names: by the numbers of the labels.
      lengths: that batches may have, at most (`jaxdl.data.length_groups`).
      notes: what is worth knowing of how they were read, a line each.
      **how: ``split``, ``test_fraction``, ``split_seed`` and ``eval_on`` of `config.data`.

    Raises:
      UserError: one class, or graphs without nodes or too few to be divided.
    """
    if len(class_names) < 2:
        raise UserError(f"data: all graphs are of class {class_names[0]!r}: nothing to tell apart")
    divided: Mapping[str, Graphs | None] = parts.divided(graphs, None, None, how)._asdict()
    splits = {name: part for name, part in divided.items() if part is not None}
    alone = parts.of_single_examples(splits["train"], splits["test"], class_names)
    length_groups.divide(splits, lengths)
    mean, std = splits["train"].moments()
    return Data(
        **splits, class_names=tuple(class_names), mean=mean, std=std, notes=(*notes, *alone)
    )


def _by_receiver(edges: np.ndarray) -> np.ndarray:
    """(edges,): the order in which receivers ascend."""
    edges = np.asarray(edges, np.int32).reshape(-1, 2)
    return np.lexsort((edges[:, 0], edges[:, 1]))
