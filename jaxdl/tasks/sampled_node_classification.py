"""Nodes of a graph of any size to classes, from neighbourhoods that are drawn."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl import metrics, ops
from jaxdl.data.large_graph import LargeGraph
from jaxdl.data.neighbours import Neighbourhoods, Sizes
from jaxdl.errors import UserError
from jaxdl.metrics import HIGH
from jaxdl.tasks import Run, Task, build_model, check_counts, learner, register
from jaxdl.tasks.node_classification import figures
from jaxdl.tasks.shared import classified, layer_wise
from jaxdl.tasks.shared.checks import check_at_least
from jaxdl.tasks.shared.collective import collective
from jaxdl.tasks.shared.kept import kept


@register("sampled_node_classification", derives=("num_classes",))
def sampled_node_classification(run: Run, edges_at_once: int = 131072, rounds: int = 0) -> Task:
    """Classifies the nodes of a large graph (`jaxdl.data.large_graph`).

    Args:
      run: the run's config and data; ``batch_size`` is the number of neighbourhoods in a batch,
        each of ``data.seeds`` nodes with what ``data.fan_out`` draws around them. On several
        devices each takes its share of them.
      edges_at_once: at evaluation, on each device.
      rounds: in which nodes are named anew by what their neighbours are taken for, at evaluation
        (`jaxdl.tasks.shared.collective`): they hear further than the network does.

    The model has as many layers on the graph as ``data.fan_out`` has numbers, and a method
    ``drawn(source, target, scale, weight)``, what it makes of edges that were drawn
    (`jaxdl.ops.Hops`).

    The metrics are ``loss`` (nats a node) and ``accuracy``, in training over seeds, by what was
    drawn around them, and at evaluation over the nodes that are measured on, which hear all of
    their neighbours. With ``rounds`` they are of what comes out of them, and ``network_accuracy``
    is of the network by itself.
    """
    config, data = run.config, run.data
    if not isinstance(data.train, Neighbourhoods):
        raise UserError(
            f"task {config.task.name!r} needs neighbourhoods of a large graph, not data set "
            f"{config.data.name!r}"
        )
    check_counts(edges_at_once=edges_at_once)
    check_at_least(0, rounds=rounds)
    if rounds and len(np.unique(data.whole.labels[data.whole.known])) < 2:
        raise UserError(
            f"config.task.rounds={rounds} must be 0: known labels are of one class, and what tells "
            "it from others cannot be learned"
        )
    derived = {"num_classes": len(data.class_names)}
    module = build_model(run, derived, at_least=("num_classes",), because="the graph's classes")
    check_model(run, module)
    loss_fn = functools.partial(training_loss, learner.forward(module), module, data.train.room)
    start, update = learner.by_config(run, loss_fn)
    told = layer_wise.of_all(module, data.whole.edges, data.whole.features, edges_at_once)
    answers = kept(lambda state: _answers(data.whole, rounds, told(state.best_variables)))
    return Task(
        init=functools.partial(init, module, data.train.room, start),
        train_step=update,
        score=functools.partial(_score, answers, data.whole),
        artifacts=functools.partial(_artifacts, answers, data.whole, data.class_names),
        parameters=lambda state: learner.parameters(state.params, {}),
        directions={"network_accuracy": HIGH} if rounds else {},
        examples=config.batch_size * data.train.seeds,
    )


def hops(module: Any, sizes: Sizes, example: Mapping[str, jax.Array]) -> ops.Hops:
    """What ``module`` hears by in one neighbourhood of `jaxdl.data.neighbours.Neighbourhoods`.

    The first layer hears by all edges, and tells of all nodes but those of the last hop; the last
    one tells of the seeds.
    """
    columns = (example[name] for name in ("source", "target", "scale"))
    edges = module.drawn(*columns, example.get("edge_weight"))
    return ops.Hops(edges, sizes.nodes[-2::-1], sizes.edges[::-1])


def training_loss(
    forward: Callable[..., tuple[jax.Array, Any]],
    module: Any,
    sizes: Sizes,
    params: Any,
    model_state: Any,
    batch: Mapping[str, jax.Array],
    key: jax.Array,
) -> learner.Loss:
    """The loss over the seeds of a batch's neighbourhoods, each by itself.

    Args:
      forward: of `jaxdl.tasks.learner.forward`.
      module: the network, for what it makes of edges.
      sizes: of the neighbourhoods.
      params: the network's; so is model_state.
      model_state: its other collections, {} here.
      batch: of `jaxdl.data.neighbours.Neighbourhoods`.
      key: of dropout.
    """

    def one(example: Mapping[str, jax.Array], key: jax.Array) -> jax.Array:
        edges = hops(module, sizes, example)
        return forward(params, model_state, key, example["features"], edges)[0]

    logits = jax.vmap(one)(batch, jax.random.split(key, len(batch["label"])))
    flat = (x.reshape(-1, *x.shape[2:]) for x in (logits, batch["label"], batch["weight"]))
    found = figures(*flat)
    return learner.Loss(found.pop("loss"), model_state, found)


def check_model(run: Run, module: Any) -> None:
    """Raises UserError for a network that cannot learn from what is drawn."""
    name, fan_out = run.config.model.name, run.data.train.fan_out
    if not hasattr(module, "drawn"):
        raise UserError(
            f"config.model.name={name!r} does not learn from neighbours that are drawn; "
            "'graphsage' does"
        )
    if module.depth != len(fan_out):
        raise UserError(
            f"data.fan_out={fan_out} must have a number for each layer of the model on the graph, "
            f"of which it has {module.depth}"
        )
    if module.norm in ("batch", "graph"):
        raise UserError(
            f"config.model.norm={module.norm!r} is over all nodes of a graph, and a batch has but "
            "a part: set 'layer' or ''"
        )


def init(
    module: Any,
    sizes: Sizes,
    start: Callable[[Mapping], learner.Learner],
    key: jax.Array,
    batch: Mapping[str, jax.Array],
) -> learner.Learner:
    """`Task.init`; ``start`` is of `jaxdl.tasks.learner.by_config`."""
    example = jax.tree.map(lambda x: x[0], dict(batch))
    return start(module.init(key, example["features"], hops(module, sizes, example)))


class Answers(NamedTuple):
    """Logits (nodes, classes) of the network, and what comes out of the rounds behind it."""

    network: np.ndarray
    final: np.ndarray


def _answers(graph: LargeGraph, rounds: int, logits: np.ndarray) -> Answers:
    how = (graph.edges, graph.features, graph.labels, graph.known)
    return Answers(logits, collective(*how, logits, rounds))


def _score(
    answers: Callable[[learner.Learner], Answers],
    graph: LargeGraph,
    state: learner.Learner,
    split: Any,
    key: jax.Array,
) -> dict[str, float]:
    asked, told = graph.scored, answers(state)
    of = lambda logits: figures(jnp.asarray(logits[asked]), graph.labels[asked], None)
    found = of(told.final)
    if told.final is not told.network:
        found["network_accuracy"] = of(told.network)["accuracy"]
    return metrics.divide(jax.device_get(found))


def _artifacts(
    answers: Callable[[learner.Learner], Answers],
    graph: LargeGraph,
    class_names: Sequence[str],
    state: learner.Learner,
    split: Any,
    key: jax.Array,
) -> dict[str, Any]:
    found, truth = answers(state).final[graph.scored], graph.labels[graph.scored]
    guess = found.argmax(-1)
    return {
        "Answers": f"{(guess != truth).sum()} of {len(truth)} answers are wrong.",
        **classified.confusion(truth, guess, class_names),
        **classified.calibrated(found.astype(np.float64), truth),
    }
