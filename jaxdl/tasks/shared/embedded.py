"""What a report and a score say of vectors of a whole part: retrieval, a probe, a map."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from jaxdl.data.spread import evenly
from jaxdl.metrics import HIGH, retrieval
from jaxdl.report import draw
from jaxdl.tasks.shared import probing

# Examples beside one another in the report: a query and its nearest, and how many such rows.
_NEAREST, _ROWS = 7, 6

# Points that t-SNE places, and its iterations: seconds, whatever the size of the part.
_POINTS, _ITERATIONS = 1000, 500


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
    shown: Callable[[np.ndarray, Sequence[str], str, int], Any],
) -> dict[str, Any]:
    """The maps of the vectors, and the nearest of those that are mistaken most surely.

    Args:
      vectors: (n, d) of length 1.
      labels: (n,).
      class_names: by the numbers of the labels.
      shown: as of `jaxdl.tasks.shared.trunks.Trunk`, of these examples.
    """
    present = np.unique(labels)
    names = [class_names[i] for i in present]
    classes = np.searchsorted(present, labels)
    made: dict[str, Any] = {"Map": _by_components(vectors, classes, names)}
    if (map_ := _by_neighbours(vectors, classes, names)) is not None:
        made["Map by t-SNE"] = map_
    made["Most mistaken"] = _mistaken(vectors, labels, class_names, shown)
    return made


def _by_components(vectors: np.ndarray, classes: np.ndarray, names: Sequence[str]) -> draw.Picture:
    centred = vectors - vectors.mean(axis=0)
    _, lengths, axes = np.linalg.svd(centred, full_matrices=False)
    flat = np.zeros((len(vectors), 2))
    flat[:, : min(2, len(axes))] = centred @ axes[:2].T
    share = np.square(lengths) / max(np.square(lengths).sum(), np.finfo(np.float32).tiny)
    caption = f"Two principal components, {share[:2].sum():.0%} of the variance."
    return draw.scatter(flat, classes, names, caption, ("first component", "second"))


def _by_neighbours(
    vectors: np.ndarray, classes: np.ndarray, names: Sequence[str]
) -> draw.Picture | None:
    """t-SNE's map (van der Maaten and Hinton, 2008); None of vectors that are too few or alike."""
    from sklearn.manifold import TSNE

    places = evenly(len(vectors), _POINTS)
    chosen = np.asarray(vectors[places], np.float32)
    # Twice the points beyond the neighbours that each is to have.
    perplexity = min(30.0, (len(chosen) - 1) / 3)
    if perplexity < 5 or np.ptp(chosen, axis=0).max() == 0:
        return None
    begin = "pca" if chosen.shape[1] > 1 else "random"
    made = TSNE(perplexity=perplexity, init=begin, max_iter=_ITERATIONS, random_state=0)
    flat = made.fit_transform(chosen)
    told = "" if len(chosen) == len(vectors) else f", {len(chosen)} of {len(vectors)} examples"
    caption = f"t-SNE, perplexity {perplexity:.0f}{told}: who lies near whom, and no distances."
    return draw.scatter(flat, classes[places], names, caption)


def _mistaken(vectors, labels, class_names, shown) -> Any:
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
    caption = f"{said}; a row each of the surest mistakes, the example and its nearest."
    return shown(rows.reshape(-1), captions, caption, count + 1)
