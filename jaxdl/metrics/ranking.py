"""How well numbers tell two kinds of examples apart, at any threshold."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np


class Cut(NamedTuple):
    """Where scores are cut in two.

    Attributes:
      threshold: above it examples are taken for positive.
      f1: of what is taken so, in [0, 1].
    """

    threshold: jax.Array
    f1: jax.Array


def auroc(scores: np.ndarray, positive: np.ndarray) -> float:
    """Area under the receiver operating characteristic, in [0, 1].

    The share of pairs, of a positive example and another, of which the positive one has the higher
    score; equal scores count half (Hanley and McNeil, 1982).

    Args:
      scores: (n,).
      positive: (n,) bool, of both kinds.
    """
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(positive, scores))


def average_precision(scores: np.ndarray, positive: np.ndarray) -> float:
    """Σ (Rₙ - Rₙ₋₁) Pₙ over all thresholds: the area in steps under precision over recall.

    Equal scores are taken together, so that their order is no matter.

    Args:
      scores: (n,).
      positive: (n,) bool, of which one is at least.
    """
    from sklearn.metrics import average_precision_score

    return float(average_precision_score(positive, scores))


def best_f1(scores: jax.Array, positive: jax.Array) -> Cut:
    """The cut of the highest F1, 2 TP / (2 TP + FP + FN); of several the one that takes least.

    Free to jit. The threshold lies half-way to the next lower score, so that what is rounded
    otherwise falls on the same side; it is 0 where nothing is positive.

    Args:
      scores: (n,) finite.
      positive: (n,) bool.
    """
    order = jnp.argsort(-scores)
    scores, positive = scores[order], positive[order]
    right, taken = jnp.cumsum(positive), jnp.arange(1, len(scores) + 1)
    f1 = 2 * right / (taken + right[-1])
    lower = jnp.concatenate([scores[1:], scores[-1:] - 1])
    at = jnp.argmax(jnp.where(scores > lower, f1, -1))  # equal scores are on the same side
    middle = (scores[at] + lower[at]) / 2
    threshold = jnp.where(middle < scores[at], middle, lower[at])
    return Cut(jnp.where(right[-1] > 0, threshold, 0), f1[at])


def f1(taken: np.ndarray, positive: np.ndarray) -> float:
    """2 TP / (2 TP + FP + FN), in [0, 1]; 0 where nothing is positive nor taken for it.

    Args:
      taken: bool, what is taken for positive.
      positive: bool of the same shape, what is.
    """
    both = np.count_nonzero(taken & positive)
    return 2 * both / max(np.count_nonzero(taken) + np.count_nonzero(positive), 1)


def precision_recall(
    scores: np.ndarray, positive: np.ndarray, points: int = 200
) -> tuple[np.ndarray, ...]:
    """(recall, precision), each (m,), by ascending recall; arguments as of `roc`."""
    from sklearn.metrics import precision_recall_curve

    precision, recall, _ = precision_recall_curve(positive, scores)
    return _some(recall[::-1], precision[::-1], points)


def roc(scores: np.ndarray, positive: np.ndarray, points: int = 200) -> tuple[np.ndarray, ...]:
    """(share of the others taken for positive, share of the positive found), each (m,), ascending.

    Args:
      scores: (n,), higher for what is rather positive.
      positive: (n,) bool, of both kinds.
      points: m, at most.
    """
    from sklearn.metrics import roc_curve

    false, true, _ = roc_curve(positive, scores)
    return _some(false, true, points)


def _some(x: np.ndarray, y: np.ndarray, points: int) -> tuple[np.ndarray, np.ndarray]:
    chosen = np.unique(np.linspace(0, len(x) - 1, min(points, len(x))).astype(int))
    return x[chosen], y[chosen]
