"""Inception score: whether a classifier is sure of each generated example, and not of all alike."""

from typing import NamedTuple

import numpy as np


class InceptionScore(NamedTuple):
    """Between 1 and the number of classes.

    Attributes:
      value: the mean over the parts.
      error: their standard deviation; 0 of a single one.
    """

    value: float
    error: float


def inception_score(logits: np.ndarray, splits: int = 10) -> InceptionScore:
    """exp E KL(p(y|x) | p(y)): how far an example's classes are from those of all, in the mean.

    Salimans et al., 2016, "Improved Techniques for Training GANs", section 4. It asks nothing of
    real examples.

    Args:
      logits: (n, classes), of generated examples.
      splits: parts, one behind the other, that are judged by themselves; 10 as published, of 5000
        examples each: smaller parts have smaller values.

    Raises:
      ValueError: there are fewer examples than parts.
    """
    logits = np.asarray(logits, np.float64)
    if logits.ndim != 2 or not 1 <= splits <= len(logits):
        raise ValueError(f"{splits} parts of logits {logits.shape}: (n, classes), n at least that")
    found = [np.exp(_information(part)) for part in np.array_split(logits, splits)]
    return InceptionScore(float(np.mean(found)), float(np.std(found)))


def _information(logits: np.ndarray) -> float:
    """Of classes and examples (n, classes), in nats."""
    from scipy.special import log_softmax, logsumexp

    each = log_softmax(logits, axis=1)
    together = logsumexp(each, axis=0) - np.log(len(each))
    shares = np.exp(each)
    # A class that has no share at all adds nothing, whatever the logarithm.
    terms = np.where(shares > 0, shares * (each - together), 0)
    return float(terms.sum(axis=1).mean())
