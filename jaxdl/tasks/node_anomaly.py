"""Nodes of a graph that are unlike what they are joined to, by how badly they are made again.

After Ding et al., 2019, "Deep Anomaly Detection on Attributed Networks": a network on the graph
makes each node's features and its edges again, and what it does worst is odd. Their matrix of all
pairs is replaced by the edges and as many drawn pairs, so that it costs as much as there are edges.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl import losses, ops, parallel
from jaxdl.data.graph import Graph
from jaxdl.data.links import absent_pairs
from jaxdl.errors import UserError
from jaxdl.metrics import HIGH, Mean, ranking
from jaxdl.report import draw
from jaxdl.tasks import (
    Run,
    Task,
    build_model,
    check_counts,
    check_shares,
    learner,
    need_whole,
    register,
)
from jaxdl.tasks.shared import graph_on_devices, links, side_by_side
from jaxdl.tasks.shared.graph_on_devices import Divided
from jaxdl.tasks.shared.kept import kept
from jaxdl.tasks.shared.side_by_side import State

# Pairs to draw from that are not joined, for each edge.
_ABSENT = 10


class Given(NamedTuple):
    """The graph on the devices. Of one in parts nodes are told of by their places, and edges and
    pairs have an axis of parts in front (`jaxdl.tasks.shared.graph_on_devices`).

    Attributes:
      features: (nodes, features) float32.
      adjacency: `jaxdl.ops.Edges`.
      pairs: (edges, 2) int32, each undirected edge once.
      absent: (n, 2) int32, pairs that no edge joins.
      is_node: (places,) float32, 0 of an empty place; None of a graph in one part.
    """

    features: jax.Array
    adjacency: ops.Edges
    pairs: jax.Array
    absent: jax.Array
    is_node: jax.Array | None = None


@register("node_anomaly", derives=("num_classes",))
def node_anomaly(
    run: Run,
    usual: str = "usual",
    structure: float = 0.5,
    dimensions: int = 16,
    parts: int = 1,
) -> Task:
    """Finds the odd nodes of a graph (`jaxdl.data.graph.Graph`) without being told of any.

    Args:
      run: the run's config and data, such as of data set "planted"; ``batch_size`` is the number of
        learners, each with its own start and dropout. The model is one as of task
        "node_classification".
      usual: the class of nodes that are not odd; all others are. For the figures alone.
      structure: the share of the edges' error, in [0, 1]; the features' has the rest.
      dimensions: of the vector of a node by whose product with another's an edge is told.
      parts: as of task "node_classification"; of the edges that are asked for each has as many.

    The metrics are ``loss``, the error: ``1 - structure`` of the mean squared error of a feature
    and ``structure`` of the nats of a pair, and at evaluation ``auroc`` of the nodes' own errors
    (`jaxdl.metrics.ranking`) beside ``degree_auroc`` of how many edges a node has, and both by kind
    of what is odd; means over the learners.
    """
    need_whole(run, Graph)
    side_by_side.check_no_weights(run)
    check_counts(dimensions=dimensions)
    check_shares(structure=structure)
    config, graph = run.config, run.data.whole
    side_by_side.check_no_parts(run, "a graph is learned from as a whole")
    if usual not in graph.class_names or len(np.unique(graph.labels[graph.labels >= 0])) < 2:
        raise UserError(
            f"config.task.usual={usual!r} must be one of several classes that the graph has: "
            f"{', '.join(graph.class_names)}"
        )
    common = _number(graph, usual)
    derived = {"num_classes": graph.features.shape[1] + dimensions}
    because = "the nodes' features and config.task.dimensions"
    module = build_model(run, derived, because=because)
    loss_fn = functools.partial(training_loss, learner.forward(module), structure)
    start, update = learner.by_config(run, loss_fn)
    divided = graph_on_devices.divide(run, module, graph.edges, len(graph.features), parts)
    by_node = jax.jit(functools.partial(_errors, module, structure, divided))
    errors = kept(lambda state: parallel.with_mesh_of(by_node, state))
    return Task(
        init=functools.partial(_init, module, start, graph, config.batch_size, divided),
        train_step=functools.partial(side_by_side.train_step, update),
        score=functools.partial(_score, errors, graph, common),
        artifacts=functools.partial(_artifacts, errors, graph, common),
        parameters=lambda state: learner.parameters(state.learner.params, {}),
        partition=divided.partition("learner", "run", "known"),
        directions=dict.fromkeys(_names(graph, common), HIGH),
        examples=config.batch_size * len(graph.features),
        shared=divided.shared,
    )


def training_loss(
    forward: Callable[..., tuple[jax.Array, Any]],
    structure: float,
    params: Any,
    model_state: Any,
    batch: Mapping,
    key: jax.Array,
) -> learner.Loss:
    """The error of all features, of all edges and of as many pairs that are none.

    Args:
      forward: of `jaxdl.tasks.learner.forward`.
      structure: the share of the latter.
      params: the network's; so is model_state.
      model_state: its other collections.
      batch: ``given``, of type `Given`.
      key: of dropout and of the draw.
    """
    given = batch["given"]
    told, model_state = forward(params, model_state, key, given.features, given.adjacency)
    made, vectors = _split(told, given)
    nats = links.loss_of_known(vectors, given.pairs, given.absent, key)
    squares = Mean.of(losses.mse(made, given.features), given.is_node)
    mean = lambda x: x.total / x.weight
    total = (1 - structure) * mean(squares) + structure * mean(nats)
    return learner.Loss(Mean.of(total[None]), model_state, {})


def node_errors(made: jax.Array, vectors: jax.Array, given: Given, structure: float) -> jax.Array:
    """(nodes,): how badly each node's features and its edges are made again.

    Args:
      made: (nodes, features).
      vectors: (nodes, d).
      given: the graph.
      structure: the share of the edges' error, which is their mean at each node, 0 of none.
    """
    scores = links.logits_of_known(vectors, given.pairs).reshape(-1)
    is_pair = links.is_pair(given.pairs).reshape(-1).astype(jnp.float32)
    nats = losses.binary_cross_entropy(scores, jnp.ones(len(scores))) * is_pair
    ends = given.pairs.reshape(-1, 2).T.reshape(-1)
    empty = jnp.zeros(len(made), jnp.float32)
    total, count = (empty.at[ends].add(jnp.concatenate([x, x])) for x in (nats, is_pair))
    edges = total / jnp.maximum(count, 1)
    return (1 - structure) * losses.mse(made, given.features) + structure * edges


def _split(told: jax.Array, given: Given) -> tuple[jax.Array, jax.Array]:
    """Features, and vectors whose products tell of edges."""
    features = given.features.shape[1]
    return told[:, :features], told[:, features:]


def _init(
    module: Any,
    start: Callable[[Mapping], learner.Learner],
    graph: Graph,
    count: int,
    divided: Divided,
    key: jax.Array,
    batch: Mapping,
) -> State:
    nodes = len(graph.features)
    rng = np.random.default_rng(0)  # the same pairs for all, of which each update draws
    absent = absent_pairs(graph.edges, nodes, _ABSENT * len(graph.edges), rng)
    adjacency = divided.adjacency(getattr(module, "adjacency", ops.normalised), graph.edges)
    pairs = divided.pairs(graph.edges), divided.some_pairs(absent)
    features, *pairs = map(jnp.asarray, (divided.laid(graph.features), *pairs))
    given = Given(features, adjacency, *pairs, divided.is_node)
    one = lambda key: start(module.init(key, given.features, given.adjacency))
    return side_by_side.init(one, count, (), given, key)


def _errors(module: Any, structure: float, divided: Divided, state: State) -> jax.Array:
    """(learners, nodes)."""
    given = state.given

    def one(own: learner.Learner) -> jax.Array:
        told = module.apply(own.best_variables, given.features, given.adjacency, train=False)
        return divided.of_nodes(node_errors(*_split(told, given), given, structure))

    return jax.vmap(one)(state.learner)


def _number(graph: Graph, name: str) -> int:
    return graph.class_names.index(name)


def _kinds(graph: Graph, usual: int) -> dict[str, np.ndarray]:
    """{suffix of a figure's name: (nodes,) bool}, all that is odd first."""
    odd = {"": (graph.labels != usual) & (graph.labels >= 0)}
    names = {i: name for i, name in enumerate(graph.class_names) if i != usual}
    return odd | {f"/{name}": graph.labels == i for i, name in names.items()}


def _names(graph: Graph, usual: int) -> list[str]:
    kinds = _kinds(graph, usual)
    return [f"{figure}{kind}" for kind in kinds for figure in ("auroc", "degree_auroc")]


def _score(
    errors: Callable[[State], jax.Array],
    graph: Graph,
    usual: int,
    state: State,
    split: Any,
    key: jax.Array,
) -> dict[str, float]:
    each = np.asarray(errors(state))
    degrees = np.bincount(graph.edges.ravel(), minlength=len(graph.labels))
    found = {}
    for kind, odd in _kinds(graph, usual).items():
        if odd.any():
            asked = odd | (graph.labels == usual)
            area = lambda scores, odd=odd, asked=asked: ranking.auroc(scores[asked], odd[asked])
            found[f"auroc{kind}"] = float(np.mean([area(scores) for scores in each]))
            found[f"degree_auroc{kind}"] = area(degrees)
    return found


def _artifacts(
    errors: Callable[[State], jax.Array],
    graph: Graph,
    usual: int,
    state: State,
    split: Any,
    key: jax.Array,
) -> dict[str, Any]:
    degrees = np.bincount(graph.edges.ravel(), minlength=len(graph.labels))
    odd, known = graph.labels != usual, graph.labels >= 0
    every = {"error of the first learner": np.asarray(errors(state))[0], "degree": degrees}
    lines = {name: ranking.roc(values[known], odd[known]) for name, values in every.items()}
    return {"Odd nodes": draw.curves("odd nodes found", lines, xlabel="usual ones taken for odd")}
