"""Links of a large graph to learn from, with what was drawn around the nodes that they join."""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jaxdl.data import Data, csr, fingerprint, links, neighbours
from jaxdl.data.csr import Csr
from jaxdl.data.split import Batch
from jaxdl.errors import UserError


class LinkedGraph(NamedTuple):
    """Nodes with features; the edges that are known, and pairs that are asked for.

    Attributes:
      indptr: of `jaxdl.data.csr.Csr`, of the known edges alone.
      indices: of it.
      features: (nodes, features) float32.
      asked: (n, 2) int32, edges that are held out.
      absent: (n, 2) int32, pairs that no edge joins.
    """

    indptr: np.ndarray
    indices: np.ndarray
    features: np.ndarray
    asked: np.ndarray
    absent: np.ndarray

    @property
    def edges(self) -> Csr:
        """That are known, by receiver."""
        return Csr(self.indptr, self.indices)


class Links:
    """The known links of a large graph: an example is a neighbourhood of some of them.

    A pass has every known edge once, with as many pairs of any two nodes that no known edge joins
    (of edges that are held out nobody knows). What is drawn around their nodes leaves out the
    example's own edges, so that no link is told of by itself. An example's index tells it all, as
    of `jaxdl.data.neighbours.Neighbourhoods`.

    Args:
      graph: the known edges, both ways.
      features: (nodes, features) float32.
      links: of an example; all edges if they are no more.
      fan_out: of `jaxdl.data.neighbours.Sampler`, one a layer.

    Attributes:
      room: `jaxdl.data.neighbours.Sizes` of all arrays.
    """

    def __init__(self, graph: Csr, features: np.ndarray, links: int, fan_out: Sequence[int]):
        if links < 1:
            raise UserError(f"data.seeds={links} must be at least 1")
        self._graph, self._features = graph, features
        self._known = csr.pairs_of(graph)
        self.seeds, self.fan_out = min(links, len(self._known)), tuple(fan_out)
        every = np.arange(graph.nodes)
        at_once = min(4 * self.seeds, graph.nodes)
        self.room = neighbours.usual_sizes(graph, every, at_once, fan_out, self._any_nodes)
        self._draw = neighbours.Sampler(graph, fan_out, self.room)
        self._order = functools.lru_cache(2)(self._drawn_order)

    def __len__(self) -> int:
        """Examples in a pass."""
        return -(-len(self._known) // self.seeds)

    def shuffled(self, rng: np.random.Generator) -> np.ndarray:
        """The indices (len,) of a pass."""
        return int(rng.integers(1, 1 << 40)) * len(self) + np.arange(len(self))

    def take(self, indices: np.ndarray) -> Batch:
        """The examples at ``indices`` (n,), filled up to `room`.

        Returns:
          `jaxdl.data.neighbours.filled`; ``pair`` (n, 2 · seeds, 2) int32, places in it; ``link``
          (n, 2 · seeds) float32, 1 for an edge and 0 for another pair; ``weight`` (n, 2 · seeds)
          float32, 0 where there is none.
        """
        rows, count = len(indices), self.seeds
        pair, link = np.zeros((rows, 2 * count, 2), np.int32), np.zeros((rows, 2 * count))
        weight, drawn = np.zeros((rows, 2 * count)), []
        for i, index in enumerate(np.asarray(indices).tolist()):
            number, place = divmod(index, len(self))
            own = self._known[self._order(number)[place * count : (place + 1) * count]]
            rng = np.random.default_rng((number, place))
            nodes, places = self._asked(own, rng)
            found = self._draw(nodes, rng)
            drawn.append(without(found, places[: len(own)]))
            pair[i, : len(places)], link[i, : len(own)], weight[i, : len(places)] = places, 1, 1
        answers = {"link": link.astype(np.float32), "weight": weight.astype(np.float32)}
        return {**neighbours.filled(drawn, self._features, self.room), "pair": pair, **answers}

    def _asked(self, own: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """The nodes of links and of as many other pairs, and the places (pairs, 2) in them."""
        asked = np.concatenate([own, self._absent(len(own), rng)])
        nodes, places = np.unique(asked, return_inverse=True)
        return nodes, places.reshape(-1, 2)

    def _any_nodes(self, rng: np.random.Generator) -> np.ndarray:
        """Those of any example."""
        own = self._known[rng.choice(len(self._known), self.seeds, replace=False)]
        return self._asked(own, rng)[0]

    def _absent(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """(count, 2) pairs of different nodes that no known edge joins."""
        found = np.empty((0, 2), np.int64)
        while len(found) < count:
            drawn = rng.integers(0, self._graph.nodes, (count + 16, 2))
            drawn = drawn[(drawn[:, 0] != drawn[:, 1]) & ~joined(self._graph, drawn)]
            found = np.concatenate([found, drawn])
        return found[:count]

    def _drawn_order(self, drawn: int) -> np.ndarray:
        return np.random.default_rng(drawn).permutation(len(self._known))

    def fingerprint(self) -> str:
        """Of which edges are learned from and how much is drawn; the graph has its own."""
        how = np.array([self.seeds, *self.fan_out])
        return fingerprint.digest({"known": self._known, "how": how})


def create(
    edges: Csr,
    features: np.ndarray,
    where: str,
    *,
    held_out: float,
    split_seed: int,
    seeds: int,
    fan_out: Sequence[int],
    notes: Sequence[str] = (),
) -> Data:
    """The links of a graph, of which some are held out to be found.

    Args:
      edges: both ways, as many nodes as features.
      features: (nodes, features) finite numbers.
      where: the file or data set, for messages.
      held_out: the share of edges to be found, above 0 and below 1.
      split_seed: of the draw of these.
      seeds: edges of an example.
      fan_out: neighbours drawn for a node, one number a layer.
      notes: lines for the launcher to print.

    Raises:
      UserError: settings that cannot be, or too few edges, or pairs that are not joined.
    """
    nodes = edges.nodes
    divided = links.divide(
        csr.pairs_of(edges), nodes, held_out, (split_seed,), "config.data.held_out"
    )
    known = csr.create(*divided.known.T, nodes, where)
    train = Links(known, features, seeds, fan_out)
    counts = f"{len(divided.known)} known edges, {len(divided.asked)} to be found"
    drawn = f"neighbourhoods of up to {train.room.nodes[-1]} nodes and {train.room.edges[-1]} edges"
    whole = LinkedGraph(known.indptr, known.indices, features, divided.asked, divided.absent)
    return Data(train, whole=whole, notes=(f"{nodes} nodes, {counts}", drawn, *notes))


def joined(graph: Csr, pairs: np.ndarray) -> np.ndarray:
    """(n,) bool: whether an edge arrives at the first of each pair (n, 2) from the second."""
    one, other = pairs.T
    low, high = graph.indptr[one], graph.indptr[one + 1]
    while (going := low < high).any():  # halving, of all side by side
        middle = (low + high) // 2
        below = going & (graph.indices[np.where(going, middle, 0)] < other)
        low, high = np.where(below, middle + 1, low), np.where(going & ~below, middle, high)
    there = low < graph.indptr[one + 1]
    there[there] = graph.indices[low[there]] == other[there]
    return there


def without(found: neighbours.Neighbourhood, pairs: np.ndarray) -> neighbours.Neighbourhood:
    """A neighbourhood without the edges between ``pairs`` (n, 2) of its places, either way."""
    most = len(found.nodes)
    there, back = pairs[:, 0] * most + pairs[:, 1], pairs[:, 1] * most + pairs[:, 0]
    keys = found.source.astype(np.int64) * most + found.target
    kept = ~np.isin(keys, np.append(there, back))
    # How many of each hop are left.
    drawn = tuple(int(kept[:last].sum()) for last in found.drawn)
    columns = {name: getattr(found, name)[kept] for name in neighbours.OF_EDGES}
    return found._replace(**columns, drawn=drawn)
