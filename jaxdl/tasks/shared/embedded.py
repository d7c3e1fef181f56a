"""What a report and a score say of vectors of a whole part: retrieval, a probe, a map."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from jaxdl.metrics import HIGH, retrieval
from jaxdl.report import draw
from jaxdl.tasks.shared import probing

# Pictures beside one another in the report: a query and its nearest, and how many such rows.
_NEAREST, _ROWS = 7, 6


def directions(recalls: Sequence[int], probe: Sequence[int]) -> dict[str, str]:
    """`Task.directions` of `figures` and `probed`."""
    names = ["map_at_r", "nmi", *(f"recall_at_{k}" for k in recalls)]
    names += [f"{kind}_{k}" for kind in ("probe", "pixels") for k in probe]
    return dict.fromkeys(names, HIGH)


def figures(vectors: np.ndarray, labels: np.ndarray, recalls: Sequence[int]) -> dict[str, float]:
    """`retrieval.figures` of (n, d) and (n,) with their ``nmi``."""
    found = retrieval.figures(vectors, labels, recalls=recalls)
    return {**found, "nmi": retrieval.normalised_mutual_information(vectors, labels)}


def probed(
    vectors_of: Callable[[Any], np.ndarray], train: Any, judged: Any, probe: Sequence[int]
) -> dict[str, float]:
    """``probe_k``, a linear probe of k labels a class, and ``pixels_k``, the same on the pixels.

    Args:
      vectors_of: split -> (n, d) float32.
      train: the split that the labelled examples are drawn from.
      judged: the one that is judged.
      probe: each k; none makes no figure.
    """
    found: dict[str, float] = {}
    for kind, of in (("probe", vectors_of), ("pixels", pixels)) if probe else ():
        parts = [(of(part), part.labels) for part in (train, judged)]
        found |= {f"{kind}_{k}": probing.accuracy(*parts, k) for k in probe}
    return found


def pixels(split: Any) -> np.ndarray:
    """The images of a split as they are, flat, (n, h·w·c) float32."""
    images = split.take(np.arange(len(split)))["image"]
    return images.reshape(len(images), -1).astype(np.float32)


def pictures(
    vectors: np.ndarray,
    labels: np.ndarray,
    class_names: Sequence[str],
    images: Callable[[np.ndarray], np.ndarray],
) -> dict[str, Any]:
    """The map of all vectors, and the nearest of those that are mistaken most surely.

    Args:
      vectors: (n, d) of length 1.
      labels: (n,).
      class_names: by the numbers of the labels.
      images: indices (m,) -> how these examples look.
    """
    centred = vectors - vectors.mean(axis=0)
    _, lengths, axes = np.linalg.svd(centred, full_matrices=False)
    flat = np.zeros((len(vectors), 2))
    flat[:, : min(2, len(axes))] = centred @ axes[:2].T
    share = np.square(lengths) / max(np.square(lengths).sum(), np.finfo(np.float32).tiny)
    caption = f"Two principal components, {share[:2].sum():.0%} of the variance."
    present = np.unique(labels)
    shown: dict[str, Any] = {
        "Map": draw.scatter(
            flat,
            np.searchsorted(present, labels),
            [class_names[i] for i in present],
            caption,
            ("first component", "second"),
        )
    }
    shown["Most mistaken"] = _mistaken(vectors, labels, class_names, images)
    return shown


def _mistaken(vectors, labels, class_names, images) -> Any:
    count = min(_NEAREST, len(vectors) - 1)
    if count < 1:
        return "There is one example alone: it has no neighbour."
    places = np.concatenate([found for _, found in retrieval.nearest(vectors, None, count)])
    others = np.array([(labels == label).sum() for label in labels]) > 1
    wrong = np.flatnonzero(others & (labels[places[:, 0]] != labels))
    said = f"The nearest of {len(wrong)} of {len(labels)} examples is of another class"
    if not wrong.size:
        return said + "."
    away = np.linalg.norm(vectors[wrong] - vectors[places[wrong, 0]], axis=1)
    worst = wrong[np.argsort(away, kind="stable")[:_ROWS]]
    rows = np.column_stack([worst, places[worst]])
    captions = [
        f"{class_names[labels[i]]}" + ("?" if column == 0 else "")
        for row in rows
        for column, i in enumerate(row)
    ]
    return draw.image_grid(
        images(rows.reshape(-1)),
        captions,
        f"{said}; a row each of the surest mistakes, the example and its nearest.",
        columns=count + 1,
    )
