"""How well vectors find their like: figures of whole sets, on the host, in NumPy.

Distances are Euclidean, which for vectors of length 1 order as cosines do. They are made for a
block of queries at a time, so that what is in memory is of the size of the set, not of its square:
a million vectors fit. A query is not among its own answers, and one that is the only example of its
class, which nothing can answer, is left out of the figures.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from jaxdl.metrics.directions import HIGH

DIRECTIONS = {
    **{f"recall_at_{k}": HIGH for k in (1, 2, 4, 5, 8, 10, 100)},
    **dict.fromkeys(("map_at_r", "nmi"), HIGH),
}

# Distances that are in memory at a time.
_AT_ONCE = 2**25


def nearest(
    queries: np.ndarray,
    gallery: np.ndarray | None,
    count: int,
    *,
    at_once: int = _AT_ONCE,
) -> Iterator[tuple[slice, np.ndarray]]:
    """The nearest of a gallery, a block of queries after another.

    Args:
      queries: (n, d).
      gallery: (m, d), or None for the queries themselves, where none finds itself.
      count: k, of the nearest, at most m, or n - 1.
      at_once: distances in a block at most, but for those of one query.

    Yields:
      Which queries, and (block, k) the places of their nearest, the nearest first.
    """
    among = queries if gallery is None else gallery
    # Around the middle, so that as few digits as can be are lost to the squares of lengths.
    middle = among.mean(axis=0, dtype=np.float64)
    among, asked = ((x - middle).astype(np.float32) for x in (among, queries))
    lengths = np.square(among).sum(axis=1)
    size = max(at_once // max(len(among), 1), 1)
    for start in range(0, len(asked), size):
        rows = slice(start, min(start + size, len(asked)))
        # |a - b|² less |a|², which is the same for all that a query is compared with.
        found = lengths - 2 * (asked[rows] @ among.T)
        if gallery is None:
            found[np.arange(rows.stop - start), np.arange(start, rows.stop)] = np.inf
        if count < found.shape[1]:
            places = np.argpartition(found, count - 1, axis=1)[:, :count]
        else:
            places = np.tile(np.arange(found.shape[1]), (len(found), 1))
        order = np.argsort(np.take_along_axis(found, places, axis=1), axis=1, kind="stable")
        yield rows, np.take_along_axis(places, order, axis=1)[:, :count]


def figures(
    vectors: np.ndarray,
    labels: np.ndarray,
    *,
    recalls: Sequence[int] = (1,),
    gallery: tuple[np.ndarray, np.ndarray] | None = None,
    at_once: int = _AT_ONCE,
) -> dict[str, float]:
    """Recall at k, and mean average precision at R, over all vectors.

    Args:
      vectors: (n, d), the queries.
      labels: (n,) integers.
      recalls: k of each ``recall_at_k``, the share of queries that have one of their class among
        their k nearest.
      gallery: ((m, d), (m,)) what is searched; None for the queries themselves.
      at_once: as of `nearest`.

    Returns:
      The recalls, and ``map_at_r``: of a query whose class has R other vectors the mean over its R
      nearest of the precision up to each that is right, 0 for one that is wrong (Musgrave, Belongie
      and Lim, 2020, "A metric learning reality check", section 3.2). NaN where nothing is left, or
      a vector is not finite.
    """
    names = [f"recall_at_{k}" for k in recalls]
    among = labels if gallery is None else gallery[1]
    classes, sizes = np.unique(among, return_counts=True)
    at = np.minimum(np.searchsorted(classes, labels), max(len(classes) - 1, 0))
    others = np.where(classes[at] == labels, sizes[at], 0) - (gallery is None)
    asked = others > 0
    searched = vectors if gallery is None else gallery[0]
    if not asked.any() or not (np.isfinite(vectors).all() and np.isfinite(searched).all()):
        return dict.fromkeys([*names, "map_at_r"], np.nan)
    count = min(max(*recalls, others.max()), len(among) - (gallery is None))
    hits, precisions = np.zeros(len(recalls)), 0.0
    found = nearest(vectors, None if gallery is None else gallery[0], count, at_once=at_once)
    for rows, places in found:
        right = (among[places] == labels[rows, None])[asked[rows]]
        hits += [right[:, :k].any(axis=1).sum() for k in recalls]
        precision = np.cumsum(right, axis=1) / np.arange(1, count + 1)
        counted = right & (np.arange(count) < others[rows][asked[rows], None])
        precisions += ((precision * counted).sum(axis=1) / others[rows][asked[rows]]).sum()
    shares = dict(zip(names, (hits / asked.sum()).tolist(), strict=True))
    return {**shares, "map_at_r": float(precisions / asked.sum())}


def normalised_mutual_information(
    vectors: np.ndarray, labels: np.ndarray, *, seed: int = 0, draws: int = 4
) -> float:
    """How much k-means with as many clusters as classes tells of the classes, in [0, 1].

    2 I(clusters; classes) / (H(clusters) + H(classes)), as scikit-learn computes it.

    Args:
      vectors: (n, d).
      labels: (n,) integers.
      seed: of k-means.
      draws: beginnings of k-means, of which the best counts.

    Returns:
      NaN where a vector is not finite.
    """
    from sklearn.cluster import KMeans
    from sklearn.metrics import normalized_mutual_info_score

    if not np.isfinite(vectors).all():
        return float("nan")
    wanted = min(len(np.unique(labels)), len(np.unique(vectors, axis=0)))
    told = KMeans(wanted, n_init=draws, random_state=seed).fit_predict(vectors)
    return float(normalized_mutual_info_score(labels, told))
