"""Graphs drawn from a stochastic block model, and what can be told of their nodes at best.

Holland et al., 1983, "Stochastic blockmodels: first steps". Whether two nodes are joined depends on
their classes alone: those of one class are, so many times as often as others.
"""

import numpy as np
from scipy import sparse

from jaxdl.data import csr
from jaxdl.data.csr import Csr

# The room in a draw for pairs that are drawn twice.
_SPARE = 1.02


def draw_pairs(
    labels: np.ndarray, classes: int, edges: int, within: float, rng: np.random.Generator
) -> np.ndarray:
    """(2, edges) int32: different pairs of different nodes.

    One end is any node; the other, with probability ``within``, any of its class, and otherwise any
    of another class.

    Args:
      labels: (nodes,) integers from 0, each class twice at least.
      classes: how many.
      edges: far fewer than there are pairs.
      within: in [0, 1].
      rng: of the draw.
    """
    nodes = len(labels)
    counts = np.bincount(labels, minlength=classes)
    starts = np.cumsum(counts) - counts
    order = np.argsort(labels, kind="stable").astype(np.int32)
    found = np.empty(0, np.int64)
    while len(found) < edges:
        count = int((edges - len(found)) * _SPARE) + 16
        one = rng.integers(0, nodes, count, dtype=np.int32)
        own, start = counts[labels[one]], starts[labels[one]]
        inside = rng.random(count, np.float32) < within
        place = (rng.random(count) * np.where(inside, own, nodes - own)).astype(np.int64)
        # Places are of the order by class: of its own class, or of all with that cut out.
        place += np.where(inside | (place >= start), np.where(inside, start, own), 0)
        other = order[place]
        low, high = np.minimum(one, other), np.maximum(one, other)
        keys = low.astype(np.int64) * nodes + high
        found = np.unique(np.append(found, keys[low != high]))
    if len(found) > edges:  # any of them, so that none is likelier to go
        found = np.delete(found, rng.choice(len(found), len(found) - edges, replace=False))
    return np.stack(np.divmod(found, nodes)).astype(np.int32)


def odds(within: float, classes: int) -> float:
    """How many times as often nodes of one class are joined as nodes of two."""
    return within * (classes - 1) / (1 - within)


def of_features(features: np.ndarray, means: np.ndarray) -> np.ndarray:
    """(nodes, classes): log likelihoods, up to a constant, of features with unit normal noise.

    Args:
      features: (nodes, features).
      means: (classes, features).
    """
    return features @ means.T - np.square(means).sum(axis=1) / 2


def of_neighbours(graph: Csr, labels: np.ndarray, classes: int, ratio: float) -> np.ndarray:
    """(nodes, classes): log likelihoods, up to a constant, of whom each node is joined to.

    Given the classes of all other nodes, and classes of one size: how many of its neighbours are of
    a class, times the logarithm of ``ratio``, of `odds`.
    """
    is_of = (labels[:, None] == np.arange(classes)).astype(np.float32)
    return np.float32(np.log(ratio)) * (csr.matrix(graph) @ is_of)


def beliefs(graph: Csr, own: np.ndarray, ratio: float, rounds: int = 10) -> np.ndarray:
    """(nodes, classes): what belief propagation makes of all features, edges and known labels.

    Decelle et al., 2011, "Asymptotic analysis of the stochastic block model for modular networks
    and its algorithmic applications", equations 26 to 28, for classes of one size, whose external
    field is the same for all. Exact on trees of up to ``rounds`` edges between any two nodes, and
    in the limit of sparse graphs the best that can be told.

    Args:
      graph: both ways.
      own: (nodes, classes) log likelihoods of each node by itself; -inf rules a class out.
      ratio: of `odds`.
      rounds: how often all nodes tell their neighbours.

    Returns:
      Probabilities float32.
    """
    target = np.repeat(np.arange(graph.nodes), graph.degrees)
    back = np.argsort(graph.indices, kind="stable")  # the same edge the other way
    sums = sparse.csr_matrix(
        (np.ones(len(target), np.float32), np.arange(len(target)), graph.indptr),
        (graph.nodes, len(target)),
    )
    own = own.astype(np.float32)
    heard = np.zeros((len(target), own.shape[1]), np.float32)
    total = own
    for _ in range(rounds):
        # What the source believes, but for what it has from the target itself.
        told = _softmax(total[graph.indices] - heard[back])
        heard = np.log1p((ratio - 1) * told)
        total = own + sums @ heard
    return _softmax(total)


def _softmax(x: np.ndarray) -> np.ndarray:
    x = np.exp(x - x.max(axis=1, keepdims=True))
    return x / x.sum(axis=1, keepdims=True)
