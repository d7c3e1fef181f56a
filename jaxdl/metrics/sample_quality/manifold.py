"""Whether generated features lie where real ones do, and real ones where generated ones do.

A set is taken for the union of balls, one around each of its features, which reaches to the k-th
nearest other one.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from jaxdl.metrics.sample_quality.neighbours import flat

# Rows of distances at a time: 1000 of them to 10,000 examples are 80 MB.
_ROWS = 1000


class Manifold(NamedTuple):
    """Both in [0, 1].

    Attributes:
      precision: the share of generated examples that lie in the ball of a real one.
      recall: the share of real examples that lie in the ball of a generated one.
    """

    precision: float
    recall: float


class Coverage(NamedTuple):
    """What a few outliers among the real examples, whose balls are huge, hardly change.

    Attributes:
      density: of real examples' balls that a generated one lies in, the mean over k; at least 0,
        and above 1 where generated examples crowd.
      coverage: the share of real examples whose ball has a generated one in it, in [0, 1].
    """

    density: float
    coverage: float


def precision_recall(generated: np.ndarray, real: np.ndarray, neighbours: int = 3) -> Manifold:
    """Kynkäänniemi et al., 2019, "Improved Precision and Recall Metric", equations 1 and 2.

    Args:
      generated: (n, …).
      real: (m, …); as many, if figures of sets of several sizes are to compare.
      neighbours: k, 3 as published.

    Raises:
      ValueError: a set has no more than k examples.
    """
    generated, real = flat(generated), flat(real)
    around_real, around_generated = _radii(real, neighbours), _radii(generated, neighbours)
    hit, reached = 0, np.zeros(len(real), bool)
    for rows, squares in _squares(generated, real):
        hit += (squares <= around_real).any(axis=1).sum()
        reached |= (squares <= around_generated[rows, None]).any(axis=0)
    return Manifold(float(hit / len(generated)), float(reached.mean()))


def density_coverage(generated: np.ndarray, real: np.ndarray, neighbours: int = 5) -> Coverage:
    """Naeem et al., 2020, "Reliable Fidelity and Diversity Metrics", equations 4 and 5.

    Args:
      generated: (n, …).
      real: (m, …).
      neighbours: k, 5 as published.

    Raises:
      ValueError: there are no more than k real examples.
    """
    generated, real = flat(generated), flat(real)
    around = _radii(real, neighbours)
    balls, covered = 0, np.zeros(len(real), bool)
    for _, squares in _squares(generated, real):
        inside = squares <= around
        balls += inside.sum()
        covered |= inside.any(axis=0)
    return Coverage(float(balls / (neighbours * len(generated))), float(covered.mean()))


def _radii(x: np.ndarray, neighbours: int) -> np.ndarray:
    """Each one's squared distance (n,) to the k-th nearest of the others."""
    if not 1 <= neighbours < len(x):
        raise ValueError(f"{neighbours} neighbours among {len(x)} examples: more are needed")
    found = np.empty(len(x))
    for rows, squares in _squares(x, x):
        squares[np.arange(len(rows)), rows] = np.inf
        found[rows] = np.partition(squares, neighbours - 1, axis=1)[:, neighbours - 1]
    return found


def _squares(x: np.ndarray, y: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(indices of rows (r,), their squared distances (r, m) to all of ``y``), part by part."""
    # Near the origin, products lose the least of a difference.
    middle = y.mean(axis=0)
    x, y = x - middle, y - middle
    lengths, others = np.square(x).sum(axis=1), np.square(y).sum(axis=1)
    for start in range(0, len(x), _ROWS):
        rows = np.arange(start, min(start + _ROWS, len(x)))
        squares = lengths[rows, None] + others - 2 * (x[rows] @ y.T)
        yield rows, np.maximum(squares, 0)
