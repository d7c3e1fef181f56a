"""Whether a classifier is right as often as it is sure: figures of a whole set, on the host.

Guo et al., 2017, "On calibration of modern neural networks", arXiv 1706.04599.
"""

from typing import NamedTuple

import numpy as np

# Bins of confidence, as the paper has.
BINS = 15

# Of the range of a temperature's logarithm: to 1e-8 of it.
_HALVINGS = 30


class Reliability(NamedTuple):
    """Answers by how sure they are.

    Attributes:
      confidence: (bins,) the mean share given to the answer, NaN of a bin without examples.
      accuracy: (bins,) of the answers, likewise.
      count: (bins,) examples.
    """

    confidence: np.ndarray
    accuracy: np.ndarray
    count: np.ndarray

    @property
    def error(self) -> float:
        """The expected calibration error, Σ count |accuracy - confidence| / n: equation 3."""
        there = self.count > 0
        apart = np.abs(self.accuracy - self.confidence)[there]
        return float((self.count[there] * apart).sum() / max(self.count.sum(), 1))


def log_shares(logits: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """log softmax(logits / T), (n, classes) float64."""
    scaled = np.asarray(logits, np.float64) / temperature
    scaled = scaled - scaled.max(axis=1, keepdims=True)
    return scaled - np.log(np.exp(scaled).sum(axis=1, keepdims=True))


def reliability(
    logits: np.ndarray, labels: np.ndarray, temperature: float = 1.0, bins: int = BINS
) -> Reliability:
    """How often answers are right, by bins of confidence of one width, (0, 1/15] the first.

    Args:
      logits: (n, classes).
      labels: (n,) integers.
      temperature: that the logits are divided by.
      bins: how many.
    """
    shares = np.exp(log_shares(logits, temperature))
    sure, right = shares.max(axis=1), shares.argmax(axis=1) == labels
    place = np.clip(np.ceil(sure * bins).astype(int) - 1, 0, bins - 1)
    count = np.bincount(place, minlength=bins)
    with np.errstate(invalid="ignore"):
        mean = lambda x: np.bincount(place, x, bins) / count
        return Reliability(mean(sure), mean(right), count)


def temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """The T > 0 of the least cross-entropy of softmax(logits / T), from 1/100 to 100: section 4.2.

    In 1 / T the cross-entropy is convex, so that halvings find where its slope is 0.

    Args:
      logits: (n, classes), of examples that the network did not learn from.
      labels: (n,) integers.
    """
    logits = np.asarray(logits, np.float64)
    ahead = logits - logits[np.arange(len(labels)), labels][:, None]
    low, high = -np.log(100), np.log(100)
    for _ in range(_HALVINGS):
        log_t = (low + high) / 2
        slope = (np.exp(log_shares(ahead, np.exp(log_t))) * ahead).sum(axis=1).mean()
        # More than the labels have is given to what is ahead of them: T is to grow.
        low, high = (log_t, high) if slope > 0 else (low, log_t)
    return float(np.exp(log_t))
