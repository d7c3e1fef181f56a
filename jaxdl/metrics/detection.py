"""COCO's average precision and recall of boxes (cocodataset.org, "Detection evaluation").

Figures of whole sets, on the host, in float64; those of pycocotools 2.0.11, except that it never
finds an annotation whose id is 0. Pascal VOC's are in `jaxdl.metrics.voc`.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from jaxdl.metrics.directions import HIGH
from jaxdl.metrics.matching import Found, Matches, Truth, areas, by_group, match

# Overlaps that are enough, and recalls at which precision is read.
THRESHOLDS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0, 1, 101)

# Pixels² of an object, from and to.
AREAS = {
    "all": (0.0, 1e10),
    "small": (0.0, 32.0**2),
    "medium": (32.0**2, 96.0**2),
    "large": (96.0**2, 1e10),
}

# Of each class in an image, at most.
MOST = (1, 10, 100)

# {figure: (of precision rather than recall, threshold or None for all, area, finds at most)}
_FIGURES: dict[str, tuple[bool, int | None, str, int]] = {
    "map": (True, None, "all", 100),
    "map50": (True, 0, "all", 100),
    "map75": (True, 5, "all", 100),
    "map_small": (True, None, "small", 100),
    "map_medium": (True, None, "medium", 100),
    "map_large": (True, None, "large", 100),
    "ar1": (False, None, "all", 1),
    "ar10": (False, None, "all", 10),
    "ar100": (False, None, "all", 100),
    "ar_small": (False, None, "small", 100),
    "ar_medium": (False, None, "medium", 100),
    "ar_large": (False, None, "large", 100),
}

DIRECTIONS = dict.fromkeys(_FIGURES, HIGH)


class Curves(NamedTuple):
    """Of T thresholds, R recalls, K classes, A ranges of areas and M numbers of finds.

    Attributes:
      precision: (T, R, K, A, M) float64 in [0, 1], the highest at that recall or above, 0 where it
        is not reached; NaN where no object counts (pycocotools: -1).
      recall: (T, K, A, M) float64, the highest; NaN as above.
    """

    precision: np.ndarray
    recall: np.ndarray


def curves(
    found: Found,
    truth: Truth,
    classes: int,
    thresholds: Sequence[float] = tuple(THRESHOLDS),
    ranges: Mapping[str, tuple[float, float]] = AREAS,
    most: Sequence[int] = MOST,
) -> Curves:
    """Precision over recall of all classes.

    What meets an object that is ignored, a crowd, or of an area out of range does not count, nor
    does what meets none and is itself out of range.

    Args:
      found: what was found; finds of equal scores count in the order of their images, then in
        which they stand there.
      truth: what is there.
      classes: K.
      thresholds: T overlaps, above 0.
      ranges: A, {name: (from, to)}, in pixels², both included.
      most: M rising numbers of finds of a class in an image: of the surest.

    Raises:
      ValueError: a class is not in 0 … K - 1.
    """
    for labels in (found.classes, truth.classes):
        if len(labels) and not (np.min(labels) >= 0 and np.max(labels) < classes):
            raise ValueError(f"classes must be from 0 to {classes - 1}")
    order, rank = by_group(found)
    kept = rank < most[-1]
    found, rank = found.of(order[kept]), rank[kept]
    within = lambda x: np.stack([(x >= low) & (x <= high) for low, high in ranges.values()], -1)
    inside = within(areas(found.boxes))
    sizes = areas(truth.boxes) if truth.areas is None else np.asarray(truth.areas, np.float64)
    counts = within(sizes) & truth.counts[:, None]
    matches = match(found, truth, thresholds, counts)
    # By class, the surest first.
    order = np.lexsort((-np.asarray(found.scores, np.float64), found.classes))
    found, rank, inside = found.of(order), rank[order], inside[order]
    ends = np.searchsorted(found.classes, np.arange(classes + 1))
    matches = _moved(matches, order)
    match_ends = np.searchsorted(matches.found, ends)
    shape = (len(thresholds), len(RECALLS), classes, len(ranges), len(most))
    precision, recall = np.full(shape, np.nan), np.full((shape[0], *shape[2:]), np.nan)
    for k in range(classes):
        total = counts[np.asarray(truth.classes) == k].sum(axis=0)
        own, near = slice(*ends[k : k + 2]), slice(*match_ends[k : k + 2])
        at, true = matches.found[near] - ends[k], matches.true[near]
        there = total > 0
        if not there.any():
            continue
        # Finds that count: those that meet what counts, or nothing, being of a size in range.
        hit = (true >= 0) & counts[true, np.arange(counts.shape[1])]
        counted = np.where(true >= 0, hit, inside[own][at][:, None])
        for m, number in enumerate(most):
            among = rank[own] < number
            made = _of_class(among, inside[own], at, hit, counted, total)
            for into, x in zip((precision, recall), made, strict=True):
                into[..., k, there, m] = x[..., there]
    return Curves(precision, recall)


def _moved(matches: Matches, order: np.ndarray) -> Matches:
    """With the finds in another order, by their numbers there."""
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    rows = np.argsort(place[matches.found])
    return Matches(place[matches.found][rows], matches.true[rows])


def _of_class(
    among: np.ndarray,
    inside: np.ndarray,
    at: np.ndarray,
    hit: np.ndarray,
    counted: np.ndarray,
    total: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Precision (T, R, A) and recall (T, A) of the n finds of a class, the surest first.

    Precision is highest where an object was found, so that only these places, and how many finds
    count before them, have to be known.

    Args:
      among: (n,) bool, which of them are of the surest of their image.
      inside: (n, A) bool, whether they count if they meet nothing.
      at: (c,) rising numbers of those that come near an object.
      hit: (c, T, A) bool: they meet one that counts.
      counted: (c, T, A) bool: they count.
      total: (A,) objects that count.
    """
    plain = inside & among[:, None]
    plain[at] = False
    kept = among[at]
    hit, counted = hit[kept], counted[kept]
    hits = hit.cumsum(axis=0)
    before = plain.cumsum(axis=0)[at[kept]][:, None] + counted.cumsum(axis=0)
    # The smallest positive number keeps pycocotools' last bit.
    precise = np.where(hit, hits / (before + np.spacing(1)), 0)
    highest = np.maximum.accumulate(precise[::-1], axis=0)[::-1]
    count = hits[-1] if len(hits) else np.zeros(hit.shape[1:], np.int64)
    # (T, A, most hits + 1): the highest precision at the first hit, the second …, and 0 at the end.
    table = np.zeros((*count.shape, count.max(initial=0) + 1))
    t, a, row = np.nonzero(np.moveaxis(hit, 0, -1))
    table[t, a, hits[row, t, a] - 1] = highest[row, t, a]
    found = np.zeros((count.shape[0], len(RECALLS), count.shape[1]))
    for j, wanted in enumerate(total):
        # Hits from which on each recall is reached; the first for a recall of 0.
        needed = np.searchsorted(np.arange(wanted + 1) / max(wanted, 1), RECALLS)
        places = np.minimum(np.maximum(needed, 1), table.shape[-1]) - 1
        found[:, :, j] = table[:, j, places]
    return found, count / np.maximum(total, 1)


def summary(found: Curves) -> dict[str, float]:
    """COCO's twelve figures, in [0, 1], of `curves` as they are by default.

    ``map`` (of thresholds .5 to .95), ``map50``, ``map75``; ``map_small``, ``map_medium`` and
    ``map_large``, of objects of up to 32² and 96² pixels and above; ``ar1``, ``ar10``, ``ar100``,
    recall of so many finds of a class in an image, its mean over the thresholds; ``ar_small`` ….
    Means over classes that have objects; NaN where none has.
    """
    names, made = list(AREAS), {}
    for name, (precise, threshold, area, most) in _FIGURES.items():
        values = found.precision if precise else found.recall
        values = values[..., names.index(area), MOST.index(most)]
        made[name] = _mean(values if threshold is None else values[threshold])
    return made


def by_class(found: Curves, threshold: int | None = None) -> np.ndarray:
    """(K,) average precision of each class, of objects of all areas; NaN of none.

    Args:
      found: as `summary`'s.
      threshold: the number of one; None for the mean over all.
    """
    values = found.precision[..., 0, -1]
    values = values if threshold is None else values[[threshold]]
    return values.mean(axis=(0, 1))


def confusion(found: Found, truth: Truth, classes: int, least: float = 0.5) -> np.ndarray:
    """(K + 1, K + 1) int64: how many objects of class i (row) were found to be of class j (column).

    Finds, the surest first, meet the objects of any class that they overlap most. The last column
    counts objects that none met, the last row finds that met none. What meets an object that is
    ignored, or a crowd, is left out.

    Args:
      found: those that are sure enough.
      truth: what is there.
      classes: K.
      least: overlap that is enough.
    """
    of_one = lambda x: x._replace(classes=np.zeros(len(x.classes), np.int64))
    matches = match(of_one(found), of_one(truth), (least,))
    met = np.full(len(found.scores), -1)
    met[matches.found] = matches.true[:, 0, 0]
    # Behind the last object: nothing.
    label = np.append(np.asarray(truth.classes, np.int64), classes)[met]
    counts = np.append(truth.counts, True)
    missed = truth.counts
    missed[met[met >= 0]] = False
    made = np.zeros((classes + 1, classes + 1), np.int64)
    np.add.at(made, (label[counts[met]], np.asarray(found.classes)[counts[met]]), 1)
    np.add.at(made, (np.asarray(truth.classes)[missed], classes), 1)
    return made


def _mean(values: np.ndarray) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")
