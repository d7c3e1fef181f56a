"""Neighbourhoods drawn from a large graph: what a few layers need to know of a few nodes.

Hamilton et al., 2017, "Inductive Representation Learning on Large Graphs": of each node that a
layer tells of, so many neighbours are drawn without replacement, and of each of those again. A
node's neighbours are drawn once a neighbourhood: all layers hear the same.

Arrays have room for what neighbourhoods need and not for the largest there could be: few nodes of
a graph with hubs have as many neighbours as are asked for, and most of the room would stay empty.
What does not fit is left out by chance, and what stays stands for it too.
"""

import functools
import threading
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from jaxdl.data import fingerprint
from jaxdl.data.csr import Csr
from jaxdl.data.split import Batch
from jaxdl.errors import UserError

# Neighbourhoods that are drawn to see how large they are. Each hop has so many times the room of
# the largest of them, or room for so many more.
_SEEN, _SPARE, _MORE = 16, 1.25, 64


class Neighbourhood(NamedTuple):
    """A part of a graph, its nodes numbered anew in the order in which they were found.

    Attributes:
      nodes: (n,) int64, their numbers in the graph, each once, seeds first.
      source: (e,) int32, where each edge comes from, below n.
      target: (e,) int32, where it arrives, ascending: edges to seeds first.
      scale: (e,) float32, how many of the graph's edges each stands for: those that arrive at its
        target, by those that were drawn; times those of its hop by those that fit, if not all do.
      weight: (e,) float32, of the graph's edges; 1 of a graph without weights.
      reached: how many nodes, and ``drawn`` how many edges, there were after each hop.
      drawn: of each hop.
    """

    nodes: np.ndarray
    source: np.ndarray
    target: np.ndarray
    scale: np.ndarray
    weight: np.ndarray
    reached: tuple[int, ...]
    drawn: tuple[int, ...]


# Columns of a neighbourhood's edges.
OF_EDGES = ("source", "target", "scale", "weight")


class Sampler:
    """Draws neighbourhoods of one graph.

    Args:
      graph: which.
      fan_out: neighbours that are drawn of a seed, of those found so, and so on; all, if a node has
        no more.
      room: for a neighbourhood: edges of a hop that do not fit, or whose nodes do not, are left out
        by chance, each as likely. None: for all.

    Raises:
      UserError: a fan-out below 1, or none.
    """

    def __init__(self, graph: Csr, fan_out: Sequence[int], room: "Sizes | None" = None):
        check_fan_out(fan_out)
        self.graph, self.fan_out, self.room = graph, tuple(fan_out), room
        # A number for every node of the graph; as many of them as threads that draw.
        self._scratch = threading.local()

    def __call__(self, seeds: np.ndarray, rng: np.random.Generator) -> Neighbourhood:
        """The neighbourhood of ``seeds`` (s,), which differ, in the order they have."""
        if not hasattr(self._scratch, "numbers"):
            self._scratch.numbers = np.full(self.graph.nodes, -1, np.int32)
        numbers = self._scratch.numbers
        frontier = np.asarray(seeds, np.int64)
        numbers[frontier] = np.arange(len(frontier), dtype=np.int32)
        nodes, edges, reached, drawn, first = [frontier], [], [len(frontier)], [], 0
        for hop, fan_out in enumerate(self.fan_out):
            edges_of_hop = _draw(self.graph, frontier, fan_out, rng)
            if self.room is not None:
                most = self.room.edges[hop] - (drawn[-1] if drawn else 0)
                new = self.room.nodes[hop + 1] - reached[-1]
                edges_of_hop = _fitting(*edges_of_hop, numbers, most, new, rng)
            found, row, *rest = edges_of_hop
            target = (row + first).astype(np.int32)
            first = reached[-1]
            frontier = _numbered(numbers, found, first)
            edges.append((numbers[found], target, *rest))
            nodes.append(frontier)
            reached.append(first + len(frontier))
            drawn.append(len(found) + (drawn[-1] if drawn else 0))
        every = np.concatenate(nodes)
        numbers[every] = -1
        columns = map(np.concatenate, zip(*edges, strict=True))
        return Neighbourhood(every, *columns, tuple(reached), tuple(drawn))


def check_fan_out(fan_out: Sequence[int]) -> None:
    """Raises UserError for a fan-out that is no whole number from 1 on, or for none at all."""
    if not fan_out or not all(isinstance(most, int) and most >= 1 for most in fan_out):
        raise UserError(
            f"data.fan_out={tuple(fan_out)} must have a whole number of at least 1 for each layer"
        )


def _draw(
    graph: Csr, nodes: np.ndarray, fan_out: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Of each node up to ``fan_out`` neighbours: (found, row, scale, weight), each (edges,).

    ``found`` are nodes of the graph, ``row`` the places in ``nodes`` that they are drawn for.
    """
    start = graph.indptr[nodes]
    degree = graph.indptr[nodes + 1] - start
    count = np.minimum(degree, fan_out)
    row = np.repeat(np.arange(len(nodes)), count)
    place = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)
    many = degree > fan_out
    place[many[row]] = _subsets(degree[many], fan_out, rng).T.ravel()
    scale = (degree / np.maximum(count, 1)).astype(np.float32)
    at = start[row] + place
    weight = np.ones(len(at), np.float32) if graph.weights is None else graph.weights[at]
    return graph.indices[at], row, scale[row], weight


def _fitting(
    found: np.ndarray,
    row: np.ndarray,
    scale: np.ndarray,
    weight: np.ndarray,
    numbers: np.ndarray,
    most: int,
    new: int,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Of what `_draw` returns up to ``most`` edges, with up to ``new`` nodes without a number."""
    while True:
        count = len(found)
        unknown = found[numbers[found] < 0]
        unknown = len(unknown) if len(unknown) <= new else len(np.unique(unknown))
        # Fewer each time: the rest of the nodes need not have as few edges as all.
        kept = min(count, most, count if unknown <= new else count * new // unknown)
        if kept == count:
            return found, row, scale, weight
        chosen = np.sort(rng.choice(count, kept, replace=False))
        scale = scale[chosen] * np.float32(count / max(kept, 1))
        found, row, weight = found[chosen], row[chosen], weight[chosen]


def _subsets(sizes: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """(count, n): of each of ``sizes`` (n,), all above ``count``, so many different numbers below.

    Every subset is as likely: Floyd's algorithm (Bentley and Floyd, 1987, "A sample of brilliance")
    for all of them side by side.
    """
    chosen = np.empty((count, len(sizes)), np.int64)
    for i in range(count):
        last = sizes - count + i
        new = (rng.random(len(sizes)) * (last + 1)).astype(np.int64)
        taken = (chosen[:i] == new).any(axis=0)
        chosen[i] = np.where(taken, last, new)
    return chosen


def _numbered(numbers: np.ndarray, found: np.ndarray, count: int) -> np.ndarray:
    """Those of ``found`` that have no number yet, each once; they get ``count`` and what follows.

    Args:
      numbers: (nodes,) int32, -1 for none; written to.
      found: (n,) nodes.
      count: nodes that have a number.
    """
    new = found[numbers[found] < 0]
    # Of what stands there several times the last one stays, and no other finds itself again.
    every = np.arange(len(new), dtype=np.int32)
    numbers[new] = every
    once = new[numbers[new] == every]
    numbers[once] = np.arange(count, count + len(once), dtype=np.int32)
    return once.astype(np.int64)


class Sizes(NamedTuple):
    """Room for a neighbourhood: the same for all, so that one program does for them.

    Attributes:
      nodes: of the seeds alone, with those of the first hop, and so on.
      edges: of the first hop, of the first and second, and so on.
    """

    nodes: tuple[int, ...]
    edges: tuple[int, ...]


def sizes(graph: Csr, seeds: np.ndarray, at_once: int, fan_out: Sequence[int]) -> Sizes:
    """What the neighbourhoods of any ``at_once`` of ``seeds`` (n,) need at most.

    No hop has more new nodes than the one before has edges, nor more edges than as many nodes of
    the largest degrees would have, each cut at the fan-out.
    """
    degrees = graph.degrees
    nodes, edges, new = [at_once], [], at_once
    for hop, most in enumerate(fan_out):
        cut = np.minimum(degrees[seeds] if hop == 0 else degrees, most)
        added = _largest(np.bincount(cut), new)
        edges.append(min((edges[-1] if edges else 0) + added, len(graph.indices)))
        new = min(added, graph.nodes - nodes[-1])
        nodes.append(nodes[-1] + new)
    return Sizes(tuple(nodes), tuple(edges))


def usual_sizes(
    graph: Csr,
    seeds: np.ndarray,
    at_once: int,
    fan_out: Sequence[int],
    drawn: Callable[[np.random.Generator], np.ndarray] | None = None,
) -> Sizes:
    """A quarter more than the largest of 16 neighbourhoods, or 64, and no more than `sizes`.

    Args:
      graph: as of `sizes`; so are seeds, at_once and fan_out.
      seeds: see there.
      at_once: see there.
      fan_out: see there.
      drawn: a generator -> seeds of a neighbourhood; any ``at_once`` of ``seeds`` if None.
    """
    rng, draw = np.random.default_rng(0), Sampler(graph, fan_out)
    any_of = drawn or (lambda rng: rng.choice(seeds, at_once, replace=False))
    seen = [draw(any_of(rng), rng) for _ in range(_SEEN)]
    most = sizes(graph, seeds, at_once, fan_out)
    largest = lambda sums: np.max([np.diff(each) for each in sums], axis=0)
    spare = lambda of_hops: np.maximum(np.ceil(of_hops * _SPARE).astype(int), of_hops + _MORE)
    room = lambda of_hops, first: first + np.cumsum(spare(of_hops))
    new = largest([found.reached for found in seen])
    edges = largest([(0, *found.drawn) for found in seen])
    nodes = np.minimum(room(new, at_once), most.nodes[1:])
    return Sizes((at_once, *nodes.tolist()), tuple(np.minimum(room(edges, 0), most.edges).tolist()))


def _largest(counts: np.ndarray, most: int) -> int:
    """The sum of the ``most`` largest of values, of which ``counts[i]`` are i."""
    values = np.arange(len(counts))[::-1]
    taken = np.diff(np.minimum(np.cumsum(counts[::-1]), most), prepend=0)
    return int((values * taken).sum())


def filled(
    drawn: Sequence[Neighbourhood], features: np.ndarray, room: Sizes, weighted: bool = False
) -> Batch:
    """Neighbourhoods as arrays of one shape.

    Args:
      drawn: n of them.
      features: (nodes, features) of the graph.
      room: for each.
      weighted: edges have weights.

    Returns:
      ``features`` (n, nodes, features); ``source``, ``target`` and ``scale`` (n, edges) of
      `Neighbourhood`, the target of what fills up being no node; if weighted ``edge_weight`` too.
    """
    rows, nodes, edges = len(drawn), room.nodes[-1], room.edges[-1]
    made = {
        "features": np.zeros((rows, nodes, features.shape[1]), np.float32),
        "source": np.zeros((rows, edges), np.int32),
        "target": np.full((rows, edges), nodes, np.int32),
        "scale": np.zeros((rows, edges), np.float32),
    }
    if weighted:
        made["edge_weight"] = np.zeros((rows, edges), np.float32)
    for i, found in enumerate(drawn):
        made["features"][i, : len(found.nodes)] = features[found.nodes]
        for name in ("source", "target", "scale"):
            made[name][i, : found.drawn[-1]] = getattr(found, name)
        if weighted:
            made["edge_weight"][i, : found.drawn[-1]] = found.weight
    return made


class Neighbourhoods:
    """The split of a large graph that is learned from: an example is a neighbourhood of some nodes.

    A pass has every node whose label is known as a seed once. Which come together, and what is
    drawn around them, is another thing in each pass. The index of an example tells it all: the
    number of the pass' draw, times the length, and the place in the pass.

    Args:
      graph: the edges.
      features: (nodes, features) float32.
      labels: (nodes,) integers.
      known: (n,) the nodes to learn from.
      seeds: of a neighbourhood; all of ``known`` if they are no more.
      fan_out: of `Sampler`, one a layer.

    Attributes:
      room: `Sizes` of all arrays.
    """

    def __init__(
        self,
        graph: Csr,
        features: np.ndarray,
        labels: np.ndarray,
        known: np.ndarray,
        seeds: int,
        fan_out: Sequence[int],
    ):
        if seeds < 1:
            raise UserError(f"data.seeds={seeds} must be at least 1")
        self._features, self._labels, self._known = features, labels, np.asarray(known)
        self.seeds, self.fan_out = min(seeds, len(known)), tuple(fan_out)
        self.room = usual_sizes(graph, self._known, self.seeds, fan_out)
        self._draw = Sampler(graph, fan_out, self.room)
        self._order = functools.lru_cache(4)(self._drawn_order)

    def __len__(self) -> int:
        """Neighbourhoods in a pass."""
        return -(-len(self._known) // self.seeds)

    def shuffled(self, rng: np.random.Generator) -> np.ndarray:
        """The indices (len,) of a pass."""
        return int(rng.integers(1, 1 << 40)) * len(self) + np.arange(len(self))

    def take(self, indices: np.ndarray) -> Batch:
        """The neighbourhoods at ``indices`` (n,), filled up to `room`.

        Returns:
          `filled`; of the seeds ``label`` (n, seeds) int32 and ``weight`` (n, seeds) float32, 0
          where a pass' last one has fewer.
        """
        rows, seeds, drawn = len(indices), self.seeds, []
        label, weight = np.zeros((rows, seeds), np.int32), np.zeros((rows, seeds), np.float32)
        for i, index in enumerate(np.asarray(indices).tolist()):
            number, place = divmod(index, len(self))
            own = self._order(number)[place * seeds : (place + 1) * seeds]
            drawn.append(self._draw(own, np.random.default_rng((number, place))))
            label[i, : len(own)], weight[i, : len(own)] = self._labels[own], 1
        made = filled(drawn, self._features, self.room, self._draw.graph.weights is not None)
        return {**made, "label": label, "weight": weight}

    def _drawn_order(self, drawn: int) -> np.ndarray:
        return np.random.default_rng(drawn).permutation(self._known)

    def fingerprint(self) -> str:
        """Of which nodes are learned from and how much is drawn; the graph has its own."""
        how = np.array([self.seeds, *self.fan_out])
        return fingerprint.digest({"known": self._known, "how": how})
