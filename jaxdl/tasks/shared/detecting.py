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
from jaxdl.metrics import HIGH
from jaxdl.ops import boxes as box_ops
from jaxdl.report import boxes as report_boxes
from jaxdl.report.boxes import Boxes
from jaxdl.tasks.shared.contract import Batch, Description, Run, State
from jaxdl.tasks.shared.splits import EachFn, over_split

# Objects that a line tells.
_TOLD = 8

# Scenes in a report.
_SHOWN = 16

DIRECTIONS = {"map50": HIGH, "map": HIGH}


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
    """`Task.score` and `Task.artifacts` of a detector, by name.

    Args:
      detect: as `pairs` has it.
      names: of the classes.
      shown_score: of what pictures show, at least.
      batch_size: examples at a time.
    """
    each = pairs(detect)
    return dict(
        score=functools.partial(score, each, batch_size),
        artifacts=functools.partial(_artifacts, each, names, shown_score, batch_size),
    )


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
    overlap = np.asarray(box_ops.iou(found["boxes"], found["true_boxes"]))
    outcomes, shown, true = [], [], []
    for i in range(len(split)):
        sure = found["scores"][i] >= max(shown_score, 1e-9)
        there = found["true_present"][i].astype(bool)
        labels, wanted = found["classes"][i][sure], found["true_classes"][i][there]
        outcomes.append(outcome(overlap[i][sure][:, there], labels, wanted))
        words = [f"{names[c]} {s:.0%}" for c, s in zip(labels, found["scores"][i][sure], strict=True)]
        shown.append(Boxes(found["boxes"][i][sure], words))
        true.append(Boxes(found["true_boxes"][i][there], [names[c] for c in wanted]))
    wrong = np.array([o.wrong for o in outcomes])
    worst = np.argsort(-wrong, kind="stable")[:_SHOWN]
    pick = lambda rows: [rows[i] for i in worst]
    objects = sum(len(o.met) for o in outcomes)
    missed, false = (sum(int((~x).sum()) for x in xs) for xs in
                     zip(*((o.met, o.right) for o in outcomes), strict=True))  # fmt: skip
    caption = (
        f"True boxes are green, dashed; found with a score of {shown_score:g} or more, orange. Of "
        f"{objects} objects {missed} are missed, and {false} are found where there are none: of "
        "another class, or with an overlap below a half."
    )
    captions = [f"{wrong[i]} wrong" if wrong[i] else "all right" for i in worst]
    return {
        "Precision and recall": _curves(found, names),
        "Scenes, the most wrong first": report_boxes.scenes(
            split.take(worst)["image"], pick(true), pick(shown), captions, caption
        ),
    }


def score(each, batch_size, state, split, key):
    return {}


def _curves(found, names):
    return "later"
