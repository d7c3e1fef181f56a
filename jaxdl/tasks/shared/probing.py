"""What a linear classifier of few labels makes of vectors: a probe of what they hold."""

import warnings
from collections.abc import Sequence

import numpy as np

# Draws of the labelled examples that a figure is the mean of.
DRAWS = 5


def accuracy(
    learned: tuple[np.ndarray, np.ndarray],
    asked: tuple[np.ndarray, np.ndarray],
    count: int,
    draws: int = DRAWS,
) -> float:
    """Of logistic regression on ``count`` examples a class, the mean over several draws of them.

    Features are standardised by all of ``learned``, whose labels that needs none of; the penalty
    is scikit-learn's own. The draws are the same for any features of the same examples.

    Args:
      learned: features (n, d) and labels (n,) that the few are drawn from; a class of fewer gives
        all that it has.
      asked: (m, d) and (m,) that are judged.
      count: examples of each class.
      draws: of them.

    Returns:
      NaN where a feature is not finite, or only one class is there.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    (x, y), (u, v) = learned, asked
    if not (np.isfinite(x).all() and np.isfinite(u).all()) or len(np.unique(y)) < 2:
        return float("nan")
    mean, deviation = x.mean(axis=0), x.std(axis=0)
    # What is the same in all, such as a picture's margin, says nothing where it differs either.
    scale = np.where(deviation > 0, 1 / np.where(deviation > 0, deviation, 1), 0)
    x, u = (x - mean) * scale, (u - mean) * scale
    right = []
    for draw in range(draws):
        rows = few(y, count, draw)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model = LogisticRegression(max_iter=300).fit(x[rows], y[rows])
        right.append((model.predict(u) == v).mean())
    return float(np.mean(right))


def few(labels: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Places of ``count`` examples of each class, or all that there are."""
    order = np.random.default_rng((count, seed)).permutation(len(labels))
    of_class: Sequence[np.ndarray] = [order[labels[order] == c][:count] for c in np.unique(labels)]
    return np.concatenate(of_class)
