"""How masks are judged, over a whole split: figures, and what a report shows."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from jaxdl.data import Arrays
from jaxdl.metrics import HIGH
from jaxdl.metrics import segmentation as figures
from jaxdl.report import draw, masks
from jaxdl.report.bars import by_class
from jaxdl.tasks.shared.contract import Description
from jaxdl.tasks.shared.splits import EachFn, over_split

# In the report.
_SHOWN = 12

DIRECTIONS = {**figures.DIRECTIONS, "foreground_iou": HIGH, "foreground_dice": HIGH}


def score(
    counted: EachFn, at_once: int, state: Any, split: Any, key: jax.Array
) -> dict[str, float]:
    """`Task.score` of a split with ``mask``.

    Args:
      counted: (state, batch, key) -> (batch, classes, classes), each example's confusion matrix.
      at_once: examples at a time.
      state: for ``counted``.
      split: the examples.
      key: draws nothing.

    Returns:
      ``mean_iou``, ``mean_dice`` and ``mean_accuracy`` over the classes, of all pixels together; of
      two classes also ``foreground_iou`` and ``foreground_dice``.
    """
    matrix = over_split(counted, split, at_once, state).sum(axis=0, dtype=np.int64)
    found = {
        "mean_iou": figures.mean_iou(matrix),
        "mean_dice": figures.mean_dice(matrix),
        "mean_accuracy": figures.mean_accuracy(matrix),
    }
    if len(matrix) == 2:
        found["foreground_iou"] = figures.iou(matrix)[1]
        found["foreground_dice"] = figures.dice(matrix)[1]
    return {name: float(value) for name, value in found.items()}


def artifacts(
    counted: EachFn,
    masks_of: EachFn,
    cut: Callable[[np.ndarray], np.ndarray],
    names: Sequence[str],
    at_once: int,
    state: Any,
    split: Any,
    key: jax.Array,
) -> dict[str, Any]:
    """`Task.artifacts`: the images whose masks are most wrong, IoU a class, and the confusion.

    Args:
      counted: as `score`'s.
      masks_of: (state, batch, key) -> (batch, h', w'), what was found.
      cut: arrays (n, h, w, …) -> the part (n, h', w', …) of them that it is of.
      names: of the classes.
      at_once: as `score`'s; so are state, split and key.
      state: for both.
      split: the examples.
      key: draws nothing.
    """
    each = over_split(counted, split, at_once, state)
    right = figures.mean_iou(each)
    order = np.argsort(np.nan_to_num(right, nan=np.inf), kind="stable")[:_SHOWN]
    shown = split.take(order)
    found = over_split(masks_of, Arrays(shown), at_once, state)
    matrix = each.sum(axis=0, dtype=np.int64)
    iou = figures.iou(matrix)
    pictures = {
        "Most wrong": masks.worst(
            np.asarray(cut(shown["image"])),
            np.asarray(cut(shown["mask"])),
            found,
            [f"IoU {value:.2f}" for value in right[order]],
            len(names),
            f"Of {len(each)} evaluation images those of the lowest mean IoU over their own "
            f"classes, {np.nanmean(right):.3f} on average. Grey is of no class.",
        ),
        "IoU by class": by_class(
            "Intersection over union",
            iou,
            names,
            f"Of all pixels of the evaluation part; the mean is {figures.mean_iou(matrix):.3f}.",
        ),
    }
    if len(names) <= 50:
        share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
        confusion = draw.confusion(np.rint(100 * share).astype(np.int64), names)
        caption = "Percent of the pixels of each true class, a row; columns are answers."
        pictures["Confusion of pixels"] = confusion._replace(caption=caption)
    return pictures


def describe(names: Sequence[str], prediction: Any) -> Description:
    """The classes in a picture's ``mask`` (h, w), the largest first, by their share of it."""
    mask = np.asarray(prediction["mask"])
    count = np.bincount(mask.reshape(-1), minlength=len(names))
    there = [i for i in np.argsort(-count, kind="stable") if count[i]]
    shares = [(names[i], float(count[i] / mask.size)) for i in there]
    return Description(
        "  ".join(f"{name} {share:.1%}" for name, share in shares),
        {"classes": [{"class": name, "share": share} for name, share in shares]},
        mask.astype(np.uint8),
    )
