"""Whole graphs to classes."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from flax import linen as nn

from jaxdl import models, ops
from jaxdl.data import Data, tudataset
from jaxdl.errors import UserError
from jaxdl.models import heads
from jaxdl.report import graph_layout
from jaxdl.tasks import (
    Description,
    Run,
    Task,
    build_model,
    check_smoothing,
    classification,
    learner,
    need_batches,
    over_split,
    register,
    text_classification,
)
from jaxdl.tasks.shared import class_weights as class_weighing
from jaxdl.tasks.shared import classified, row_answers
from jaxdl.tasks.shared.splits import EachFn


@register("graph_classification", derives=("num_classes",), any_length=True)
def graph_classification(run: Run, label_smoothing: float = 0.0, class_weights: tuple = ()) -> Task:
    """A class for each graph of ``nodes`` (batch, places, d) and ``edges`` (batch, edges, 2).

    Args:
      run: the run's config and data, such as of data set "digits_strokes" or "tudataset"
        (`jaxdl.data.graph_examples.Graphs`). The model is called as `jaxdl.models.gin.GIN` is with
        a ``pool``.
      label_smoothing: share of the target that is spread over all classes, in [0, 1).
      class_weights: as of task "classification".

    The metrics are ``loss`` (nats a graph; at evaluation without smoothing and weights) and
    ``accuracy``. Features are standardised by the training part's nodes.
    """
    need_batches(run, "nodes")
    check_smoothing(label_smoothing)
    data, names = run.data, run.data.class_names
    module = _module(run)
    packed = functools.partial(inputs, data.mean, data.std, getattr(module, "self_loops", False))
    loss_fn = functools.partial(
        text_classification.training_loss,
        learner.forward(module),
        packed,
        label_smoothing,
        class_weighing.of_run(class_weights, run, len(names)),
    )
    start, update = learner.by_config(run, loss_fn)
    logits_of = functools.partial(text_classification.logits, module, packed)
    each = jax.jit(lambda state, batch, key: logits_of(state, batch))
    told = jax.jit(functools.partial(answers, module, packed))
    seen = functools.partial(_seen, packed, data.train)
    return Task(
        init=lambda key, batch: start(module.init(key, *packed(batch))),
        train_step=update,
        eval_step=functools.partial(text_classification.evaluate, logits_of),
        artifacts=functools.partial(_artifacts, each, names, run.config.eval.batch_size),
        parameters=lambda state: learner.parameters(
            state.params, models.call_order(module, *seen())
        ),
        answer=functools.partial(_answer, told, data, names),
    )


def inputs(
    mean: np.ndarray, std: np.ndarray, loops: bool, batch: Mapping
) -> tuple[jax.Array, ops.Edges, jax.Array]:
    """What a network takes of a batch: features, edges and sizes of `jaxdl.ops.pack_graphs`.

    Args:
      mean: (features,), which is subtracted.
      std: (features,), by which is divided.
      loops: the network has every node hear itself.
      batch: ``nodes``, ``edges``, ``size`` and, if edges have such, ``edge_features``.
    """
    standard = (batch["nodes"] - mean[None, None]) / std[None, None]
    more = batch.get("edge_features")
    return *ops.pack_graphs(standard, batch["edges"], loops, more), batch["size"]


def answers(
    module: nn.Module,
    packed: Callable[[Mapping], tuple],
    state: learner.Learner,
    batch: Mapping,
    key: jax.Array,
) -> dict[str, jax.Array]:
    """`classification.told` of a batch of graphs, by the averages; ``key`` draws nothing."""
    found = heads.with_features(module, state.best_variables, *packed(batch), train=False)
    return classification.told(*found)


def _module(run: Run) -> nn.Module:
    derived = {"num_classes": len(run.data.class_names)}
    module = build_model(run, derived, because="the classes of the data")
    if not getattr(module, "pool", ""):
        if hasattr(module, "pool"):
            raise UserError(
                "config.model.pool='' must be 'sum', 'mean', 'max' or 'attention': not nodes, but "
                "whole graphs are classified"
            )
        raise UserError(
            f"config.model.name={run.config.model.name!r} tells nothing of whole graphs: use "
            "'gin', 'graphsage' or 'gat'"
        )
    return module


def _seen(packed: Callable[[Mapping], tuple], train: Any) -> tuple:
    """The shapes of what the network takes of one graph."""
    return jax.eval_shape(packed, train.take(np.arange(1)))


def _answer(
    each: EachFn,
    data: Data,
    names: Sequence[str],
    state: learner.Learner,
    file: str,
    at_once: int,
) -> list[Description]:
    """The classes of the graphs in a folder of files as of data set "tudataset", without labels."""
    labels = lambda of: tuple(map(int, getattr(data.train, f"{of}_labels", "").split()))
    seen = data.train.take(np.arange(1)).get("edge_features")
    found = tudataset.read(file, labels("node"), seen is not None, labels("edge"))
    if (own := found.graphs[0][0].shape[1]) != (learned := len(data.mean)):
        raise UserError(f"{file}: {own} features a node, and {learned} where this was learned from")
    if seen is not None and (own := found.edge_features[0].shape[1]) != seen.shape[-1]:
        raise UserError(
            f"{file}: {own} features an edge, and {seen.shape[-1]} where this was learned from"
        )
    graphs = tudataset.examples_of(found)
    describe = functools.partial(classification.describe, names)
    return row_answers.one_by_one(describe, over_split(each, graphs, at_once, state))


def _artifacts(
    each: EachFn,
    names: Sequence[str],
    at_once: int,
    state: learner.Learner,
    split: Any,
    key: jax.Array,
) -> dict[str, Any]:
    found = np.asarray(over_split(each, split, at_once, state), np.float64)
    places = getattr(split, "positions", None)
    drawn = lambda chosen: _pictures(split.take(chosen), places)
    return classified.pictures(found, split.labels, names, drawn)


def _pictures(batch: Mapping, places: tuple[int, int] | None) -> np.ndarray:
    """(n, h, w, 1): each graph, with its nodes where two of their features say, if any do."""
    made = []
    for nodes, edges, size in zip(batch["nodes"], batch["edges"], batch["size"], strict=True):
        edges = edges[edges[:, 1] < len(nodes) - 1]
        at = graph_layout.positions(edges, size) if places is None else nodes[:size, places]
        made.append(graph_layout.small_picture(at, edges))
    return np.stack(made)
