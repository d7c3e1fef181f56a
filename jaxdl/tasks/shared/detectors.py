"""Kinds of detectors: what each learns, and how a run of it begins."""

import functools
from collections.abc import Callable, Mapping, Sequence
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
    own = "anchors" in run.config.model
    if not own:  # until they are made, when the run begins
        module = module.copy(anchors=((1.0, 1.0),) * (anchors_each * len(module.strides)))
    start = transfer.fresh(module)
    if run.config.pretrained.source:
        start = _begun(run, module, derived=("constants",) if own else ("constants", "anchors"))
    variables = functools.partial(
        _with_anchors, run.data.train, len(module.anchors), own, start.variables
    )
    start = start._replace(variables=variables)
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


def _begun(run: Run, module: Detector, derived: Sequence[str]) -> transfer.Start:
    """How a YOLO begins with the weights of a run, or of a file of Darknet's."""
    start = backbones.create(run.config, run.data, module, derived)
    if run.config.pretrained.model:
        return start
    return start._replace(standardise=lambda images: images)  # as a run of a YOLO sees them


def _with_anchors(
    split: Split,
    count: int,
    own: bool,
    variables: Callable[[Any], Any],
    fresh: Mapping[str, Any],
) -> Mapping[str, Any]:
    """Variables with anchors of ``split``'s boxes, unless the weights bring theirs.

    Args:
      split: the examples; none of a run that is used without its data.
      count: of anchors.
      own: whether they are set, and so what counts.
      variables: of the `Start`.
      fresh: that the module was made with.
    """
    constants = fresh["constants"]
    if not own and not isinstance(split, Absent):
        sides = detecting.sides(split, _LOOKED_AT)
        constants = {"anchors": jnp.asarray(anchors.fit(sides, count))}
    made = variables({**fresh, "constants": constants})
    return {**made, "constants": fresh["constants"]} if own else made


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
