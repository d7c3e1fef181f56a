"""Networks that tell other things than one class of many."""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax

from jaxdl import keys, models
from jaxdl.data import without_padding
from jaxdl.data.preprocess import unit_range
from jaxdl.metrics import Mean, Metrics
from jaxdl.report.draw import Picture
from jaxdl.tasks import classification, learner
from jaxdl.tasks.shared import inputs, looking
from jaxdl.tasks.shared.contract import Run

LossOf = Callable[[jax.Array, Mapping], jax.Array]


class Network(NamedTuple):
    """A network of images or rows, and how it learns.

    Attributes:
      init: (key, batch) -> `jaxdl.tasks.learner.Learner`.
      update: (learner, batch, key) -> (learner, metrics).
      outputs_of: (learner, images or rows) -> (batch, outputs), by the averages.
      with_features: the same, and what the head read, or None.
      parameters: learner -> what the report tabulates.
      looked: (learner, split, told) -> `jaxdl.tasks.shared.looking.pictures`.
      check: as of the task.
    """

    init: Callable[[jax.Array, Mapping], learner.Learner]
    update: Callable[..., tuple[learner.Learner, Metrics]]
    outputs_of: Callable[[learner.Learner, jax.Array], jax.Array]
    with_features: Callable[[learner.Learner, jax.Array], tuple[jax.Array, jax.Array | None]]
    parameters: Callable[[learner.Learner], dict[str, jax.Array]]
    looked: Callable[..., dict[str, Picture]]
    check: Callable[[], None]


def network(
    run: Run, count: int, because: str, loss_of: LossOf, figures: Callable[..., Metrics]
) -> Network:
    """The network of a run.

    Args:
      run: the run's config and data.
      count: outputs.
      because: whence their number follows, for messages.
      loss_of: (outputs (batch, count), batch) -> (batch,).
      figures: (outputs, batch) -> further metrics of training.

    Raises:
      UserError: a model that cannot be built, or images that are to be mixed.
    """
    start = classification.start(run, count, because=because)
    module, standardise = start.module, start.standardise
    augmented = inputs.alone(run)
    forward = learner.forward(module)
    loss_fn = functools.partial(training_loss, forward, augmented, standardise, loss_of, figures)
    order = functools.cache(lambda: classification.call_order(module, standardise, run.data.train))
    begin, update = learner.by_config(
        run,
        loss_fn,
        frozen_loss_fn=functools.partial(loss_fn, train=False),
        layers=lambda: models.outermost(order()),
    )
    first = lambda fresh: begin(start.variables(fresh))
    return Network(
        functools.partial(classification.init, module, standardise, first),
        update,
        functools.partial(classification.logits, module, standardise),
        functools.partial(classification.with_features, module, standardise),
        lambda state: learner.parameters(state.params, order()),
        functools.partial(looking.pictures, module, standardise),
        start.check,
    )


def training_loss(
    forward: Callable[..., tuple[jax.Array, dict[str, Any]]],
    augmented: Callable[[jax.Array, Mapping], Mapping],
    standardise: Callable[[jax.Array], jax.Array],
    loss_of: LossOf,
    figures: Callable[[jax.Array, Mapping], Metrics],
    params: Any,
    model_state: Any,
    batch: Mapping,
    key: jax.Array,
    *,
    train: bool = True,
) -> learner.Loss:
    """The loss of augmented images, or of rows.

    Args:
      forward: of `jaxdl.tasks.learner.forward`.
      augmented: of `jaxdl.tasks.shared.inputs.alone`.
      standardise: images in [0, 1], or rows -> what the network takes.
      loss_of: (outputs (batch, outputs), batch) -> (batch,).
      figures: (outputs, batch) -> further metrics.
      params: the network's; so is model_state.
      model_state: its other collections.
      batch: ``image`` or ``features``, and what ``loss_of`` reads.
      key: of augmentation and dropout.
      train: False runs the network as at evaluation.
    """
    seen = augmented(keys.named(key, "augment"), {"image": unit_range(inputs.given(batch))})
    found, new_state = forward(params, model_state, key, standardise(seen["image"]), train=train)
    loss = Mean.of(loss_of(found, batch), without_padding(batch))
    return learner.Loss(loss, new_state, figures(found, batch))
