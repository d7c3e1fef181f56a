"""Classes, or labels, that count more than others in the loss of training."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl.config.settings import MOST
from jaxdl.data.absent import Absent
from jaxdl.errors import UserError

_BALANCED = "balanced"


def create(setting: str, given: Sequence[Any], count: int, balanced: Any) -> np.ndarray | None:
    """(count,) float32, or None where all count the same.

    Args:
      setting: its name, for messages.
      given: a number for each class; or "balanced" alone; or nothing.
      count: classes.
      balanced: () -> (count,), the weights that "balanced" stands for.

    Raises:
      UserError: other than that.
    """
    if not len(given):
        return None
    if tuple(given) == (_BALANCED,):
        return np.asarray(balanced(), np.float32)
    numbers = all(isinstance(w, int | float) and not isinstance(w, bool) for w in given)
    if (
        not numbers
        or len(given) != count
        or not all(0 <= w <= MOST for w in given)
        or not any(given)
    ):
        raise UserError(
            f"config.task.{setting}={tuple(given)!r} must be 'balanced', or {count} numbers of at "
            "least 0, not all 0, one a class"
        )
    return np.asarray(given, np.float32)


def of_run(given: Sequence[Any], run: Any, count: int) -> np.ndarray | None:
    """Weights of the classes of ``run``'s data, `create`'s; "balanced" are `inverse_frequency`."""
    train = run.data.train

    def balanced() -> np.ndarray:
        if isinstance(train, Absent):  # and nothing is learned
            return np.ones(count)
        if not hasattr(train, "labels"):
            raise UserError(
                f"config.task.class_weights='balanced': data set {run.config.data.name!r} is drawn "
                "as it is learned from, with no labels to count: give numbers"
            )
        return inverse_frequency(train.labels, count)

    return create("class_weights", given, count, balanced)


def inverse_frequency(labels: np.ndarray, count: int) -> np.ndarray:
    """(count,): n / (k nᵢ) of the k classes that there are, 0 of others; scikit-learn's "balanced".

    Args:
      labels: (n,) integers.
      count: classes that could be.
    """
    # Not its compute_class_weight, which refuses classes of which there is no example.
    each = np.bincount(labels, minlength=count)
    return np.where(each > 0, len(labels) / (np.maximum(each, 1) * np.count_nonzero(each)), 0.0)


def of_labels(weights: np.ndarray | None, labels: jax.Array) -> jax.Array | None:
    """(batch,) the weight of each example; None where all count the same.

    Args:
      weights: (classes,) or None.
      labels: (batch,) integers, or distributions (batch, classes).
    """
    if weights is None:
        return None
    return jnp.asarray(weights)[labels] if labels.ndim == 1 else labels @ weights
