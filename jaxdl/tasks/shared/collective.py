"""Nodes of a graph named by what their neighbours are taken for, again and again.

Iterative classification (Sen et al., 2008, "Collective Classification in Network Data", section
3.2) with probabilities in the place of names, which are a network's at first. It hears as far as
there are rounds, while what is learned in each has few numbers, so that few labels do.
"""

import warnings

import numpy as np

from jaxdl.data import csr
from jaxdl.data.csr import Csr


def collective(
    graph: Csr,
    features: np.ndarray,
    labels: np.ndarray,
    known: np.ndarray,
    logits: np.ndarray,
    rounds: int,
) -> np.ndarray:
    """What all nodes are taken for behind some rounds; on the host.

    In each, all are named anew by a logistic regression on a node's features and on the sum of its
    neighbours' probabilities of each class. On a graph of a block model with normal features this
    is what the mean-field equations have, whose weights are learned here. A known label is learned
    from, and nobody hears it: no node is told its own by its neighbours.

    Args:
      graph: by receiver.
      features: (nodes, features) float32.
      labels: (nodes,) integers, of known nodes from 0.
      known: (nodes,) bool, of two classes or more.
      logits: (nodes, classes) floating, of the network.
      rounds: from 0 on; with 0 the logits are returned as they are.

    Returns:
      (nodes, classes) float32 logits; a class without a known label has the lowest of each node's.
    """
    if not rounds:
        return logits
    from scipy.special import softmax
    from sklearn.linear_model import LogisticRegression

    joined = csr.matrix(graph)
    for _ in range(rounds):
        given = np.concatenate([features, joined @ softmax(logits, axis=1)], axis=1)
        given -= given.mean(axis=0)
        given /= np.maximum(given.std(axis=0), 1e-6)
        named = LogisticRegression(max_iter=200)
        with warnings.catch_warnings():  # where it has come to is good enough for another round
            warnings.filterwarnings("ignore", message="lbfgs failed to converge")
            named.fit(given[known], labels[known])
        found = named.predict_log_proba(given).astype(np.float32)
        logits = np.repeat(found.min(axis=1, keepdims=True), logits.shape[1], axis=1)
        logits[:, named.classes_] = found
    return logits
