"""What all detectors have in common: what is found is scored, shown and told."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxdl.data import Arrays, Split
from jaxdl.data.preprocess import unit_range
from jaxdl.data.spread import evenly
from jaxdl.losses.objects import Objects
from jaxdl.ops import boxes as box_ops
from jaxdl.report import boxes as report_boxes
from jaxdl.report import draw
from jaxdl.report.boxes import Boxes
from jaxdl.tasks.shared.contract import Batch, Description, State
from jaxdl.tasks.shared.splits import EachFn, over_split

# Objects that a line tells.
_TOLD = 8

# Scenes in a report.
_SHOWN = 16


def objects(batch: Batch) -> Objects:
    """What is in the images of a batch."""
    return Objects(batch["boxes"], batch["classes"], batch["present"])


def pairs(detect: Callable[[Any, jax.Array], dict[str, jax.Array]]) -> EachFn:
    """What a detector finds in a batch, beside what is there; compiled.

    Args:
      detect: (variables, images in [0, 1]) -> ``boxes``, ``scores`` and ``classes``.
    """

    def each(state: State, batch: Batch, key: jax.Array) -> dict[str, jax.Array]:
        found = detect(state.best_variables, unit_range(batch["image"]))
        true = {f"true_{k}": v for k, v in objects(batch)._asdict().items()}
        return {**found, **true}

    return jax.jit(each)


def predict(
    detect: Callable[[Any, jax.Array], dict[str, jax.Array]], state: State, images: jax.Array
) -> dict[str, jax.Array]:
    """`Task.predict`: ``boxes`` (batch, n, 4) in pixels, ``scores`` and ``classes`` (batch, n)."""
    return detect(state.best_variables, unit_range(images))


def describe(
    names: Sequence[str], least: float, prediction: Mapping[str, np.ndarray]
) -> Description:
    """What was found in an image, the surest first, of scores of at least ``least``."""
    rows = zip(prediction["boxes"], prediction["scores"], prediction["classes"], strict=True)
    found = [
        dict(
            {"class": names[label]},
            score=round(float(score), 4),
            box=[round(float(x), 2) for x in box],
        )
        for box, score, label in rows
        if score >= least and score > 0
    ]
    told = [f"{o['class']} {o['score']:.0%} at {' '.join(f'{x:.0f}' for x in o['box'])}" for o in
            found[:_TOLD]]  # fmt: skip
    more = f"  and {len(found) - _TOLD} more" if len(found) > _TOLD else ""
    return Description("  ".join(told) + more if found else "nothing", {"objects": found})


def sides(split: Split, most: int) -> np.ndarray:
    """(n, 2) width and height, in pixels, of the boxes of up to ``most`` examples of a split."""
    if isinstance(split, Arrays):
        batch = split.arrays  # no image is to be copied
    else:
        batch = split.take(evenly(len(split), most))
    boxes = np.asarray(batch["boxes"])[np.asarray(batch["present"])]
    return boxes[:, 2:] - boxes[:, :2]


def figures(
    detect: Callable[[Any, jax.Array], dict[str, jax.Array]],
    names: Sequence[str],
    shown_score: float,
    batch_size: int,
) -> dict[str, Callable]:
    """`Task.artifacts` of a detector, by name.

    Args:
      detect: as `pairs` has it.
      names: of the classes.
      shown_score: of what pictures show, at least.
      batch_size: examples at a time.
    """
    each = pairs(detect)
    return dict(artifacts=functools.partial(_artifacts, each, names, shown_score, batch_size))


class Outcome(NamedTuple):
    """What came of the objects of an image, of what was found with some score or more.

    Attributes:
      right: (found,) bool: it has an object's class, and its box overlaps that by half or more.
      met: (objects,) bool: it was found so.
    """

    right: np.ndarray
    met: np.ndarray

    @property
    def wrong(self) -> int:
        """Objects that were missed, and found where there are none."""
        return int((~self.right).sum() + (~self.met).sum())


def outcome(
    overlap: np.ndarray, classes: np.ndarray, true_classes: np.ndarray, least: float = 0.5
) -> Outcome:
    """Each of what was found, the surest first, meets the object that it overlaps most.

    Args:
      overlap: (found, objects), intersection over union.
      classes: (found,).
      true_classes: (objects,).
      least: overlap that counts.
    """
    right, met = np.zeros(len(classes), bool), np.zeros(len(true_classes), bool)
    for i, label in enumerate(classes):
        free = np.where(met | (true_classes != label), -1.0, overlap[i])
        if free.size and free.max() >= least:
            right[i] = met[free.argmax()] = True
    return Outcome(right, met)


def _artifacts(
    each: EachFn,
    names: Sequence[str],
    shown_score: float,
    batch_size: int,
    state: State,
    split: Split,
    key: jax.Array,
) -> dict[str, Any]:
    found = over_split(each, split, batch_size, state)
    overlap = np.asarray(box_ops.pairwise(box_ops.iou, found["boxes"], found["true_boxes"]))
    every, sure, shown, true = [], [], [], []
    for i, there in enumerate(found["true_present"].astype(bool)):
        scores, labels = found["scores"][i], found["classes"][i]
        wanted, count = found["true_classes"][i][there], int((scores > 0).sum())
        cut = int((scores[:count] >= shown_score).sum())
        of_first = lambda n, i=i, there=there, labels=labels, wanted=wanted: outcome(
            overlap[i][:n][:, there], labels[:n], wanted
        )
        every.append(of_first(count))
        sure.append(of_first(cut))
        words = [f"{names[c]} {s:.0%}" for c, s in zip(labels[:cut], scores, strict=False)]
        shown.append(Boxes(found["boxes"][i][:cut], words))
        true.append(Boxes(found["true_boxes"][i][there], [names[c] for c in wanted]))
    wrong = np.array([o.wrong for o in sure])
    worst = np.argsort(-wrong, kind="stable")[:_SHOWN]
    missed, false = sum(int((~o.met).sum()) for o in sure), sum(int((~o.right).sum()) for o in sure)
    caption = (
        f"True boxes are green, dashed; found with a score of {shown_score:g} or more, orange. Of "
        f"{sum(len(o.met) for o in sure)} objects {missed} are missed, and {false} are found where "
        "there are none: of another class, with an overlap below a half, or twice."
    )
    pick = lambda rows: [rows[i] for i in worst]
    images = split.take(worst)["image"]
    captions = [f"{wrong[i]} wrong" if wrong[i] else "all right" for i in worst]
    return {
        "Precision over recall": _curves(found, every, names),
        "Scenes, the most wrong first": report_boxes.scenes(
            images, pick(true), pick(shown), captions, caption
        ),
    }


def _curves(
    found: Mapping[str, np.ndarray], every: Sequence[Outcome], names: Sequence[str]
) -> draw.Picture | str:
    """At an overlap of a half: a line for each class where they are few, or one for all."""
    there = found["true_present"].astype(bool)
    scores = np.concatenate([row[: len(o.right)] for row, o in zip(found["scores"], every,
                             strict=True)])  # fmt: skip
    labels = np.concatenate([row[: len(o.right)] for row, o in zip(found["classes"], every,
                             strict=True)])  # fmt: skip
    right, wanted = np.concatenate([o.right for o in every]), found["true_classes"][there]
    few = len(names) <= len(draw.COLORS_OF_CLASSES)
    groups = {name: i for i, name in enumerate(names)} if few else {"all classes": None}
    lines = {}
    for name, i in groups.items():
        own = np.ones(len(labels), bool) if i is None else labels == i
        total = wanted.size if i is None else int((wanted == i).sum())
        if total and own.any():
            hits = right[own][np.argsort(-scores[own], kind="stable")].cumsum()
            lines[name] = hits / total, hits / np.arange(1, len(hits) + 1)
    if not lines:
        return "Nothing is found."
    return draw.curves("precision at an overlap of .5", lines, xlabel="recall")
