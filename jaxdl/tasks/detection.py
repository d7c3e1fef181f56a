"""Objects in images: boxes, and of which class what is in them is."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl import keys, models
from jaxdl.data import without_padding
from jaxdl.data.augment import scene
from jaxdl.data.preprocess import unit_range
from jaxdl.errors import UserError
from jaxdl.metrics import LOW, Mean, Metrics
from jaxdl.tasks import (
    Run,
    Task,
    build_model,
    check_at_least,
    check_shares,
    learner,
    need_batches,
    register,
    settings,
)
from jaxdl.tasks.shared import detecting, detectors
from jaxdl.tasks.shared.detectors import Kind


@register(
    "detection",
    groups=("model", "augment_scene", "pretrained"),
    derives=("num_classes", "anchors", "mean", "std"),
    asks=("shown_score",),
)
def detection(
    run: Run,
    box_loss: str = "squared",
    ignore: float = 0.5,
    anchors_each: int = 3,
    anchors_learned: int = 256,
    regions_learned: int = 512,
    box_weight: float = 1.0,
    objectness_weight: float = 1.0,
    class_weight: float = 1.0,
    proposal_weight: float = 1.0,
    shown_score: float = 0.25,
    voc_figures: bool = False,
) -> Task:
    """Learns ``boxes`` (batch, n, 4) and ``classes`` (batch, n) in ``image`` (batch, h, w, c).

    Args:
      run: the run's config and data, of whose ``boxes`` those count that are ``present`` (batch,
        n). The model is a YOLO or a Faster R-CNN. Where `config.model.anchors` of a YOLO is not
        set, k-means makes them of the training part's boxes (`jaxdl.data.anchors`); they are kept
        with the weights. Where `config.model.mean` and std of a Faster R-CNN are not, they are the
        data's, or those of the weights that its backbone begins with.
      box_loss: of YOLO: "squared", the paper's, or 1 minus "iou", "giou", "diou" or "ciou"
        (`jaxdl.losses.yolo`).
      ignore: of YOLO: overlap with an object above which a box that answers for none may say it
        does.
      anchors_each: of YOLO: how many k-means makes for each scale of the model.
      anchors_learned: of Faster R-CNN: how many of an image's are drawn in an update.
      regions_learned: of Faster R-CNN: how many of an image's are drawn in an update.
      box_weight: of the boxes' part of the loss.
      objectness_weight: of the part that tells objects from none.
      class_weight: of the part that tells classes.
      proposal_weight: of Faster R-CNN: of the part of the boxes that are proposed.
      shown_score: of what `--mode=predict` writes and the report shows, at least.
      voc_figures: whether Pascal VOC's two figures are told beside COCO's, as of data of VOC's form
        they always are.

    The metrics are ``loss`` and its parts, ``box``, ``objectness`` and ``classes``, of Faster R-CNN
    also ``proposals``: of YOLO sums over each image's places (`jaxdl.losses.yolo`), of Faster R-CNN
    means over what is drawn (`jaxdl.losses.faster_rcnn`); and COCO's, such as ``map50``
    (`jaxdl.metrics.detection`), with ``voc2007_map`` and ``voc2010_map`` (`jaxdl.metrics.voc`). The
    files' own annotations are what boxes of COCO's, YOLO's and VOC's forms are judged by.

    A run may begin with weights from elsewhere, `config.pretrained` (`jaxdl.pretrained.backbones`):
    a Faster R-CNN with its backbone's, or all of it; a YOLO with all of it, of which a file of
    Darknet's may have the backbone alone. Heads for other classes are new, and with them anchors
    that are not set. Until ``optimizer.unfreeze`` the network runs as at evaluation, as in
    `jaxdl.tasks.classification`, and what `config.optimizer.head` names learns alone.
    """
    need_batches(run, "boxes")
    check_shares(shown_score=shown_score)
    weights = {"box": box_weight, "objectness": objectness_weight, "classes": class_weight}
    weights["proposals"] = proposal_weight
    check_at_least(0, box_weight=box_weight, objectness_weight=objectness_weight)
    check_at_least(0, class_weight=class_weight, proposal_weight=proposal_weight)
    names = run.data.class_names
    module = build_model(run, {"num_classes": len(names)}, because="the classes of the data")
    kind = detectors.create(
        run,
        module,
        weights=weights,
        box_loss=box_loss,
        ignore=ignore,
        anchors_each=anchors_each,
        anchors_learned=anchors_learned,
        regions_learned=regions_learned,
    )
    _check_used(run, kind.unused)
    augmented = scene.create(run.config.augment_scene)
    loss_fn = functools.partial(training_loss, learner.forward(kind.module), augmented, kind)
    image = run.data.train.take(np.arange(1))["image"]
    order = functools.cache(lambda: _call_order(kind, image.shape))
    start, update = learner.by_config(
        run,
        loss_fn,
        frozen_loss_fn=functools.partial(loss_fn, train=False),
        layers=lambda: models.outermost(order()),
    )
    detect = functools.partial(found_in, kind)
    vocs = voc_figures or run.config.data.name == "voc"
    return Task(
        init=functools.partial(_init, kind, start),
        train_step=update,
        eval_step=functools.partial(evaluate, kind),
        parameters=lambda state: learner.parameters(state.params, order()),
        predict=functools.partial(detecting.predict, detect),
        describe=functools.partial(detecting.describe, names, shown_score),
        labels={"classes": names},
        directions={**dict.fromkeys(kind.weights, LOW), **detecting.directions(vocs)},
        check=kind.start.check,
        **detecting.figures(detect, names, shown_score, run.config.eval.batch_size, vocs=vocs),
    )


def training_loss(
    forward: Callable[..., tuple[Any, dict[str, Any]]],
    augmented: Callable[[jax.Array, Mapping], Mapping],
    kind: Kind,
    params: Any,
    model_state: Any,
    batch: Mapping,
    key: jax.Array,
    *,
    train: bool = True,
) -> learner.Loss:
    """The weighted sum of an image's losses, and each of them.

    Args:
      forward: of `jaxdl.tasks.learner.forward`.
      augmented: of `jaxdl.data.augment.scene.create`.
      kind: what is learned.
      params: the network's; so is model_state.
      model_state: its other collections.
      batch: ``image``, ``boxes``, ``classes`` and ``present``.
      key: of augmentation, dropout, and of what is learned from.
      train: False runs the network as at evaluation.
    """
    seen = {**batch, "image": unit_range(batch["image"])}
    seen = augmented(keys.named(key, "augment"), seen)
    outputs = functools.partial(
        forward, params, model_state, key, kind.start.standardise(seen["image"]),
        train=train, raw=True,
    )  # fmt: skip
    objects = detecting.objects(seen)
    found, new_state = kind.losses(outputs, model_state, objects, keys.named(key, "sample"))
    made = _metrics(found, kind.weights, without_padding(batch))
    return learner.Loss(made.pop("loss"), new_state, made)


def found_in(kind: Kind, variables: Any, images: jax.Array) -> dict[str, jax.Array]:
    """``boxes``, ``scores`` and ``classes`` of images (batch, h, w, c) in [0, 1]."""
    return kind.module.apply(variables, kind.start.standardise(images), train=False)


def evaluate(kind: Kind, state: learner.Learner, batch: Mapping, key: jax.Array) -> Metrics:
    """The losses of a batch that may be padded, by the averages; ``key`` as in training."""
    variables, images = state.best_variables, kind.start.standardise(unit_range(batch["image"]))
    outputs = lambda **how: (
        kind.module.apply(variables, images, train=False, raw=True, **how),
        variables,
    )
    objects = detecting.objects(batch)
    found, _ = kind.losses(outputs, variables, objects, keys.named(key, "sample"))
    return _metrics(found, kind.weights, without_padding(batch))


def _check_used(run: Run, unused: Sequence[str]) -> None:
    """Raises UserError for a setting of the other kind of detectors."""
    usual = settings("detection")
    for name in unused:
        if run.config.task.get(name, usual[name]) != usual[name]:
            raise UserError(
                f"config.task.{name}={run.config.task[name]!r}: model {run.config.model.name!r} "
                "has no use of it"
            )


def _metrics(
    found: Mapping[str, jax.Array], weights: Mapping[str, float], real: jax.Array | None
) -> dict[str, Mean]:
    total = sum(weights[name] * x for name, x in found.items())
    return {name: Mean.of(x, real) for name, x in {"loss": total, **found}.items()}


def _init(
    kind: Kind, start: Callable[[Mapping], learner.Learner], key: jax.Array, batch: Mapping
) -> learner.Learner:
    seen = kind.start.standardise(unit_range(batch["image"][:1]))
    return start(dict(kind.start.variables(dict(kind.module.init(key, seen)))))


def _call_order(kind: Kind, shape: tuple[int, ...]) -> dict[str, int]:
    seen = jax.eval_shape(lambda: kind.start.standardise(jnp.zeros(shape, jnp.float32)))
    return models.call_order(kind.module, seen)
