"""Shapes that stand for the boxes of data: what a detector's boxes begin from.

Redmon and Farhadi, 2017, "YOLO9000: Better, Faster, Stronger", section 2, "Dimension clusters": by
k-means, whose distance of two shapes is 1 minus the intersection over union of boxes about one
centre, so that large boxes count no more than small ones.
"""

import numpy as np

from jaxdl.errors import UserError

# Of more boxes so many are looked at, evenly spread: a dozen means do not ask for more.
_MOST = 4_000

# Means settle in a few dozen rounds; each starts anew from other shapes so many times.
_ROUNDS, _STARTS = 100, 4


def overlap(sides: np.ndarray, anchors: np.ndarray) -> np.ndarray:
    """Intersection over union about one centre: (n, 2) and (k, 2), width and height -> (n, k)."""
    (w, h), (p, q) = sides.T, anchors.T
    shared = np.minimum(w[:, None], p) * np.minimum(h[:, None], q)
    return shared / ((w * h)[:, None] + p * q - shared)


def mean_overlap(sides: np.ndarray, anchors: np.ndarray) -> float:
    """The mean over shapes (n, 2) of the overlap with the anchor (k, 2) that is most like each."""
    return float(overlap(sides, anchors).max(1).mean())


def fit(sides: np.ndarray, count: int, seed: int = 0) -> np.ndarray:
    """Anchors for boxes, by k-means; of several starts the one of the highest `mean_overlap`.

    Args:
      sides: (n, 2) of boxes, width and height in any unit.
      count: of the anchors.
      seed: of where the means begin; the result follows from it and from ``sides`` alone.

    Returns:
      (count, 2) float32, in the same unit, the smallest area first.

    Raises:
      UserError: a side is not positive and finite, or there are fewer different shapes.
    """
    sides = np.asarray(sides, np.float64).reshape(-1, 2)
    if not (np.isfinite(sides).all() and (sides > 0).all()):
        raise UserError("anchors are made of boxes whose sides are positive")
    different = np.unique(sides, axis=0)
    if len(different) < count:
        raise UserError(
            f"{count} anchors need boxes of at least as many shapes, and the data have "
            f"{len(different)}: set model.anchors"
        )
    if len(sides) > _MOST:
        sides = sides[np.linspace(0, len(sides) - 1, _MOST).astype(int)]
        different = np.unique(sides, axis=0)
    rng = np.random.default_rng(seed)
    found = [_means(sides, _spread(different, count, rng)) for _ in range(_STARTS)]
    best = max(found, key=lambda anchors: mean_overlap(sides, anchors))
    return best[np.lexsort((best[:, 0], best.prod(1)))].astype(np.float32)


def _spread(different: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Where means begin: each shape drawn by its squared distance from those drawn before."""
    drawn = [rng.integers(len(different))]
    while len(drawn) < count:
        distance = 1 - overlap(different, different[drawn]).max(1)
        share = np.square(distance) + 1e-12  # shapes that differ by rounding alone can be drawn
        share[drawn] = 0
        drawn.append(rng.choice(len(different), p=share / share.sum()))
    return different[drawn]


def _means(sides: np.ndarray, anchors: np.ndarray) -> np.ndarray:
    nearest = None
    for _ in range(_ROUNDS):
        before, nearest = nearest, overlap(sides, anchors).argmax(1)
        if before is not None and (nearest == before).all():
            break
        counts = np.bincount(nearest, minlength=len(anchors))
        sums = np.stack([np.bincount(nearest, side, len(anchors)) for side in sides.T], 1)
        # A mean that nothing is nearest to stays where it is.
        anchors = np.where(counts[:, None] > 0, sums / np.maximum(counts, 1)[:, None], anchors)
    return anchors
