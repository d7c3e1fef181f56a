"""What all detectors have in common: what is found is scored, shown and told."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from jaxdl.data import Arrays, Split
from jaxdl.data.preprocess import unit_range
from jaxdl.data.spread import evenly
from jaxdl.losses.objects import Objects
from jaxdl.metrics import detection, voc
from jaxdl.tasks.shared import judged_boxes
from jaxdl.tasks.shared.contract import Batch, Description, Detection, State
from jaxdl.tasks.shared.splits import EachFn

# Objects that a line tells.
_TOLD = 8

# What data say of objects; the last two are not always there.
_TRUE = ("boxes", "classes", "present", "crowd", "difficult")


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
        true = {f"true_{name}": batch[name] for name in _TRUE if name in batch}
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
    rows = zip(prediction["classes"], prediction["scores"], prediction["boxes"], strict=True)
    every = [Detection(int(c), names[c], float(s), b.tolist()) for c, s, b in rows if s > 0]
    found = [
        dict({"class": x.name}, score=round(x.score, 4), box=[round(edge, 2) for edge in x.box])
        for x in every
        if x.score >= least
    ]
    told = [f"{o['class']} {o['score']:.0%} at {' '.join(f'{x:.0f}' for x in o['box'])}" for o in
            found[:_TOLD]]  # fmt: skip
    more = f"  and {len(found) - _TOLD} more" if len(found) > _TOLD else ""
    text = "  ".join(told) + more if found else "nothing"
    return Description(text, {"objects": found}, detections=every)


def sides(split: Split, most: int) -> np.ndarray:
    """(n, 2) width and height, in pixels, of the boxes of up to ``most`` examples of a split."""
    if isinstance(split, Arrays):
        batch = split.arrays  # no image is to be copied
    else:
        batch = split.take(evenly(len(split), most))
    boxes = np.asarray(batch["boxes"])[np.asarray(batch["present"])]
    return boxes[:, 2:] - boxes[:, :2]


def directions(vocs: bool = False) -> dict[str, str]:
    """Which way the scores of `figures` are good."""
    return detection.DIRECTIONS | (voc.DIRECTIONS if vocs else {})


def figures(
    detect: Callable[[Any, jax.Array], dict[str, jax.Array]],
    names: Sequence[str],
    shown_score: float,
    batch_size: int,
    *,
    vocs: bool = False,
) -> dict[str, Any]:
    """`Task.score`, `Task.artifacts` and `Task.whole` of a detector, by name.

    What is scored has `directions`.

    Args:
      detect: as `pairs` has it.
      names: of the classes.
      shown_score: of what pictures show, at least.
      batch_size: examples at a time.
      vocs: whether Pascal VOC's figures are among the scores.
    """
    each = pairs(detect)
    return dict(
        score=functools.partial(judged_boxes.score, each, len(names), batch_size, vocs=vocs),
        artifacts=functools.partial(judged_boxes.artifacts, each, names, shown_score, batch_size),
        whole=True,
    )
