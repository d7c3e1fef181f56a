"""Links of a graph of any size that are held out, from neighbourhoods that are drawn."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

from jaxdl.data.neighbours import Sizes
from jaxdl.data.sampled_links import LinkedGraph, Links
from jaxdl.errors import UserError
from jaxdl.tasks import Run, Task, build_model, check_counts, learner, register
from jaxdl.tasks.sampled_node_classification import check_model, hops, init
from jaxdl.tasks.shared import layer_wise, links
from jaxdl.tasks.shared.kept import kept


@register("sampled_link_prediction", derives=("num_classes",))
def sampled_link_prediction(run: Run, dimensions: int = 16, edges_at_once: int = 131072) -> Task:
    """Finds edges of a large graph that are held out (`jaxdl.data.sampled_links`).

    Args:
      run: the run's config and data, whose ``data.held_out`` is above 0; ``batch_size`` is the
        number of neighbourhoods in a batch, each of ``data.seeds`` edges and as many pairs that no
        known edge joins, with what ``data.fan_out`` draws around their nodes.
      dimensions: of the vector that the model makes of a node. Two nodes are the likelier joined,
        the larger the product of theirs.
      edges_at_once: at evaluation, on each device.

    The model is one as of task "sampled_node_classification". The metrics are those of task
    "link_prediction"; at evaluation all nodes hear all of their neighbours by known edges.
    """
    config, data = run.config, run.data
    if not isinstance(data.train, Links):
        raise UserError(
            f"task {config.task.name!r} needs a large graph with links that are held out, not data "
            f"set {config.data.name!r}: 'blocks' or 'edge_list' with data.held_out above 0"
        )
    check_counts(dimensions=dimensions, edges_at_once=edges_at_once)
    because = "as config.task.dimensions says"
    module = build_model(run, {"num_classes": dimensions}, because=because)
    check_model(run, module)
    loss_fn = functools.partial(training_loss, learner.forward(module), module, data.train.room)
    start, update = learner.by_config(run, loss_fn)
    graph = data.whole
    told = layer_wise.of_all(module, graph.edges, graph.features, edges_at_once)
    counted = functools.cache(
        lambda: links.counted(graph.indptr, graph.indices, graph.asked, graph.absent)
    )
    scores = kept(lambda state: _scores(told(state.best_variables), graph))
    asked = len(graph.asked)
    return Task(
        init=functools.partial(init, module, data.train.room, start),
        train_step=update,
        score=lambda state, split, key: links.figures(scores(state), counted(), asked),
        artifacts=lambda state, split, key: {
            "Links": links.picture(scores(state), counted(), asked)
        },
        parameters=lambda state: learner.parameters(state.params, {}),
        directions=links.DIRECTIONS,
        examples=config.batch_size * 2 * data.train.seeds,
    )


def training_loss(
    forward: Callable[..., tuple[jax.Array, Any]],
    module: Any,
    sizes: Sizes,
    params: Any,
    model_state: Any,
    batch: Mapping[str, jax.Array],
    key: jax.Array,
) -> learner.Loss:
    """The loss over the links and other pairs of a batch's neighbourhoods, each by itself.

    Args:
      forward: of `jaxdl.tasks.learner.forward`.
      module: the network, for what it makes of edges.
      sizes: of the neighbourhoods.
      params: the network's; so is model_state.
      model_state: its other collections, {} here.
      batch: of `jaxdl.data.sampled_links.Links`.
      key: of dropout.
    """

    def one(example: Mapping[str, jax.Array], key: jax.Array) -> jax.Array:
        edges = hops(module, sizes, example)
        told = forward(params, model_state, key, example["features"], edges)[0]
        return links.logits(told, example["pair"])

    scores = jax.vmap(one)(batch, jax.random.split(key, len(batch["link"])))
    flat = (x.reshape(-1) for x in (scores, batch["link"], batch["weight"]))
    return learner.Loss(links.loss(*flat), model_state, {})


def _scores(told: np.ndarray, graph: LinkedGraph) -> np.ndarray:
    return links.logits(told, np.concatenate([graph.asked, graph.absent]))
