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
from jaxdl.parallel import replicas
from jaxdl.report import draw, graph_layout
from jaxdl.tasks import Run, Task, build_model, learner, need_whole, register


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


class State(NamedTuple):
    """Learners that know nothing of each other, along the first axis of all but the graph.

    Attributes:
      learner: theirs.
      run: (learners,) int32, which of them each is.
      known: what each knows by itself: here (learners, nodes) bool, whose labels.
      given: what all do: here of type `Given`.
    """

    learner: learner.Learner
    run: jax.Array
    known: Any
    given: Any


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
    if config.accumulate > 1:
        raise UserError(
            f"config.accumulate={config.accumulate} must be 1: a graph is learned from as a whole"
        )
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
    answers = jax.jit(functools.partial(_answers, module, graph.test))
    return Task(
        init=functools.partial(_init, module, start, graph, known, dense),
        train_step=functools.partial(train_step, update),
        score=functools.partial(_score, answers),
        artifacts=functools.partial(_artifacts, answers, graph, known[0]),
        parameters=lambda state: learner.parameters(state.learner.params, {}),
        partition=partition,
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


def train_step(
    update: Callable[..., tuple[learner.Learner, Metrics]],
    state: State,
    batch: Mapping,
    key: jax.Array,
) -> tuple[State, Metrics]:
    """An update of every learner; ``batch`` is empty."""

    def one(own: learner.Learner, known: Any, key: jax.Array) -> Any:
        return update(own, {"known": known, "given": state.given}, key)

    with replicas.apart():
        learners, found = jax.vmap(one)(state.learner, state.known, each_key(key, state.run))
    found = jax.tree.map(lambda x: x.sum(axis=0), found)
    return state._replace(learner=learners), replicas.total(found)


def each_key(key: jax.Array, runs: jax.Array) -> jax.Array:
    """A key for each of the learners (n,)."""
    return jax.vmap(lambda i: jax.random.fold_in(key, i))(runs)


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
    runs = jnp.arange(len(known), dtype=jnp.int32)
    return State(jax.vmap(one)(each_key(key, runs)), runs, jnp.asarray(known), given)


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
    guess = np.asarray(answers(state)[0][0]).argmax(-1)
    scored = ~known if graph.test is None else graph.test
    return {"Graph": _picture(graph, guess, known, scored)}


def partition(state: State) -> State:
    """`Task.partition`: learners are split, and what all of them have is not."""
    split = jax.tree.map(lambda leaf: True, state)
    return split._replace(given=jax.tree.map(lambda leaf: False, state.given))


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
