"""What is told of links by counting, against which what is learned is measured.

Liben-Nowell and Kleinberg, 2003, "The Link Prediction Problem for Social Networks", section 3.
"""

import numpy as np
from scipy import sparse

# Pairs at a time: their neighbours lie side by side.
_PAIRS = 1 << 16


def common_neighbours(
    indptr: np.ndarray, indices: np.ndarray, pairs: np.ndarray, weighted: bool = False
) -> np.ndarray:
    """(pairs,) float32: how many nodes are joined to both of two.

    Args:
      indptr: (nodes + 1,) of the edges both ways in compressed sparse rows; so is indices.
      indices: (edges,), each once.
      pairs: (pairs, 2) of nodes.
      weighted: each counts 1 / ln of how many it is joined to itself (Adamic and Adar, 2003,
        "Friends and neighbors on the Web").
    """
    degrees = np.diff(indptr)
    # Who is joined to both of a pair is joined to two at least.
    each = 1 / np.log(np.maximum(degrees, 2)) if weighted else np.ones(len(degrees))
    shape = (len(degrees),) * 2
    ones = np.ones(len(indices), np.float32)
    joined = sparse.csr_matrix((ones, indices, indptr), shape)
    counted = sparse.csr_matrix((each[indices].astype(np.float32), indices, indptr), shape)
    found = np.empty(len(pairs), np.float32)
    for first in range(0, len(pairs), _PAIRS):
        one, other = pairs[first : first + _PAIRS].T
        both = joined[one].multiply(counted[other])
        found[first : first + _PAIRS] = np.asarray(both.sum(axis=1)).ravel()
    return found
