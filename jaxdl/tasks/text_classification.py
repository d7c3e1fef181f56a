"""Texts, or pairs of texts, to classes."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from flax import linen as nn

from jaxdl import losses, models
from jaxdl.data import Data, without_padding
from jaxdl.metrics import Mean
from jaxdl.tasks import (
    Description,
    Run,
    Task,
    check_smoothing,
    classification,
    learner,
    need_batches,
    over_split,
    register,
)
from jaxdl.tasks.shared import class_weights as class_weighing
from jaxdl.tasks.shared import classified, row_answers, text_encoder
from jaxdl.tasks.shared.splits import EachFn
from jaxdl.tasks.shared.texts import one_line

# Texts that the report shows.
_WORST = 24


@register(
    "text_classification",
    groups=("model", "pretrained"),
    derives=(*text_encoder.DERIVED, "num_classes"),
    any_length=True,
)
def text_classification(run: Run, label_smoothing: float = 0.0, class_weights: tuple = ()) -> Task:
    """A class for each text of ``tokens`` (batch, T), between special tokens, with ``mask``.

    Args:
      run: the run's config and data, such as of data set "labelled_texts". The model is called as
        `jaxdl.models.bert.BERT` is with output "classifier".
      label_smoothing: share of the target that is spread over all classes, in [0, 1).
      class_weights: as of task "classification".

    The metrics are ``loss`` (nats a text; at evaluation without smoothing and weights) and
    ``accuracy``.
    """
    need_batches(run, "mask")
    need_batches(run, "label")
    check_smoothing(label_smoothing)
    data, names = run.data, run.data.class_names
    begin = text_encoder.start(run, "classifier", num_classes=len(names))
    module = begin.module
    weights = class_weighing.of_run(class_weights, run, len(names))
    loss_fn = functools.partial(
        training_loss, learner.forward(module), inputs, label_smoothing, weights
    )
    start, update = learner.by_config(run, loss_fn)
    logits_of = functools.partial(logits, module, inputs)
    each = jax.jit(lambda state, batch, key: logits_of(state, batch))
    seen = jax.ShapeDtypeStruct((1, data.train.context), np.int32)
    return Task(
        init=lambda key, batch: start(begin.variables(module.init(key, batch["tokens"][:1]))),
        train_step=update,
        eval_step=functools.partial(evaluate, logits_of),
        artifacts=functools.partial(_artifacts, each, names, run.config.eval.batch_size),
        parameters=lambda state: learner.parameters(state.params, models.call_order(module, seen)),
        answer=functools.partial(_answer, each, data, names),
        embed=text_encoder.embed(module, data, 0),
        check=begin.check,
    )


def training_loss(
    forward: Callable[..., tuple[jax.Array, Any]],
    inputs_of: Callable[[Mapping], tuple],
    label_smoothing: float,
    weights: np.ndarray | None,
    params: Any,
    model_state: Any,
    batch: Mapping,
    key: jax.Array,
) -> learner.Loss:
    """Nats an example, and ``accuracy``, of a pass of training.

    Args:
      forward: of `jaxdl.tasks.learner.forward`.
      inputs_of: batch -> what the network takes of it; of texts `inputs`.
      label_smoothing: share of the target that is spread over all classes.
      weights: of the classes, (classes,), or None.
      params: the network's; so is model_state.
      model_state: its other collections.
      batch: with ``label`` (batch,).
      key: of dropout.
    """
    found, model_state = forward(params, model_state, key, *inputs_of(batch))
    nats = losses.cross_entropy(found, batch["label"], label_smoothing=label_smoothing)
    weight = class_weighing.of_labels(weights, batch["label"])
    loss = Mean.of(nats, without_padding(batch, weight))
    return learner.Loss(loss, model_state, classification.hits(found, batch))


def logits(
    module: nn.Module, inputs_of: Callable[[Mapping], tuple], state: learner.Learner, batch: Mapping
) -> jax.Array:
    """(batch, classes) by the averages."""
    return module.apply(state.best_variables, *inputs_of(batch), train=False)


def evaluate(
    logits_of: Callable[[learner.Learner, Mapping], jax.Array],
    state: learner.Learner,
    batch: Mapping,
    key: jax.Array,
) -> dict[str, Mean]:
    """``loss``, without smoothing, and ``accuracy`` of a batch that may be padded.

    ``key`` draws nothing.
    """
    found = logits_of(state, batch)
    nats = losses.cross_entropy(found, batch["label"], label_smoothing=0.0)
    loss = Mean.of(nats, without_padding(batch))
    return {"loss": loss, **classification.hits(found, batch)}


def inputs(batch: Mapping) -> tuple[jax.Array, jax.Array | None, jax.Array]:
    """What an encoder takes of a batch: tokens, segments (None of single texts) and mask."""
    return batch["tokens"], batch.get("segments"), batch["mask"]


def _answer(
    each: EachFn,
    data: Data,
    names: Sequence[str],
    state: learner.Learner,
    file: str,
    at_once: int,
) -> list[Description]:
    """The classes of a file's texts."""
    found = text_encoder.each_text(each, data, 0, state, file, at_once)
    describe = functools.partial(classification.describe, names)
    return row_answers.one_by_one(describe, {"shares": np.asarray(jax.nn.softmax(found))})


def _artifacts(
    each: EachFn,
    names: Sequence[str],
    at_once: int,
    state: learner.Learner,
    split: Any,
    key: jax.Array,
) -> dict[str, Any]:
    found = np.asarray(over_split(each, split, at_once, state), np.float64)
    shares = np.asarray(jax.nn.softmax(found))
    labels, said = split.labels, found.argmax(axis=1)
    pictures: dict[str, Any] = {
        **classified.confusion(labels, said, names),
        **classified.calibrated(found, labels),
    }
    wrong = np.flatnonzero(said != labels)
    worst = wrong[np.argsort(shares[wrong, labels[wrong]], kind="stable")][:_WORST]
    told = lambda i: f"{names[labels[i]]} → {names[said[i]]}  {shares[i, said[i]]:.0%}"
    shown = [f"{told(i)}  {one_line(split.examples[i])}" for i in worst]
    head = f"{len(wrong)} of {len(labels)} evaluation texts are wrong"
    what = "; true class → answer, and the share given to it:" if shown else "."
    pictures["Most wrong"] = "\n\n".join([head + what, *shown])
    return pictures
