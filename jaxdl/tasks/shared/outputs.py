"""Networks that tell other things than one class of many: their loss, and answers on rows."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

from jaxdl import keys
from jaxdl.data import row_numbers, without_padding
from jaxdl.data.preprocess import unit_range
from jaxdl.data.split import Arrays
from jaxdl.metrics import Mean, Metrics
from jaxdl.tasks import learner
from jaxdl.tasks.shared.contract import Description
from jaxdl.tasks.shared.inputs import given
from jaxdl.tasks.shared.splits import EachFn, over_split


def training_loss(
    forward: Callable[..., tuple[jax.Array, dict[str, Any]]],
    augmented: Callable[[jax.Array, Mapping], Mapping],
    standardise: Callable[[jax.Array], jax.Array],
    loss_of: Callable[[jax.Array, Mapping], jax.Array],
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
    seen = augmented(keys.named(key, "augment"), {"image": unit_range(given(batch))})
    found, new_state = forward(params, model_state, key, standardise(seen["image"]), train=train)
    loss = Mean.of(loss_of(found, batch), without_padding(batch))
    return learner.Loss(loss, new_state, figures(found, batch))


def answer(
    each: EachFn,
    columns: list[str],
    describe: Callable[[Mapping[str, np.ndarray]], Description],
    state: Any,
    file: str,
    at_once: int,
) -> list[Description]:
    """`jaxdl.tasks.Task.answer` of rows of numbers.

    Args:
      each: (state, batch with ``features``, key) -> {name: (batch, …)}.
      columns: that the network knows.
      describe: as of the task.
      state: the task's.
      file: as of `jaxdl.data.row_numbers.asked`.
      at_once: rows that are computed together.
    """
    asked = Arrays({"features": row_numbers.asked(file, columns)})
    found = over_split(each, asked, at_once, state)
    return [describe({name: x[i] for name, x in found.items()}) for i in range(len(asked))]
