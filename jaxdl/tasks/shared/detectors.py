"""Kinds of detectors: what each learns, and how a run of it begins."""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxdl.data import Split, anchors
from jaxdl.data.absent import Absent
from jaxdl.errors import UserError
from jaxdl.losses import faster_rcnn, yolo
from jaxdl.losses.objects import Objects
from jaxdl.models.faster_rcnn import FasterRCNN
from jaxdl.models.yolov3 import Detector
from jaxdl.pretrained import backbones, catalog, transfer
from jaxdl.registry import choose
from jaxdl.tasks.shared import detecting
from jaxdl.tasks.shared.checks import check_counts, check_shares
from jaxdl.tasks.shared.contract import Run

# Examples whose boxes anchors are made of, at most.
_LOOKED_AT = 2000

# Settings of the task that are of one kind alone.
_OF_YOLO = ("box_loss", "ignore", "anchors_each")
_OF_FASTER_RCNN = ("proposal_weight", "anchors_learned", "regions_learned")

# (**how of the module's call) -> its outputs, and its collections after it.
Outputs = Callable[..., tuple[Any, Mapping[str, Any]]]


class Kind(NamedTuple):
    """A detector as it is learned.

    Attributes:
      start: its module, and what it begins with.
      losses: (outputs, the module's collections, objects, key) -> ({part: (batch,)}, collections
        after it).
      weights: of these parts.
      unused: settings of the task that it has no use of.
    """

    start: transfer.Start
    losses: Callable[[Outputs, Mapping[str, Any], Objects, jax.Array], tuple[dict, Mapping]]
    weights: Mapping[str, float]
    unused: tuple[str, ...]

    @property
    def module(self) -> nn.Module:
        """The detector."""
        return self.start.module


def create(run: Run, module: nn.Module, **settings: Any) -> Kind:
    """The kind that a module is of.

    Args:
      run: the run's config and data.
      module: of the config.
      **settings: of the task, by name.

    Raises:
      UserError: it finds no boxes, or the settings do not fit it.
    """
    if isinstance(module, Detector):
        return _yolo(run, module, **settings)
    if isinstance(module, FasterRCNN):
        return _faster_rcnn(run, module, **settings)
    raise UserError(
        f"model {run.config.model.name!r} finds no boxes: task 'detection' takes yolov3, "
        "yolov3_tiny or faster_rcnn"
    )


# YOLO


def _yolo(
    run: Run,
    module: Detector,
    *,
    box_loss: str,
    ignore: float,
    anchors_each: int,
    weights: Mapping[str, float],
    **_: Any,
) -> Kind:
    choose("box_loss", box_loss, yolo.BOX_LOSSES)
    check_shares(ignore=ignore)
    check_counts(anchors_each=anchors_each)
    if source := run.config.pretrained.source:
        raise UserError(
            f"config.pretrained.source={source}: model {run.config.model.name!r} has no backbone "
            "that begins with weights from elsewhere; model.name=faster_rcnn has"
        )
    start = transfer.fresh(module)
    if "anchors" not in run.config.model:
        # Until they are made, when the run begins.
        of_none = ((1.0, 1.0),) * (anchors_each * len(module.strides))
        module = module.copy(anchors=of_none)
        start = transfer.fresh(module)._replace(
            variables=functools.partial(_with_anchors, run.data.train, len(of_none))
        )
    parts = ("box", "objectness", "classes")
    losses = functools.partial(of_yolo, box_loss=box_loss, ignore=ignore)
    return Kind(start, losses, {name: weights[name] for name in parts}, _OF_FASTER_RCNN)


def of_yolo(
    outputs: Outputs,
    collections: Mapping[str, Any],
    objects: Objects,
    key: jax.Array,
    **how: Any,
) -> tuple[dict[str, jax.Array], Mapping[str, Any]]:
    """`jaxdl.losses.yolo.losses` of what a YOLO says; ``key`` draws nothing."""
    maps, new = outputs()
    return yolo.losses(maps, collections["constants"]["anchors"], objects, **how), new


def _with_anchors(split: Split, count: int, fresh: Mapping[str, Any]) -> Mapping[str, Any]:
    """Variables with anchors of ``split``'s boxes, unless there are none."""
    if isinstance(split, Absent):
        return fresh
    made = anchors.fit(detecting.sides(split, _LOOKED_AT), count)
    return {**fresh, "constants": {"anchors": jnp.asarray(made)}}


# Faster R-CNN


def _faster_rcnn(
    run: Run,
    module: FasterRCNN,
    *,
    anchors_learned: int,
    regions_learned: int,
    weights: Mapping[str, float],
    **_: Any,
) -> Kind:
    check_counts(anchors_learned=anchors_learned, regions_learned=regions_learned)
    if run.config.pretrained.source:
        # Images are standardised as a classifier's weights are used to; a detector does it itself.
        of_all = _is_published(run.config.pretrained.model)
        seen = {} if of_all else dict(mean=(), std=())
        start = backbones.create(run.config, run.data, module.copy(**seen))
    else:
        own = "mean" in run.config.model or "std" in run.config.model or run.data.mean is None
        of = lambda numbers: tuple(map(float, numbers))
        seen = {} if own else dict(mean=of(run.data.mean), std=of(run.data.std))
        start = transfer.fresh(module.copy(**seen))
    losses = functools.partial(
        of_faster_rcnn, anchors_learned=anchors_learned, regions_learned=regions_learned
    )
    return Kind(start, losses, weights, _OF_YOLO)


def _is_published(model: str) -> bool:
    """Whether a published model of this name, ours or a library's, is a Faster R-CNN."""
    return bool(model) and catalog.chosen(model).model == catalog.of(FasterRCNN()).model


def of_faster_rcnn(
    outputs: Outputs,
    collections: Mapping[str, Any],
    objects: Objects,
    key: jax.Array,
    *,
    anchors_learned: int,
    regions_learned: int,
) -> tuple[dict[str, jax.Array], Mapping[str, Any]]:
    """`jaxdl.losses.faster_rcnn.stage_losses` of what is said of some of the regions."""
    of_anchors, of_regions = jax.random.split(key)
    choose_some = functools.partial(faster_rcnn.choose, objects, of_regions, size=regions_learned)
    found, new = outputs(choose=choose_some)
    return faster_rcnn.stage_losses(found, objects, of_anchors, size=anchors_learned), new
