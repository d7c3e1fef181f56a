"""Objects in images: boxes, and of which class what is in them is."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl import keys, models
from jaxdl.data import Split, anchors, without_padding
from jaxdl.data.absent import Absent
from jaxdl.data.augment import scene
from jaxdl.data.preprocess import unit_range
from jaxdl.errors import UserError
from jaxdl.losses import yolo
from jaxdl.metrics import LOW, Mean, Metrics
from jaxdl.models.yolov3 import Detector
from jaxdl.registry import choose
from jaxdl.tasks import (
    Run,
    Task,
    build_model,
    check_at_least,
    check_counts,
    check_shares,
    learner,
    need_batches,
    register,
)
from jaxdl.tasks.shared import detecting

# Examples whose boxes anchors are made of, at most.
_LOOKED_AT = 2000


@register("detection", groups=("model", "augment_scene"), derives=("num_classes", "anchors"))
def detection(
    run: Run,
    box_loss: str = "squared",
    ignore: float = 0.5,
    box_weight: float = 1.0,
    objectness_weight: float = 1.0,
    class_weight: float = 1.0,
    anchors_each: int = 3,
    shown_score: float = 0.25,
) -> Task:
    """Learns ``boxes`` (batch, n, 4) and ``classes`` (batch, n) in ``image`` (batch, h, w, c).

    Args:
      run: the run's config and data, of whose ``boxes`` those count that are ``present`` (batch,
        n). The model is a YOLO. Where `config.model.anchors` is not set, k-means makes them of the
        training part's boxes (`jaxdl.data.anchors`); they are kept with the weights.
      box_loss: "squared", the paper's, or 1 minus "iou", "giou", "diou" or "ciou"
        (`jaxdl.losses.yolo`).
      ignore: overlap with an object above which a box that answers for none may say it does.
      box_weight: of the boxes' part of the loss.
      objectness_weight: of the part that tells objects from none.
      class_weight: of the part that tells classes.
      anchors_each: how many k-means makes for each scale of the model.
      shown_score: of what `--mode=predict` writes and the report shows, at least.

    The metrics are ``loss``, a sum over each image's places, its three parts, ``box``,
    ``objectness`` and ``classes``, and COCO's, such as ``map50`` (`jaxdl.metrics.detection`).
    """
    need_batches(run, "boxes")
    choose("box_loss", box_loss, yolo.BOX_LOSSES)
    check_shares(ignore=ignore, shown_score=shown_score)
    weights = {"box": box_weight, "objectness": objectness_weight, "classes": class_weight}
    check_at_least(0, box_weight=box_weight, objectness_weight=objectness_weight)
    check_at_least(0, class_weight=class_weight)
    check_counts(anchors_each=anchors_each)
    names = run.data.class_names
    module = build_model(run, {"num_classes": len(names)}, because="the classes of the data")
    if not isinstance(module, Detector):
        raise UserError(
            f"model {run.config.model.name!r} finds no boxes: task 'detection' takes yolov3 or "
            "yolov3_tiny"
        )
    fitted = None
    if "anchors" not in run.config.model:
        # Until they are made, when the run begins.
        fitted, of_none = run.data.train, ((1.0, 1.0),) * (anchors_each * len(module.strides))
        module = module.copy(anchors=of_none)
    losses_of = functools.partial(yolo.losses, box_loss=box_loss, ignore=ignore)
    loss_fn = functools.partial(
        training_loss,
        learner.forward(module),
        scene.create(run.config.augment_scene),
        losses_of,
        weights,
    )
    start, update = learner.by_config(run, loss_fn)
    images = run.data.train.take(np.arange(1))["image"]
    seen = jax.ShapeDtypeStruct(images.shape, jnp.float32)
    order = functools.cache(lambda: models.call_order(module, seen))
    detect = functools.partial(module.apply, train=False)
    return Task(
        init=functools.partial(_init, module, start, fitted),
        train_step=update,
        eval_step=functools.partial(evaluate, module, losses_of, weights),
        parameters=lambda state: learner.parameters(state.params, order()),
        predict=functools.partial(detecting.predict, detect),
        describe=functools.partial(detecting.describe, names, shown_score),
        directions={**dict.fromkeys(weights, LOW), **detecting.DIRECTIONS},
        **detecting.figures(detect, names, shown_score, run.config.eval.batch_size),
    )


def training_loss(
    forward: Callable[..., tuple[Any, dict[str, Any]]],
    augmented: Callable[[jax.Array, Mapping], Mapping],
    losses_of: Callable[..., dict[str, jax.Array]],
    weights: Mapping[str, float],
    params: Any,
    model_state: Any,
    batch: Mapping,
    key: jax.Array,
) -> learner.Loss:
    """The weighted sum of an image's losses, and each of them.

    Args:
      forward: of `jaxdl.tasks.learner.forward`.
      augmented: of `jaxdl.data.augment.scene.create`.
      losses_of: (maps, anchors, objects) -> {part: (batch,)}.
      weights: of these parts.
      params: the network's; so is model_state, with its "constants".
      model_state: its other collections.
      batch: ``image``, ``boxes``, ``classes`` and ``present``.
      key: of augmentation.
    """
    seen = {**batch, "image": unit_range(batch["image"])}
    seen = augmented(keys.named(key, "augment"), seen)
    maps, new_state = forward(params, model_state, key, seen["image"])
    found = losses_of(maps, model_state["constants"]["anchors"], detecting.objects(seen))
    made = _metrics(found, weights, without_padding(batch))
    return learner.Loss(made.pop("loss"), new_state, made)


def evaluate(
    module: Detector,
    losses_of: Callable[..., dict[str, jax.Array]],
    weights: Mapping[str, float],
    state: learner.Learner,
    batch: Mapping,
    key: jax.Array,
) -> Metrics:
    """The losses of a batch that may be padded, by the averages; ``key`` draws nothing."""
    variables = state.best_variables
    maps = module.apply(variables, unit_range(batch["image"]), train=False, raw=True)
    found = losses_of(maps, variables["constants"]["anchors"], detecting.objects(batch))
    return _metrics(found, weights, without_padding(batch))


def _metrics(
    found: Mapping[str, jax.Array], weights: Mapping[str, float], real: jax.Array | None
) -> dict[str, Mean]:
    total = sum(weights[name] * x for name, x in found.items())
    return {name: Mean.of(x, real) for name, x in {"loss": total, **found}.items()}


def _init(
    module: Detector,
    start: Callable[[Mapping], learner.Learner],
    split: Split | None,
    key: jax.Array,
    batch: Mapping,
) -> learner.Learner:
    """The learner at its start, with anchors of ``split``'s boxes, unless there are none."""
    variables = dict(module.init(key, unit_range(batch["image"][:1])))
    if split is not None and not isinstance(split, Absent):
        sides = detecting.sides(split, _LOOKED_AT)
        made = anchors.fit(sides, len(module.anchors))
        variables["constants"] = {"anchors": jnp.asarray(made)}
    return start(variables)
