"""Images to masks: a class for every pixel."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl import keys, losses, models
from jaxdl.data import Arrays, augment, without_padding
from jaxdl.data.preprocess import of_channels, unit_range
from jaxdl.errors import UserError
from jaxdl.metrics import Mean, Metrics
from jaxdl.metrics import segmentation as figures
from jaxdl.per_member import any_on
from jaxdl.pretrained import backbones, transfer
from jaxdl.registry import choose
from jaxdl.report import draw, masks
from jaxdl.tasks import (
    Description,
    Run,
    Task,
    build_model,
    check_at_least,
    learner,
    need_batches,
    over_split,
    register,
)
from jaxdl.tasks.shared.mirrored import Mirrored

# What 0 of a mask is; class i of the data is 1 + i.
GROUND = "ground"

# Of the report; masks that are looked at to see that they fit.
_SHOWN, _LOOKED_AT = 12, 64


LOSSES = {
    "cross_entropy": lambda gamma: losses.pixel_cross_entropy,
    "focal": lambda gamma: functools.partial(losses.pixel_focal, gamma=gamma),
    "dice": lambda gamma: losses.dice,
}


@register("segmentation", groups=("model", "augment", "pretrained"), derives=("num_classes",))
def segmentation(
    run: Run,
    loss: str = "cross_entropy",
    dice: float = 0.0,
    gamma: float = 2.0,
    class_weights: tuple[float, ...] = (),
    ignored: int = -1,
    mirror: bool = True,
) -> Task:
    """Supervised segmentation of ``image`` (batch, h, w, c) into ``mask`` (batch, h, w).

    Args:
      run: the run's config and data; 0 of a mask is the ground, 1 + i class i of the data.
      loss: "cross_entropy", "focal" or "dice" (`jaxdl.losses`), of a softmax over the classes.
      dice: weight of the Dice loss that is added to either of the first two.
      gamma: of the focal loss.
      class_weights: of the pixels of each class, the ground's first; () weighs all alike. Of the
        loss alone.
      ignored: number in masks of what counts neither in the loss nor in a figure, such as 255; -1
        for none.
      mirror: images of a network that gives smaller masks are continued at their edges by mirroring
        (Ronneberger et al., 2015, figure 2), so that all their pixels are learned and judged;
        otherwise those in the middle, for which the network has whole surroundings.

    The metrics are ``loss`` (nats a pixel; at evaluation without class weights), ``accuracy`` (of
    pixels), and, of the whole evaluation part, ``mean_iou``, ``mean_dice`` and ``mean_accuracy``
    over the classes; of two classes also ``foreground_iou`` and ``foreground_dice``.

    Until ``optimizer.unfreeze`` the network runs as at evaluation, as in
    `jaxdl.tasks.classification`.
    """
    names = _class_names(run)
    _check(run, names, dice, gamma, loss, class_weights, ignored)
    module, weights, standardise, check = _start(run, len(names))
    sees = Mirrored(module, mirror)
    loss_of = functools.partial(
        example_loss, choose("loss", loss, LOSSES)(gamma), dice, class_weights, ignored
    )
    loss_fn = functools.partial(
        training_loss,
        learner.forward(module),
        augment.create(run.config.augment),
        standardise,
        sees,
        loss_of,
        ignored,
    )
    order = functools.cache(lambda: _call_order(module, standardise, sees, run.data.train))
    start, update = learner.by_config(
        run,
        loss_fn,
        frozen_loss_fn=functools.partial(loss_fn, train=False),
        layers=lambda: [name for name in order() if name and "/" not in name],
    )
    logits_of = functools.partial(logits, module, standardise, sees)
    counted = jax.jit(functools.partial(confusion, logits_of, sees, ignored))
    found = jax.jit(functools.partial(_whole_masks, module, standardise))
    size = run.config.eval.batch_size
    return Task(
        init=functools.partial(_init, module, standardise, sees, lambda x: start(weights(x))),
        train_step=update,
        eval_step=functools.partial(
            evaluate,
            logits_of,
            sees,
            functools.partial(
                example_loss, choose("loss", loss, LOSSES)(gamma), dice, (), ignored
            ),
            ignored,
        ),
        score=functools.partial(_score, counted, size),
        artifacts=functools.partial(_artifacts, counted, found, names, ignored, size),
        parameters=lambda state: learner.parameters(state.params, order()),
        predict=functools.partial(predict, module, standardise),
        describe=functools.partial(describe, names),
        labels={"logits": names},
        directions=figures.DIRECTIONS | dict.fromkeys(FOREGROUND, "high"),
        check=check,
    )
