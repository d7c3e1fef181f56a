"""Verification: whether two examples are of one class, by a threshold that other examples chose."""

from collections.abc import Callable
from typing import Any

import numpy as np

from jaxdl.errors import UserError
from jaxdl.metrics import verification
from jaxdl.report import draw
from jaxdl.tasks.shared.contract import Run

DIRECTIONS = verification.DIRECTIONS

# Of the lines in the report.
_POINTS = 200


def check(run: Run, at: str) -> None:
    """Raises UserError for what is no choice of a threshold, or where nothing can choose it.

    Args:
      run: whose data need a validation part.
      at: "" where nothing is verified, or as of `jaxdl.metrics.verification.place`.
    """
    if not at:
        return
    try:
        fits = at == "equal" or 0 < float(at) < 1
    except ValueError:
        fits = False
    if not fits:
        raise UserError(
            f"config.task.verification={at!r} must be 'equal', or the share of false accepts that "
            "is allowed, above 0 and below 1, such as 0.01"
        )
    if run.data.validation is None:
        raise UserError(
            f"config.task.verification={at!r} chooses a threshold on a validation part beside the "
            "test part: set config.data.eval_on=both, or bring data that have one"
        )


def figures(
    over: Callable[[Any, Any], np.ndarray],
    validation: Any,
    at: str,
    state: Any,
    split: Any,
    vectors: np.ndarray,
) -> dict[str, float]:
    """What a threshold mistakes of the pairs of a part; {} where nothing is verified.

    Args:
      over: (state, split) -> vectors (n, d) of length 1.
      validation: the part that chooses the threshold.
      at: as of `check`.
      state: for ``over``.
      split: the part that is judged.
      vectors: of it.

    Returns:
      ``equal_error_rate``, by the part's own best threshold. Unless it is the validation part
      itself, also the ``threshold`` that this one chose, a cosine, and what it mistakes here:
      ``false_accept_rate`` of the pairs of different classes, ``false_reject_rate`` of those of one
      class. NaN where a part has no pairs of both kinds, or a vector is not finite.
    """
    if not at:
        return {}
    here = verification.rates(vectors, split.labels)
    made = {"equal_error_rate": here.equal_error_rate}
    if split is validation:
        return made
    chooses = verification.rates(over(state, validation), validation.labels)
    if not (chooses.known and here.known):
        names = ("threshold", "false_accept_rate", "false_reject_rate")
        return made | dict.fromkeys(names, float("nan"))
    place = verification.place(chooses, at)
    return made | {
        "threshold": float(chooses.thresholds[place]),
        "false_accept_rate": float(here.false_accept[place]),
        "false_reject_rate": float(here.false_reject[place]),
    }


def picture(vectors: np.ndarray, labels: np.ndarray) -> dict[str, draw.Picture]:
    """Both shares at each threshold, for a report; {} where there are no pairs of both kinds."""
    found = verification.rates(vectors, labels)
    if not found.known:
        return {}
    # From where the first pair is rejected to where the last one is.
    first = int(np.argmax((found.false_accept < 1) | (found.false_reject > 0)))
    last = int(np.argmax((found.false_accept == 0) & (found.false_reject == 1)))
    places = np.unique(np.linspace(max(first - 1, 0), last, _POINTS).astype(int))
    lines = {
        name: (found.thresholds[places], shares[places])
        for name, shares in (
            ("other classes that pass", found.false_accept),
            ("of one class that do not", found.false_reject),
        )
    }
    made = draw.curves("share of pairs", lines, xlabel="threshold on the cosine")
    caption = (
        f"Equal error rate {found.equal_error_rate:.4f}, at a cosine of "
        f"{found.thresholds[found.equal]:.3f}, of these examples' own choice."
    )
    return {"Verification": made._replace(caption=caption)}
