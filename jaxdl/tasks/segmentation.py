"""Images to masks: a class for every pixel."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl import keys, losses, models
from jaxdl.data import without_padding
from jaxdl.data.augment import scene
from jaxdl.data.preprocess import of_channels, unit_range
from jaxdl.errors import UserError
from jaxdl.metrics import Mean, Metrics
from jaxdl.metrics import segmentation as figures
from jaxdl.per_member import any_on
from jaxdl.pretrained import backbones, transfer
from jaxdl.registry import choose
from jaxdl.tasks import Run, Task, build_model, check_at_least, learner, need_batches, register
from jaxdl.tasks.shared import judged_masks
from jaxdl.tasks.shared.pixelwise import Pixelwise

# What 0 of a mask is; class i of the data is 1 + i.
GROUND = "ground"

# Masks hold bytes.
_MOST = 256

# Masks that are looked at to see that they fit.
_LOOKED_AT = 64

LOSSES = {
    "cross_entropy": lambda gamma: losses.pixel_cross_entropy,
    "focal": lambda gamma: functools.partial(losses.pixel_focal, gamma=gamma),
    "dice": lambda gamma: losses.dice,
}

# (logits (batch, h, w, classes), mask (batch, h, w)) -> the loss of each example, and its weight.
LossOf = Callable[[jax.Array, jax.Array], tuple[jax.Array, jax.Array]]


@register("segmentation", groups=("model", "augment_scene", "pretrained"), derives=("num_classes",))
def segmentation(
    run: Run,
    loss: str = "cross_entropy",
    dice: float = 0.0,
    among: float = 0.0,
    gamma: float = 2.0,
    class_weights: tuple[float, ...] = (),
    ignored: int = -1,
    mirror: bool = True,
    test_shifts: int = 1,
) -> Task:
    """Supervised segmentation of ``image`` (batch, h, w, c) into ``mask`` (batch, h, w).

    Args:
      run: the run's config and data; 0 of a mask is the ground, 1 + i class i of the data.
      loss: "cross_entropy", "focal" or "dice" (`jaxdl.losses`), of a softmax over the classes.
      dice: weight of the Dice loss that is added to either of the first two.
      among: weight of the cross-entropy among the classes without the ground, of pixels that are
        not ground, which is added to either of the first two. What is rare is learned as soon as
        what is not, and unlike ``class_weights`` it takes no ground for a class: with the
        cross-entropy the true probabilities stay the best answer.
      gamma: of the focal loss.
      class_weights: of the pixels of each class, the ground's first, or the ground's alone beside
        1 of all others; () weighs all alike. Of the training's cross-entropy and focal loss alone.
      ignored: number in masks of what counts neither in the loss nor in a figure, such as 255; -1
        for none.
      mirror: images of a network that gives smaller masks are continued at their edges by mirroring
        (Ronneberger et al., 2015, figure 2), so that all their pixels are learned and judged;
        otherwise those in the middle are. Predictions are of all pixels in either case.
      test_shifts: shifts along each axis, by 0, 1, … pixels, whose probabilities are averaged where
        a run is evaluated, predicts or is exported: test-time augmentation, at the cost of
        ``test_shifts``² passes; 1 is none. Needs ``mirror``.

    The metrics are ``loss`` (what is minimised, at evaluation without class weights; cross-entropy
    is in nats a pixel),
    ``accuracy`` (of pixels), and those of `jaxdl.tasks.shared.judged_masks`, such as ``mean_iou``.

    Until ``optimizer.unfreeze`` the network runs as at evaluation, as in
    `jaxdl.tasks.classification`.
    """
    need_batches(run, "mask")
    names = (GROUND, *run.data.class_names)
    if len(class_weights) == 1:
        class_weights = (*class_weights, *(1.0,) * (len(names) - 1))
    _check(run, names, loss, dice, among, gamma, class_weights, ignored)
    module, weights, standardise, check = _start(run, len(names))
    check_at_least(1, test_shifts=test_shifts)
    if any_on(test_shifts - 1) and not mirror:
        raise UserError(
            f"config.task.test_shifts={test_shifts} tells of all pixels: it needs "
            "config.task.mirror=true"
        )
    sees = Pixelwise(module, standardise, mirror, test_shifts)
    _check_sides(run, sees)
    each = choose("loss", loss, LOSSES)(gamma)
    judge = functools.partial(example_loss, each, dice, among, ignored)
    loss_fn = functools.partial(
        training_loss,
        learner.forward(module),
        scene.create(run.config.augment_scene),
        sees,
        functools.partial(judge, tuple(class_weights)),
        ignored,
    )
    order = functools.cache(lambda: _call_order(sees, run.data.train))
    start, update = learner.by_config(
        run,
        loss_fn,
        frozen_loss_fn=functools.partial(loss_fn, train=False),
        layers=lambda: models.outermost(order()),
    )
    counted = jax.jit(functools.partial(confusion, sees, ignored))
    found = jax.jit(lambda state, batch, key: logits(sees, state, batch["image"]).argmax(-1))
    size = run.config.eval.batch_size
    return Task(
        init=functools.partial(_init, sees, lambda fresh: start(weights(fresh))),
        train_step=update,
        eval_step=functools.partial(evaluate, sees, functools.partial(judge, ()), ignored),
        score=functools.partial(judged_masks.score, counted, size),
        artifacts=functools.partial(
            judged_masks.artifacts, counted, found, sees.judged, names, size
        ),
        parameters=lambda state: learner.parameters(state.params, order()),
        predict=functools.partial(predict, sees._replace(whole=True)),
        whole=True,
        describe=functools.partial(judged_masks.describe, names),
        labels={"logits": names, "mask": names},
        directions=judged_masks.DIRECTIONS,
        check=check,
    )


def example_loss(
    loss_of: Callable[..., jax.Array],
    dice: float,
    among: float,
    ignored: int,
    class_weights: Sequence[float],
    found: jax.Array,
    mask: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    """The loss of each example, and its weight, the mean of its pixels': (batch,) both.

    So the weighted mean over examples is that over all pixels.

    Args:
      loss_of: of `jaxdl.losses`, (logits, mask, weights of pixels) -> (batch,).
      dice: weight of the Dice loss that is added, in which each class weighs the same.
      among: weight of the cross-entropy among all classes but 0, the mean over an example's pixels
        of these; 0 of an example without.
      ignored: class of ``mask`` that counts in nothing.
      class_weights: of the pixels of each class in ``loss_of``, and in the weight; () for ones.
      found: logits (batch, h, w, classes).
      mask: (batch, h, w) integers.
    """
    counts = _counts(mask, ignored)
    weights = counts
    if class_weights:
        of_classes = jnp.asarray(class_weights, jnp.float32)
        weights = counts * of_classes[jnp.where(counts > 0, mask, 0).astype(jnp.int32)]
    made = loss_of(found, mask, weights)
    if any_on(dice):
        made = made + dice * losses.dice(found, mask, counts)
    if any_on(among):
        label = mask.astype(jnp.int32) - 1
        of_class = jnp.where(label >= 0, counts, 0)
        made = made + among * losses.pixel_cross_entropy(found[..., 1:], label, of_class)
    return made, weights.mean(axis=(1, 2))


def training_loss(
    forward: Callable[..., tuple[jax.Array, dict[str, Any]]],
    augmented: Callable[[jax.Array, Mapping], Mapping],
    sees: Pixelwise,
    judge: LossOf,
    ignored: int,
    params: Any,
    model_state: Any,
    batch: Mapping,
    key: jax.Array,
    *,
    train: bool = True,
) -> learner.Loss:
    """The loss of augmented images.

    Args:
      forward: of `jaxdl.tasks.learner.forward`.
      augmented: of `jaxdl.data.augment.scene.create`.
      sees: the network, and how images meet it.
      judge: `example_loss` of logits and masks.
      ignored: as `example_loss`'s.
      params: the network's; so is model_state.
      model_state: its other collections.
      batch: ``image`` and ``mask``.
      key: of augmentation and dropout.
      train: False runs the network as at evaluation.
    """
    seen = {"image": unit_range(batch["image"]), "mask": batch["mask"]}
    seen = augmented(keys.named(key, "augment"), seen)
    images, mask = seen["image"], sees.judged(seen["mask"])
    made, new_state = forward(params, model_state, key, sees.seen(images), train=train)
    told = _told(judge, ignored, sees.told(made, images), mask, without_padding(batch))
    return learner.Loss(told.pop("loss"), new_state, told)


def _told(
    judge: LossOf, ignored: int, found: jax.Array, mask: jax.Array, real: jax.Array | None
) -> Metrics:
    """``loss`` and `hits`."""
    per_example, weights = judge(found, mask)
    loss = Mean.of(per_example, weights if real is None else weights * real)
    return {"loss": loss, **hits(found, mask, ignored, real)}


def hits(
    found: jax.Array, mask: jax.Array, ignored: int = -1, real: jax.Array | None = None
) -> Metrics:
    """``accuracy`` of logits (batch, h, w, classes), a pixel; ``real`` (batch,) weighs examples."""
    counts = _counts(mask, ignored)
    counts = counts if real is None else counts * real[:, None, None].astype(counts.dtype)
    return {"accuracy": Mean.of(found.argmax(-1) == mask.astype(jnp.int32), counts)}


def logits(sees: Pixelwise, state: learner.Learner, images: jax.Array) -> jax.Array:
    """(batch, h, w, classes) of images (batch, h, w, c), uint8 or in [0, 1], by the averages."""
    return sees.logits(state.best_variables, images)


def evaluate(
    sees: Pixelwise,
    judge: LossOf,
    ignored: int,
    state: learner.Learner,
    batch: Mapping,
    key: jax.Array,
) -> Metrics:
    """``loss`` and `hits` of a batch that may be padded; ``key`` draws nothing."""
    found, mask = logits(sees, state, batch["image"]), sees.judged(batch["mask"])
    return _told(judge, ignored, found, mask, without_padding(batch))


def confusion(
    sees: Pixelwise, ignored: int, state: learner.Learner, batch: Mapping, key: jax.Array
) -> jax.Array:
    """(batch, classes, classes) int32, of each example (`jaxdl.metrics.segmentation`)."""
    found = logits(sees, state, batch["image"])
    count = functools.partial(figures.confusion, classes=found.shape[-1], ignored=ignored)
    return jax.vmap(count)(sees.judged(batch["mask"]), found.argmax(-1))


def predict(sees: Pixelwise, state: learner.Learner, images: jax.Array) -> dict[str, jax.Array]:
    """`Task.predict`: ``logits`` (batch, h, w, classes), and ``mask`` (batch, h, w) uint8."""
    found = logits(sees, state, images)
    return {"logits": found, "mask": found.argmax(-1).astype(jnp.uint8)}


def _counts(mask: jax.Array, ignored: int) -> jax.Array:
    """1 of pixels that count, float32."""
    return (mask.astype(jnp.int32) != ignored).astype(jnp.float32)


def _start(run: Run, classes: int) -> transfer.Start:
    """The network with what it begins from."""
    module = build_model(
        run, {"num_classes": classes}, because="the classes of the data, and the ground"
    )
    if run.config.pretrained.source:
        return backbones.create(run.config, run.data, module)
    standardise = of_channels(run.data.mean, run.data.std)
    return transfer.fresh(module)._replace(standardise=standardise)


def _check(
    run: Run,
    names: Sequence[str],
    loss: str,
    dice: float,
    among: float,
    gamma: float,
    class_weights: Sequence[float],
    ignored: int,
) -> None:
    check_at_least(0, dice=dice, among=among, gamma=gamma)
    if not 2 <= len(names) <= _MOST:
        raise UserError(f"masks have from 2 to {_MOST} classes, the ground among them")
    if loss == "dice" and any_on(dice):
        raise UserError(f"config.task.dice={dice} is added to a loss that is another than Dice")
    if any_on(among) and (loss == "dice" or len(names) < 3):
        raise UserError(
            f"config.task.among={among} is added to a loss that is another than Dice, of two "
            "classes or more beside the ground"
        )
    numbers = all(isinstance(w, int | float) and 0 <= w < float("inf") for w in class_weights)
    if class_weights and (
        len(class_weights) != len(names) or not numbers or not any(class_weights)
    ):
        raise UserError(
            f"config.task.class_weights={tuple(class_weights)} must be {len(names)} numbers that "
            f"are at least 0 and not all 0, of {', '.join(names[:3])} …"
        )
    if class_weights and loss == "dice":
        raise UserError("config.task.class_weights: in the Dice loss each class weighs the same")
    if not -1 <= ignored < _MOST:
        raise UserError(f"config.task.ignored={ignored} must be from -1 to {_MOST - 1}")
    train = run.data.train
    mask = train.take(np.arange(min(len(train), _LOOKED_AT)))["mask"]
    if wrong := [int(i) for i in np.unique(mask) if i >= len(names) and i != ignored]:
        raise UserError(
            f"masks hold {wrong[0]}, and the classes go from 0 to {len(names) - 1}: name what is "
            "to be left out by config.task.ignored"
        )


def _check_sides(run: Run, sees: Pixelwise) -> None:
    """Raises UserError for images that the network takes none of, before anything is traced."""
    if not sees.whole:
        sees.judged(run.data.train.take(np.arange(1))["mask"])


def _init(
    sees: Pixelwise,
    start: Callable[[Mapping], learner.Learner],
    key: jax.Array,
    batch: Mapping,
) -> learner.Learner:
    return start(dict(sees.module.init(key, sees.seen(batch["image"][:1]), train=False)))


def _call_order(sees: Pixelwise, train: Any) -> dict[str, int]:
    image = train.take(np.arange(1))["image"]
    seen = jax.eval_shape(lambda: sees.seen(jnp.zeros(image.shape, jnp.float32)))
    return models.call_order(sees.module, seen)
