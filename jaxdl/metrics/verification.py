"""Whether two vectors are of one class, by a threshold on their cosine: figures of all pairs.

On the host, in NumPy. Pairs are made for a block of rows at a time and only counted, by steps of
their cosine: what is in memory is of the size of the set, and of the number of steps, not of the
square of the set.
"""

from typing import NamedTuple

import numpy as np

from jaxdl.metrics.directions import LOW

DIRECTIONS = dict.fromkeys(("equal_error_rate", "false_accept_rate", "false_reject_rate"), LOW)

# Steps of the cosine from 0 to 1. A power of two: a step's number is then exact.
STEPS = 2**19

# Cosines that are in memory at a time.
_AT_ONCE = 2**24


class Rates(NamedTuple):
    """What is mistaken at each threshold, of which a pair passes whose cosine is at least as high.

    Attributes:
      thresholds: (m,) ascending, the same for all sets, from -1, which all pairs pass, to above 1,
        which none does.
      false_accept: (m,) the share of pairs of different classes that pass; NaN of no such pair.
      false_reject: (m,) the share of pairs of one class that do not.
    """

    thresholds: np.ndarray
    false_accept: np.ndarray
    false_reject: np.ndarray

    @property
    def equal(self) -> int:
        """The place where both shares are nearest; the middle one where several are."""
        apart = np.abs(self.false_accept - self.false_reject)
        best = np.flatnonzero(apart == apart.min())
        return int(best[len(best) // 2])

    @property
    def equal_error_rate(self) -> float:
        """The mean of both shares there, in [0, 1]; NaN where one of them is."""
        if not self.known:
            return float("nan")
        return float(self.false_accept[self.equal] + self.false_reject[self.equal]) / 2

    def accepting(self, share: float) -> int:
        """The place of the lowest threshold that at most ``share`` of other classes' pairs pass."""
        return int(np.argmax(self.false_accept <= share))

    @property
    def known(self) -> bool:
        """Whether there are pairs of both kinds, of finite vectors."""
        return bool(np.isfinite(self.false_accept[0] + self.false_reject[0]))


def rates(vectors: np.ndarray, labels: np.ndarray, *, at_once: int = _AT_ONCE) -> Rates:
    """The `Rates` of all pairs of different examples.

    Args:
      vectors: (n, d) of length 1.
      labels: (n,) integers.
      at_once: cosines in a block at most, but for those of one row.

    Returns:
      Thresholds are whole steps of 2**-19: that of a pair's cosine is the highest one that it
      passes. Shares are NaN where a vector is not finite.
    """
    thresholds = np.arange(-STEPS, STEPS + 2) / STEPS
    counts = np.zeros((2, 2 * STEPS + 1), np.int64)
    vectors = np.asarray(vectors, np.float32)
    if np.isfinite(vectors).all():
        size = max(at_once // max(len(labels), 1), 1)
        for start in range(0, len(labels) - 1, size):
            rows = slice(start, min(start + size, len(labels)))
            # Each pair once: a row's partners stand behind it.
            cosines = vectors[rows] @ vectors[start:].T
            behind = np.triu(np.ones(cosines.shape, bool), 1)
            steps = np.floor(cosines * STEPS).astype(np.int32)
            steps = np.clip(steps + STEPS, 0, 2 * STEPS)
            alike = labels[rows, None] == labels[None, start:]
            for kind, which in enumerate((behind & ~alike, behind & alike)):
                counts[kind] += np.bincount(steps[which], minlength=counts.shape[1])
    total = counts.sum(axis=1, keepdims=True)
    below = np.concatenate([np.zeros((2, 1), np.int64), counts.cumsum(axis=1)], axis=1)
    with np.errstate(invalid="ignore"):
        passed, rejected = (total - below)[0] / total[0], below[1] / total[1]
    return Rates(thresholds, passed, rejected)


def place(found: Rates, at: str) -> int:
    """The place of the threshold that is asked for.

    Args:
      found: of pairs to choose it by, ``known``.
      at: "equal" for equal shares of false accepts and false rejects; else the share of false
        accepts that is allowed, such as "0.01".
    """
    return found.equal if at == "equal" else found.accepting(float(at))
