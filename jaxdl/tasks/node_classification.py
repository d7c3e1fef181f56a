"""Nodes of one graph to classes, from a few known labels; several learners at once."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl import keys, losses, models, ops, precision
from jaxdl.data.graph import Graph, known_nodes
from jaxdl.errors import UserError
from jaxdl.metrics import Mean, Metrics
from jaxdl.parallel import replicas
from jaxdl.report import draw
from jaxdl.tasks import Run, Task, learner, need_whole, register

# From how many nodes on where they are drawn follows from the graph's spectrum alone.
_MANY_NODES = 200


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
      known: (learners, nodes) bool, whose labels each knows.
      given: the graph.
    """

    learner: learner.Learner
    run: jax.Array
    known: jax.Array
    given: Given


@register("node_classification")
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
    nodes = len(graph.features)
    fields = {k: v for k, v in config.model.items() if k != "name"}
    module = models.create(
        config.model.name,
        **{"num_classes": len(graph.class_names), **fields},
        dtype=precision.compute_dtype(config.precision),
    )

    def given() -> Given:
        adjacency = ops.normalised(graph.edges, nodes)
        if dense:
            adjacency = ops.dense_adjacency(adjacency, nodes)
        return Given(jnp.asarray(graph.features), jnp.asarray(graph.labels), adjacency)

    def figures(logits: jax.Array, labels: jax.Array, mask: jax.Array) -> Metrics:
        return {
            "loss": Mean.of(losses.cross_entropy(logits, labels), mask),
            "accuracy": Mean.of(logits.argmax(-1) == labels, mask),
        }

    def loss_fn(params: Any, model_state: Any, batch: Mapping, key: jax.Array) -> learner.Loss:
        logits = module.apply(
            {"params": params, **model_state},
            batch["given"].features,
            batch["given"].adjacency,
            train=True,
            rngs={"dropout": keys.named(key, "dropout")},
        )
        found = figures(logits, batch["given"].labels, batch["known"])
        return learner.Loss(found.pop("loss"), model_state, found)

    start, update = learner.by_config(run, loss_fn)

    def each(key: jax.Array, runs: jax.Array) -> jax.Array:
        return jax.vmap(lambda i: jax.random.fold_in(key, i))(runs)

    def init(key: jax.Array, batch: Mapping) -> State:
        the = given()

        def one(key: jax.Array) -> learner.Learner:
            variables = module.init(key, the.features, the.adjacency)
            return start(variables)

        runs = jnp.arange(count, dtype=jnp.int32)
        return State(jax.vmap(one)(each(key, runs)), runs, jnp.asarray(known), the)

    def train_step(state: State, batch: Mapping, key: jax.Array) -> tuple[State, Metrics]:
        def one(own: learner.Learner, known: jax.Array, key: jax.Array) -> Any:
            return update(own, {"known": known, "given": state.given}, key)

        with replicas.apart():
            learners, found = jax.vmap(one)(state.learner, state.known, each(key, state.run))
        found = jax.tree.map(lambda x: x.sum(axis=0), found)
        return state._replace(learner=learners), replicas.total(found)

    @jax.jit
    def answers(state: State) -> tuple[jax.Array, Metrics]:
        features, labels, adjacency = state.given
        test = ~state.known if graph.test is None else jnp.broadcast_to(graph.test, known.shape)

        def one(own: learner.Learner, mask: jax.Array) -> tuple[jax.Array, Metrics]:
            logits = module.apply(own.best_variables, features, adjacency, train=False)
            return logits, figures(logits, labels, mask)

        return jax.vmap(one)(state.learner, test)

    def score(state: State, split: Any, key: jax.Array) -> dict[str, float]:
        _, found = answers(state)
        of_each = {name: np.asarray(m.total) / np.asarray(m.weight) for name, m in found.items()}
        means = {name: float(values.mean()) for name, values in of_each.items()}
        return means | {"least_accuracy": float(of_each["accuracy"].min())}

    def artifacts(state: State, split: Any, key: jax.Array) -> dict[str, Any]:
        guess = np.asarray(answers(state)[0][0]).argmax(-1)
        scored = ~known[0] if graph.test is None else graph.test
        return {"Graph": _picture(graph, guess, known[0], scored)}

    return Task(
        init=init,
        train_step=train_step,
        score=score,
        artifacts=artifacts,
        parameters=lambda state: learner.parameters(state.learner.params, {}),
        partition=lambda state: State(
            *jax.tree.map(lambda leaf: True, state[:-1]),
            jax.tree.map(lambda leaf: False, state.given),
        ),
        examples=count * nodes,
    )


def _picture(
    graph: Graph, guess: np.ndarray, known: np.ndarray, scored: np.ndarray
) -> draw.Picture:
    wrong = scored & (guess != graph.labels)
    return draw.graph(
        _positions(graph),
        graph.edges,
        guess,
        graph.class_names,
        squares=known,
        rings=wrong,
        caption=f"The first learner: colours are its answers, squares the {known.sum()} labels "
        f"that it knew, rings the {wrong.sum()} of {scored.sum()} answers that are wrong.",
    )


def _positions(graph: Graph) -> np.ndarray:
    """(nodes, 2): near each other what few edges part."""
    if graph.positions is not None:
        return graph.positions
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import shortest_path
    from sklearn.manifold import SpectralEmbedding

    nodes = len(graph.features)
    ones = np.ones(len(graph.edges))
    matrix = coo_matrix((ones, tuple(graph.edges.T)), (nodes, nodes))
    matrix = (matrix + matrix.T).tocsr()
    if nodes > _MANY_NODES:
        return SpectralEmbedding(affinity="precomputed", random_state=0).fit_transform(matrix)
    # Classical scaling (Torgerson, 1952) of the number of edges between two nodes.
    steps = shortest_path(matrix, unweighted=True)
    squared = np.where(np.isfinite(steps), steps, nodes) ** 2
    centred = squared - squared.mean(axis=0) - squared.mean(axis=1)[:, None] + squared.mean()
    values, vectors = np.linalg.eigh(-centred / 2)
    return vectors[:, -2:] * np.sqrt(np.maximum(values[-2:], 0))
