"""How boxes are judged, over a whole split: COCO's and VOC's figures, and what a report shows."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from jaxdl.data import Split
from jaxdl.metrics import detection, voc
from jaxdl.metrics.matching import Found, Truth, match
from jaxdl.report import boxes as report_boxes
from jaxdl.report import draw
from jaxdl.report.bars import by_class
from jaxdl.report.boxes import Boxes
from jaxdl.tasks.shared.contract import State
from jaxdl.tasks.shared.splits import EachFn, over_split

# Scenes in a report, and classes whose confusion or whose bars it has room for.
_SHOWN, _CLASSES = 16, 50

# Intersection over union from which on an object counts as found, where one is to be chosen.
_LEAST = 0.5


def in_rows(found: Mapping[str, np.ndarray]) -> tuple[Found, Truth]:
    """What was found, and what is there, of all images in one row, without padding.

    Args:
      found: ``boxes`` (images, n, 4), ``scores`` and ``classes`` (images, n), scores of 0 for
        none; ``true_boxes``, ``true_classes``, ``true_present`` (images, m …), and, where data have
        them, ``true_crowd`` and ``true_difficult``.
    """
    there = found["scores"] > 0
    present = found["true_present"].astype(bool)
    none = np.zeros_like(present)
    crowd, difficult = (
        np.asarray(found.get(f"true_{name}", none), bool) for name in ("crowd", "difficult")
    )
    known = present | crowd | difficult
    finds = Found(there.nonzero()[0], *(found[k][there] for k in ("boxes", "scores", "classes")))
    objects = (found[f"true_{k}"][known] for k in ("boxes", "classes"))
    return finds, Truth(known.nonzero()[0], *objects, crowd[known], difficult[known])


def as_annotated(found: Found, truth: Truth, split: Split) -> tuple[Found, Truth]:
    """In the pictures' own pixels, by the annotations as they stand, where the split has such.

    Args:
      found: in the images that the model sees.
      truth: there.
      split: whose; `jaxdl.data.annotated` has ``judged``, a `jaxdl.data.judged.Judged`.
    """
    judged = getattr(split, "judged", None)
    if judged is None:
        return found, truth
    one = judged.objects
    truth = Truth(one.image, one.boxes, one.classes, one.crowd, one.difficult, one.areas)
    return found._replace(boxes=judged.back(found.image, found.boxes)), truth


def score(
    each: EachFn,
    classes: int,
    at_once: int,
    state: State,
    split: Split,
    key: jax.Array,
    *,
    vocs: bool = False,
) -> dict[str, float]:
    """`Task.score` of a split with ``boxes``, ``classes`` and ``present``.

    ``crowd`` and ``difficult`` are neither to be found nor wrong where they are. Areas are those
    that annotations have, or of the boxes; of pictures that were fitted into squares, in their own
    pixels (`as_annotated`).

    Args:
      each: (state, batch, key) -> the arrays of `in_rows`, of each example.
      classes: how many there are.
      at_once: examples at a time.
      state: for ``each``.
      split: the examples.
      key: draws nothing.
      vocs: whether Pascal VOC's two figures are told too.

    Returns:
      `jaxdl.metrics.detection.summary` and `jaxdl.metrics.voc.summary`, without figures of sizes
      that no object has.
    """
    found, truth = as_annotated(*in_rows(over_split(each, split, at_once, state)), split)
    figures = detection.summary(detection.curves(found, truth, classes))
    if vocs:
        figures |= voc.summary(found, truth, classes)
    return {name: value for name, value in figures.items() if not np.isnan(value)}


def artifacts(
    each: EachFn,
    names: Sequence[str],
    shown_score: float,
    at_once: int,
    state: State,
    split: Split,
    key: jax.Array,
) -> dict[str, Any]:
    """`Task.artifacts`: precision over recall, figures a class, confusion, most wrong scenes.

    Args:
      each: as `score`'s.
      names: of the classes.
      shown_score: of what is shown in scenes and in the confusion, at least.
      at_once: as `score`'s; so are state, split and key.
      state: for ``each``.
      split: the examples.
      key: draws nothing.
    """
    found, truth = in_rows(over_split(each, split, at_once, state))
    curves = detection.curves(*as_annotated(found, truth, split), len(names))
    shown = found.of(np.asarray(found.scores) >= shown_score)
    pictures = {"Precision over recall": _curves(curves, names)}
    if len(names) <= _CLASSES:
        pictures["Average precision by class"] = by_class(
            "Average precision, overlaps of .5 to .95",
            detection.by_class(curves),
            names,
            f"COCO's, of the evaluation part; at an overlap of .5 they are "
            f"{_listed(detection.by_class(curves, 0), names)}.",
        )
        pictures["Confusion of objects"] = _confusion(shown, truth, names, shown_score)
    pictures["Scenes, the most wrong first"] = _scenes(shown, truth, names, shown_score, split)
    return pictures


def _listed(values: np.ndarray, names: Sequence[str]) -> str:
    known = [(n, v) for n, v in zip(names, values, strict=True) if not np.isnan(v)]
    return ", ".join(f"{name} {value:.3f}" for name, value in known)


def _curves(curves: detection.Curves, names: Sequence[str]) -> draw.Picture | str:
    """At an overlap of a half: a line for each class where they are few, or one for all."""
    each = curves.precision[0, :, :, 0, -1]  # (recalls, classes)
    lines = dict(zip(names, each.T, strict=True))
    if len(names) > len(draw.COLORS_OF_CLASSES):
        known = ~np.isnan(each).any(axis=0)
        lines = {"mean of all classes": each[:, known].mean(axis=1)} if known.any() else {}
    # From where on recall is not reached precision is 0.
    lines = {name: (detection.RECALLS[y > 0], y[y > 0]) for name, y in lines.items()}
    lines = {name: (x, y) for name, (x, y) in lines.items() if len(x)}
    if not lines:
        return "Nothing is found."
    picture = draw.curves("precision at an overlap of .5", lines, xlabel="recall")
    return picture._replace(caption="The highest precision at each recall or above.")


def _confusion(
    shown: Found, truth: Truth, names: Sequence[str], shown_score: float
) -> draw.Picture:
    matrix = detection.confusion(shown, truth, len(names), _LEAST)
    picture = draw.confusion(matrix, (*names, "ground"))
    return picture._replace(
        caption=f"Objects of each true class, a row, by what was found there with a score of "
        f"{shown_score:g} or more and an overlap of a half: in the last column what was missed, in "
        "the last row what was found where nothing is."
    )


def _scenes(
    shown: Found, truth: Truth, names: Sequence[str], shown_score: float, split: Split
) -> draw.Picture:
    met = match(shown, truth, (_LEAST,))
    meets = met.true[:, 0, 0] >= 0
    false, missed = np.ones(len(shown.scores), bool), truth.counts
    false[met.found[meets]] = False
    missed[met.true[meets, 0, 0]] = False
    count = lambda images: np.bincount(images, minlength=len(split))
    wrong = count(shown.image[false]) + count(truth.image[missed])
    worst = np.argsort(-wrong, kind="stable")[:_SHOWN]
    found_words = [f"{names[c]} {s:.0%}" for c, s in zip(shown.classes, shown.scores, strict=True)]
    true_words = [names[c] for c in truth.classes]
    of = lambda x, words, rows: Boxes(x.boxes[rows], [words[i] for i in np.flatnonzero(rows)])
    caption = (
        f"True boxes are green, dashed; found with a score of {shown_score:g} or more, orange. Of "
        f"{truth.counts.sum()} objects {missed.sum()} are missed, and {false.sum()} are found "
        "where there are none: of another class, with an overlap below a half, or twice."
    )
    return report_boxes.scenes(
        split.take(worst)["image"],
        [of(truth, true_words, (truth.image == i) & truth.counts) for i in worst],
        [of(shown, found_words, shown.image == i) for i in worst],
        [f"{wrong[i]} wrong" if wrong[i] else "all right" for i in worst],
        caption,
    )
