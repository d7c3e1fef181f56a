"""What a report shows of examples that were given classes: which for which, how sure, the worst."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from jaxdl.metrics import calibration
from jaxdl.report import draw

# Classes that a confusion matrix has room for, and mistakes that are shown.
_CLASSES, _WORST = 50, 24


def pictures(
    logits: np.ndarray,
    labels: np.ndarray,
    class_names: Sequence[str],
    images: Callable[[np.ndarray], np.ndarray],
) -> dict[str, Any]:
    """The confusion matrix and the most wrong examples, for a report.

    Args:
      logits: (n, classes) of all examples.
      labels: (n,) of them.
      class_names: by the numbers of the labels.
      images: indices (m,) -> how these examples look, (m, h, w, c) uint8 or in [0, 1].
    """
    share, guess = _shares(logits), logits.argmax(axis=1)
    shown: dict[str, Any] = {
        **confusion(labels, guess, class_names),
        **calibrated(logits, labels),
    }
    # Most wrong first: the smallest share given to the true class among the mistakes.
    mistakes = np.flatnonzero(guess != labels)
    worst = mistakes[np.argsort(share[mistakes, labels[mistakes]])][:_WORST]
    if worst.size:
        shown["Most wrong"] = draw.image_grid(
            images(worst),
            lines(logits, labels, class_names, worst),
            f"{len(mistakes)} of {len(labels)} evaluation examples are wrong; true class → answer, "
            "and the share given to it.",
        )
    else:
        shown["Most wrong"] = f"None of {len(labels)} evaluation examples is wrong."
    return shown


def lines(
    logits: np.ndarray, labels: np.ndarray, class_names: Sequence[str], places: np.ndarray
) -> list[str]:
    """Of each example at ``places``, (m,), its class, the answer, and the share given to that.

    Args:
      logits: (n, classes) of all examples.
      labels: (n,) of them.
      class_names: by the numbers of the labels.
      places: (m,) which of them.
    """
    share, guess = _shares(logits[places]), logits[places].argmax(axis=1)
    name = lambda label: class_names[label] if label < len(class_names) else str(label)
    return [
        f"{name(true)} → {name(answer)}  {shares[answer]:.0%}"
        for true, answer, shares in zip(labels[places], guess, share, strict=True)
    ]


def _shares(logits: np.ndarray) -> np.ndarray:
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)


def calibrated(logits: np.ndarray, labels: np.ndarray) -> dict[str, draw.Picture]:
    """How often answers are right that are so sure, as they are and by a temperature.

    The temperature is that of every other example, and the others are judged by it, so that none
    is judged by what it chose. There is no picture of fewer than 20 of each.

    Args:
      logits: (n, classes) of all examples.
      labels: (n,) of them.
    """
    if len(labels) < 40 or not np.isfinite(logits).all():
        return {}
    found = calibration.temperature(logits[::2], labels[::2])
    of = {"answers": 1.0, f"at temperature {found:.2f}": found}
    bins = {
        name: calibration.reliability(logits[1::2], labels[1::2], temperature)
        for name, temperature in of.items()
    }
    before, after = (each.error for each in bins.values())
    caption = (
        f"Of every other example: expected calibration error {before:.3f}, and {after:.3f} with "
        f"logits divided by {found:.2f}, which the others chose. A point's area is of how many."
    )
    return {"Calibration": _reliability(bins, caption)}


def _reliability(bins: Mapping[str, calibration.Reliability], caption: str) -> draw.Picture:
    """Accuracy over confidence, a point a bin, of each name."""

    def paint(axes):
        even = dict(color=draw.INK, alpha=0.5, linewidth=0.8, linestyle="--")
        axes.plot((0, 1), (0, 1), **even, label="as sure as right", zorder=1)
        for (name, each), color in zip(bins.items(), draw.COLORS, strict=False):
            there = each.count > 0
            x, y, count = (array[there] for array in (each.confidence, each.accuracy, each.count))
            axes.plot(x, y, color=color, linewidth=0.7, alpha=0.5)
            axes.scatter(x, y, 6 + 200 * count / count.sum(), color=color, alpha=0.8, label=name)
        draw.finish(axes, "accuracy", "confidence", False)
        for handle in axes.legend(loc="upper left").legend_handles[1:]:
            handle.set_sizes([24])

    return draw.figure(5.2, 3.0, paint, caption=caption, margins=draw.AROUND_CHART)


def confusion(
    labels: np.ndarray, guess: np.ndarray, class_names: Sequence[str]
) -> dict[str, draw.Picture]:
    """The picture of how often each class was taken for which; none of more than 50 classes.

    Args:
      labels: (n,) the true classes.
      guess: (n,) the answers; those that have no name count as the last.
      class_names: by the numbers of the labels.
    """
    count = len(class_names)
    if count > _CLASSES:
        return {}
    counts = np.zeros((count, count), np.int64)
    np.add.at(counts, (labels, np.minimum(guess, count - 1)), 1)
    return {"Confusion matrix": draw.confusion(counts, class_names)}
