"""Nodes of one graph to classes, from a few known labels; several learners at once."""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxdl import losses, ops, parallel
from jaxdl.data.graph import Graph, known_nodes
from jaxdl.errors import UserError
from jaxdl.metrics import HIGH, Mean, Metrics
from jaxdl.report import draw, graph_layout
from jaxdl.tasks import Run, Task, build_model, learner, need_whole, register
from jaxdl.tasks.shared import classified, graph_on_devices, side_by_side
from jaxdl.tasks.shared.graph_on_devices import Divided
from jaxdl.tasks.shared.kept import kept
from jaxdl.tasks.shared.side_by_side import State

# In which answers are smoothed: of what comes from further away little is left.
_ROUNDS = 50

# Nodes of a graph, at most, that a picture shows one by one.
_DRAWN = 5000


class Given(NamedTuple):
    """The graph on the devices. In the state: as constants of the program XLA would compute
    with them while it compiles, for seconds.

    Attributes:
      features: (nodes, features) float32; of a graph in parts by place
        (`jaxdl.ops.places_in_parts`).
      labels: (nodes,) int32.
      adjacency: the edges that the model hears by.
      smoothing: `jaxdl.ops.normalised`, by which answers are smoothed, if they are and
        ``adjacency`` is something else; None where it is the same, or nothing is smoothed.
    """

    features: jax.Array
    labels: jax.Array
    adjacency: ops.Edges
    smoothing: ops.Edges | None = None


@register("node_classification", derives=("num_classes",))
def node_classification(
    run: Run,
    labels_per_class: int = 0,
    label_seed: int = 0,
    parts: int = 1,
    smoothing: float = 0.0,
) -> Task:
    """Classifies the nodes of a graph (`jaxdl.data.graph.Graph`), the whole of which is each batch.

    Args:
      run: the run's config and data; ``batch_size`` is the number of learners, each with its own
        start, dropout and, where labels are drawn, labels.
      labels_per_class: known labels, drawn for each learner; 0 takes the graph's own.
      label_seed: of that draw; apart from seed, so that runs compare.
      parts: the graph is cut into so many, of as many nodes each and the edges that arrive there;
        devices share them, and every device has all learners. 1: devices share the learners, and
        each has the whole graph.
      smoothing: at evaluation, the share that a node's neighbours have in what it is taken for
        (`smoothed`), below 1; 0: the network alone answers.

    The model takes features and edges: `jaxdl.ops.normalised`, or, if it has a method
    ``adjacency(edges, nodes)``, what that makes of the graph's.

    The metrics are ``loss`` (nats a known node) and ``accuracy``, in training over known nodes and
    at evaluation over the others; means over the learners, and ``least_accuracy`` the worst of
    them. With ``smoothing`` they are of what comes out of it, and ``network_accuracy`` is of the
    network by itself.
    """
    need_whole(run, Graph)
    config, graph = run.config, run.data.whole
    side_by_side.check_no_parts(run, "a graph is learned from as a whole")
    count = config.batch_size
    known = np.stack([known_nodes(graph, labels_per_class, (label_seed, i)) for i in range(count)])
    derived = {"num_classes": len(graph.class_names)}
    module = build_model(run, derived, at_least=("num_classes",), because="the graph's classes")
    divided = graph_on_devices.divide(run, module, graph.edges, len(graph.features), parts)
    if not 0 <= smoothing < 1:
        raise UserError(f"config.task.smoothing={smoothing} must be at least 0 and below 1")
    loss_fn = functools.partial(training_loss, learner.forward(module))
    start, update = learner.by_config(run, loss_fn)
    scored = _scored(graph, known)
    by_node = jax.jit(functools.partial(_answers, module, divided, scored, smoothing))
    answers = kept(lambda state: parallel.with_mesh_of(by_node, state))
    return Task(
        init=functools.partial(_init, module, start, graph, known, divided, smoothing > 0),
        train_step=functools.partial(side_by_side.train_step, update),
        score=functools.partial(_score, answers),
        artifacts=functools.partial(_artifacts, answers, graph, known[0]),
        parameters=lambda state: learner.parameters(state.learner.params, {}),
        partition=divided.partition("learner", "run", "known"),
        directions={"least_accuracy": HIGH} | ({"network_accuracy": HIGH} if smoothing else {}),
        examples=count * len(graph.features),
        shared=divided.shared,
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


def smoothed(
    logits: jax.Array,
    labels: jax.Array,
    known: jax.Array,
    edges: ops.Edges,
    share: float,
) -> jax.Array:
    """(nodes, classes): logarithms of what nodes are taken for when they have heard each other.

    ``z ← share · Â z + (1 - share) · y`` some rounds on, from z = y, which are the network's
    probabilities, and of known nodes their labels (Zhou et al., 2004, "Learning with Local and
    Global Consistency"; Huang et al., 2021, "Combining Label Propagation and Simple Models
    Out-performs Graph Neural Networks", section 2.3).

    Args:
      logits: (nodes, classes), of the network.
      labels: (nodes,) integers; so many as are known count.
      known: (nodes,) bool.
      edges: Â, of `jaxdl.ops.normalised`.
      share: of the neighbours, in [0, 1).
    """
    truth = jax.nn.one_hot(labels, logits.shape[-1])
    own = jnp.where(known[:, None], truth, ops.softmax(logits))
    step = lambda _, z: share * ops.aggregate(z, edges) + (1 - share) * own
    return jnp.log(jnp.maximum(lax.fori_loop(0, _ROUNDS, step, own), 1e-12))


def _given(module: Any, graph: Graph, divided: Divided, smooths: bool) -> Given:
    made_of = getattr(module, "adjacency", ops.normalised)
    adjacency = divided.adjacency(made_of, graph.edges, graph.weights)
    own = (jnp.asarray(divided.laid(x)) for x in (graph.features, graph.labels))
    if not smooths or made_of is ops.normalised:
        return Given(*own, adjacency)
    return Given(*own, adjacency, divided.adjacency(ops.normalised, graph.edges, graph.weights))


def _scored(graph: Graph, known: np.ndarray) -> np.ndarray:
    """(learners, nodes) bool: which nodes are measured on, of learners that know ``known``."""
    others = ~known if graph.test is None else np.broadcast_to(graph.test, known.shape)
    return others & (graph.labels >= 0)


def _init(
    module: Any,
    start: Callable[[Mapping], learner.Learner],
    graph: Graph,
    known: np.ndarray,
    divided: Divided,
    smooths: bool,
    key: jax.Array,
    batch: Mapping,
) -> State:
    given = _given(module, graph, divided, smooths)
    known = divided.laid(known.T).T
    one = lambda key: start(module.init(key, given.features, given.adjacency))
    return side_by_side.init(one, len(known), jnp.asarray(known), given, key)


def _answers(
    module: Any, divided: Divided, scored: np.ndarray, smoothing: float, state: State
) -> tuple[jax.Array, Metrics]:
    """Logits (learners, nodes, classes), and the figures of each over the nodes that are scored."""
    given = state.given
    labels = divided.of_nodes(given.labels)

    def one(own: learner.Learner, known: jax.Array, mask: jax.Array) -> tuple[jax.Array, Metrics]:
        logits = module.apply(own.best_variables, given.features, given.adjacency, train=False)
        found = {}
        if smoothing:
            edges = given.adjacency if given.smoothing is None else given.smoothing
            alone = figures(divided.of_nodes(logits), labels, mask)
            found["network_accuracy"] = alone["accuracy"]
            logits = smoothed(logits, given.labels, known, edges, smoothing)
        logits = divided.of_nodes(logits)
        return logits, figures(logits, labels, mask) | found

    return jax.vmap(one)(state.learner, state.known, jnp.asarray(scored))


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
    found, scored = np.asarray(answers(state)[0][0], np.float64), _scored(graph, known)
    guess, labels = found.argmax(-1), graph.labels
    if len(guess) > _DRAWN:
        picture = classified.confusion(labels[scored], guess[scored], graph.class_names)
    else:
        picture = {"Graph": _picture(graph, guess, known, scored)}
    return picture | classified.calibrated(found[scored], labels[scored])


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
