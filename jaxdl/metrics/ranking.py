"""How well numbers tell two kinds of examples apart, at any threshold."""

import numpy as np


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


def roc(scores: np.ndarray, positive: np.ndarray, points: int = 200) -> tuple[np.ndarray, ...]:
    """(share of the others taken for positive, share of the positive found), each (m,), ascending.

    Args:
      scores: (n,), higher for what is rather positive.
      positive: (n,) bool, of both kinds.
      points: m, at most.
    """
    from sklearn.metrics import roc_curve

    false, true, _ = roc_curve(positive, scores)
    chosen = np.unique(np.linspace(0, len(false) - 1, min(points, len(false))).astype(int))
    return false[chosen], true[chosen]
