"""Nodes of one graph to classes, from a few known labels; several learners at once."""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl import losses, ops
from jaxdl.data.graph import Graph, known_nodes
from jaxdl.errors import UserError
from jaxdl.metrics import HIGH, Mean, Metrics
from jaxdl.report import draw, graph_layout
from jaxdl.tasks import Run, Task, build_model, learner, need_whole, register
from jaxdl.tasks.shared import classified, side_by_side
from jaxdl.tasks.shared.kept import kept
from jaxdl.tasks.shared.side_by_side import State


class Given(NamedTuple):
    """The graph on the devices. In the state: as constants of the program XLA would compute
    with them while it compiles, for seconds.

    Attributes:
      features: (nodes, features) float32.
      labels: (nodes,) int32.
      adjacency: `jaxdl.ops.Edges`, or a matrix (nodes, nodes).
    """

    features: jax.Array
    labels: jax.Array
    adjacency: ops.Edges | jax.Array


@register("node_classification", derives=("num_classes",))
def node_classification(
    run: Run, labels_per_class: int = 0, label_seed: int = 0, dense: bool = False
) -> Task:
    """Classifies the nodes of a graph (`jaxdl.data.graph.Graph`), the whole of which is each batch.

    Args:
      run: the run's config and data; ``batch_size`` is the number of learners, each with its own
        start, dropout and, where labels are drawn, labels.
      labels_per_class: known labels, drawn for each learner; 0 takes the graph's own.
      label_seed: of that draw; apart from seed, so that runs compare.
      dense: propagates by a product with the adjacency matrix instead of sums over edges.

    The model takes features and an adjacency: `jaxdl.ops.normalised`, or, if it has a method
    ``adjacency(edges, nodes)``, what that makes of the graph's edges, and no matrix then.

    The metrics are ``loss`` (nats a known node) and ``accuracy``, in training over known nodes and
    at evaluation over the others; means over the learners, and ``least_accuracy`` the worst of
    them.
    """
    need_whole(run, Graph)
    config, graph = run.config, run.data.whole
    side_by_side.check_no_parts(run, "a graph is learned from as a whole")
    count = config.batch_size
    known = np.stack([known_nodes(graph, labels_per_class, (label_seed, i)) for i in range(count)])
    derived = {"num_classes": len(graph.class_names)}
    module = build_model(run, derived, at_least=("num_classes",), because="the graph's classes")
    if dense and hasattr(module, "adjacency"):
        raise UserError(
            f"config.task.dense={dense} must be False: {config.model.name!r} reads each edge, and "
            "not only their sums"
        )
    loss_fn = functools.partial(training_loss, learner.forward(module))
    start, update = learner.by_config(run, loss_fn)
    answers = kept(jax.jit(functools.partial(_answers, module, graph.test)))
    return Task(
        init=functools.partial(_init, module, start, graph, known, dense),
        train_step=functools.partial(side_by_side.train_step, update),
        score=functools.partial(_score, answers),
        artifacts=functools.partial(_artifacts, answers, graph, known[0]),
        parameters=lambda state: learner.parameters(state.learner.params, {}),
        partition=side_by_side.partition,
        directions={"least_accuracy": HIGH},
        examples=count * len(graph.features),
    )


def figures(logits: jax.Array, labels: jax.Array, mask: jax.Array) -> Metrics:
    """``loss`` and ``accuracy`` of logits (nodes, classes) over the nodes in ``mask`` (nodes,)."""
    return {
        "loss": Mean.of(losses.cross_entropy(logits, labels), mask),
        "accuracy": Mean.of(logits.argmax(-1) == labels, mask),
    }


def training_loss(
    forward: Callable[..., tuple[jax.Array, Any]],
    params: Any,
    model_state: Any,
    batch: Mapping,
    key: jax.Array,
) -> learner.Loss:
    """The loss over known nodes.

    Args:
      forward: of `jaxdl.tasks.learner.forward`.
      params: the network's; so is model_state.
      model_state: its other collections.
      batch: ``given``, of type `Given`, and ``known`` (nodes,).
      key: of dropout.
    """
    given = batch["given"]
    logits, model_state = forward(params, model_state, key, given.features, given.adjacency)
    found = figures(logits, given.labels, batch["known"])
    return learner.Loss(found.pop("loss"), model_state, found)


def _given(module: Any, graph: Graph, dense: bool) -> Given:
    adjacency = getattr(module, "adjacency", ops.normalised)(graph.edges, len(graph.features))
    if dense:
        adjacency = ops.dense_adjacency(adjacency, len(graph.features))
    return Given(jnp.asarray(graph.features), jnp.asarray(graph.labels), adjacency)


def _init(
    module: Any,
    start: Callable[[Mapping], learner.Learner],
    graph: Graph,
    known: np.ndarray,
    dense: bool,
    key: jax.Array,
    batch: Mapping,
) -> State:
    given = _given(module, graph, dense)
    one = lambda key: start(module.init(key, given.features, given.adjacency))
    return side_by_side.init(one, len(known), jnp.asarray(known), given, key)


def _answers(module: Any, scored: np.ndarray | None, state: State) -> tuple[jax.Array, Metrics]:
    """Logits (learners, nodes, classes), and the figures of each over the nodes that are scored."""
    features, labels, adjacency = state.given
    known = state.known
    test = ~known if scored is None else jnp.broadcast_to(scored, known.shape)

    def one(own: learner.Learner, mask: jax.Array) -> tuple[jax.Array, Metrics]:
        logits = module.apply(own.best_variables, features, adjacency, train=False)
        return logits, figures(logits, labels, mask)

    return jax.vmap(one)(state.learner, test)


def _score(
    answers: Callable[[State], tuple[jax.Array, Metrics]], state: State, split: Any, key: jax.Array
) -> dict[str, float]:
    _, found = answers(state)
    of_each = {name: np.asarray(m.total) / np.asarray(m.weight) for name, m in found.items()}
    means = {name: float(values.mean()) for name, values in of_each.items()}
    return means | {"least_accuracy": float(of_each["accuracy"].min())}


def _artifacts(
    answers: Callable[[State], tuple[jax.Array, Metrics]],
    graph: Graph,
    known: np.ndarray,
    state: State,
    split: Any,
    key: jax.Array,
) -> dict[str, Any]:
    found = np.asarray(answers(state)[0][0], np.float64)
    scored = ~known if graph.test is None else graph.test
    return {
        "Graph": _picture(graph, found.argmax(-1), known, scored),
        **classified.calibrated(found[scored], graph.labels[scored]),
    }


def _picture(
    graph: Graph, guess: np.ndarray, known: np.ndarray, scored: np.ndarray
) -> draw.Picture:
    wrong = scored & (guess != graph.labels)
    places = graph.positions
    if places is None:
        places = graph_layout.positions(graph.edges, len(graph.features))
    return draw.graph(
        places,
        graph.edges,
        guess,
        graph.class_names,
        squares=known,
        rings=wrong,
        caption=f"The first learner: colours are its answers, squares the {known.sum()} labels "
        f"that it knew, rings the {wrong.sum()} of {scored.sum()} answers that are wrong.",
    )
