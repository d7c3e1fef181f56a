"""Pascal VOC's average precision, of 2007 and of 2010 on (Everingham et al., 2010, section 4.2).

What was found, the surest first, answers for the object of its class that it overlaps most, if by
half or more: a second answer is wrong. What answers for a difficult object does not count.
"""

import numpy as np

from jaxdl.metrics.directions import HIGH
from jaxdl.metrics.matching import Found, Truth, overlapping

# Exact tenths, as recalls of whole numbers are.
_POINTS = np.arange(11) / 10

# {figure: whether precision is read at eleven points}
_FIGURES = {"voc2007_map": True, "voc2010_map": False}

DIRECTIONS = dict.fromkeys(_FIGURES, HIGH)


def summary(found: Found, truth: Truth, classes: int) -> dict[str, float]:
    """VOC's mean average precision at an overlap of a half, in [0, 1].

    ``voc2007_map``, of precision at eleven points, as until 2009, and ``voc2010_map``, of the area
    under the curve, as from then on. Means over classes that have objects; NaN where none has.

    Args:
      found: what was found; so are the others those of `average_precision`.
      truth: what is there.
      classes: how many there are.
    """
    made = {}
    for name, eleven in _FIGURES.items():
        values = average_precision(found, truth, classes, eleven_points=eleven)
        known = values[~np.isnan(values)]
        made[name] = float(known.mean()) if known.size else float("nan")
    return made


def average_precision(
    found: Found, truth: Truth, classes: int, least: float = 0.5, eleven_points: bool = False
) -> np.ndarray:
    """(classes,) float64 in [0, 1], NaN of a class without objects; their mean is VOC's figure.

    Boxes are edges: VOC's own, whose pixels are counted from 1 and which hold the last, are x0 - 1,
    y0 - 1, x1, y1, as `jaxdl.data.voc` reads them.

    Args:
      found: what was found; of equal scores the first counts as the surer.
      truth: what is there; ``ignored`` is what is difficult. Crowds are ignored too.
      classes: how many there are.
      least: overlap that is enough, above 0.
      eleven_points: the mean of precision at recalls of 0, .1 … 1, as in 2007; otherwise the area
        under it, as from 2010 on. At each recall precision is the highest there or above.

    Raises:
      ValueError: there is a class that is not in 0 … classes - 1.
    """
    for labels in (found.classes, truth.classes):
        if len(labels) and not (np.min(labels) >= 0 and np.max(labels) < classes):
            raise ValueError(f"classes must be from 0 to {classes - 1}")
    right, wrong = _answers(found, truth, least)
    order = np.argsort(-np.asarray(found.scores, np.float64), kind="stable")
    labels = np.asarray(found.classes)[order]
    total = np.bincount(np.asarray(truth.classes)[truth.counts], minlength=classes)
    made = np.full(classes, np.nan)
    for k in np.flatnonzero(total):
        own = order[labels == k]
        own = own[right[own] | wrong[own]]
        hits = right[own].cumsum()
        precision, recall = hits / np.arange(1, len(hits) + 1), hits / total[k]
        highest = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0.0)
        if eleven_points:
            made[k] = highest[np.searchsorted(recall, _POINTS)].mean()
        else:
            made[k] = np.sum(np.diff(recall, prepend=0.0) * highest[:-1])
    return made


def _answers(found: Found, truth: Truth, least: float) -> tuple[np.ndarray, np.ndarray]:
    """(n,) bool each: finds that are right, and those that are wrong; the others do not count."""
    pairs = overlapping(found, truth, least)
    count = len(found.scores)
    # Of each find the object that it overlaps most, the first of equals.
    best = np.lexsort((pairs.true, -pairs.overlap, pairs.found))
    finds, first = np.unique(pairs.found[best], return_index=True)
    meant = np.full(count, -1)
    meant[finds] = pairs.true[best[first]]
    order = np.argsort(-np.asarray(found.scores, np.float64), kind="stable")
    order = order[meant[order] >= 0]
    _, first = np.unique(meant[order], return_index=True)
    right = np.zeros(count, bool)
    right[order[first]] = True
    difficult = (meant >= 0) & ~np.append(truth.counts, True)[meant]
    return right & ~difficult, ~right & ~difficult
