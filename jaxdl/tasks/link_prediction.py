"""Links of one graph that are held out, from the others; several learners at once."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl import ops, parallel
from jaxdl.data import csr, links
from jaxdl.data.graph import Graph
from jaxdl.tasks import Run, Task, build_model, check_counts, learner, need_whole, register
from jaxdl.tasks.shared import graph_on_devices, side_by_side
from jaxdl.tasks.shared import links as shared
from jaxdl.tasks.shared.graph_on_devices import Divided
from jaxdl.tasks.shared.kept import kept
from jaxdl.tasks.shared.side_by_side import State

# Pairs to draw from that are not joined, for each known edge.
_ABSENT = 10


class Known(NamedTuple):
    """What a learner knows of the links. Of a graph in parts all have an axis of them in front, and
    nodes are told of by their places (`jaxdl.tasks.shared.graph_on_devices`).

    Attributes:
      adjacency: `jaxdl.ops.Edges`, of the known ones alone.
      pairs: (edges, 2) int32, the known ones.
      absent: (n, 2) int32, pairs that no known edge joins. Some may be joined by one that is held
        out: nobody knows.
    """

    adjacency: ops.Edges
    pairs: jax.Array
    absent: jax.Array


@register("link_prediction", derives=("num_classes",))
def link_prediction(
    run: Run, held_out: float = 0.1, split_seed: int = 0, dimensions: int = 16, parts: int = 1
) -> Task:
    """Finds edges of a graph (`jaxdl.data.graph.Graph`) that are held out, from all others.

    Args:
      run: the run's config and data; ``batch_size`` is the number of learners, each with its own
        start, dropout and held-out edges.
      held_out: the share of edges that are neither learned from nor heard by.
      split_seed: of the draw of these, for each learner; apart from seed, so that runs compare.
      dimensions: of the vector that the model, one as of task "node_classification", makes of a
        node. Two nodes are the likelier joined, the larger the product of theirs.
      parts: as of task "node_classification"; of the links each has as many.

    An update asks for all known edges, and for as many pairs that no known edge joins. The metrics
    are ``loss`` (nats a pair), and at evaluation, of the edges that are held out and as many pairs
    that no edge joins, ``auroc`` (`jaxdl.metrics.ranking`) beside ``common_neighbours_auroc`` and
    ``adamic_adar_auroc``, what counting of known edges tells of the same pairs; means over the
    learners.
    """
    need_whole(run, Graph)
    side_by_side.check_no_weights(run)
    check_counts(dimensions=dimensions)
    config, graph = run.config, run.data.whole
    side_by_side.check_no_parts(run, "a graph is learned from as a whole")
    nodes, setting = len(graph.features), "config.task.held_out"
    links_of = [
        links.divide(graph.edges, nodes, held_out, (split_seed, i), setting)
        for i in range(config.batch_size)
    ]
    because = "as config.task.dimensions says"
    module = build_model(run, {"num_classes": dimensions}, because=because)
    divided = graph_on_devices.divide(run, module, graph.edges, nodes, parts)
    loss_fn = functools.partial(training_loss, learner.forward(module))
    start, update = learner.by_config(run, loss_fn)
    by_node = jax.jit(functools.partial(_told, module, divided))
    told = kept(lambda state: parallel.with_mesh_of(by_node, state))
    counted = functools.cache(lambda: [_counted(one, nodes) for one in links_of])
    return Task(
        init=functools.partial(_init, module, start, graph, links_of, split_seed, divided),
        train_step=functools.partial(_train_step, update, divided),
        score=functools.partial(_score, told, links_of, counted),
        artifacts=functools.partial(_artifacts, told, links_of, counted),
        parameters=lambda state: learner.parameters(state.learner.params, {}),
        partition=divided.partition("learner", "run"),
        directions=shared.DIRECTIONS,
        examples=config.batch_size * 2 * len(links_of[0].known),
        shared=divided.shared,
    )


def training_loss(
    forward: Callable[..., tuple[jax.Array, Any]],
    params: Any,
    model_state: Any,
    batch: Mapping,
    key: jax.Array,
) -> learner.Loss:
    """The loss over known edges and as many drawn pairs that they do not join.

    Args:
      forward: of `jaxdl.tasks.learner.forward`.
      params: the network's; so is model_state.
      model_state: its other collections.
      batch: ``given``, the features (nodes, features), and ``known``, of type `Known`.
      key: of dropout and of the draw.
    """
    known = batch["known"]
    told, model_state = forward(params, model_state, key, batch["given"], known.adjacency)
    found = shared.loss_of_known(told, known.pairs, known.absent, key)
    return learner.Loss(found, model_state, {})


def _train_step(
    update: Callable[..., tuple[learner.Learner, Any]],
    divided: Divided,
    state: State,
    batch: Any,
    key: jax.Array,
) -> tuple[State, Any]:
    own = state._replace(known=_by_learner(state, divided))
    found, metrics = side_by_side.train_step(update, own, batch, key)
    return found._replace(known=state.known), metrics


def _by_learner(state: State, divided: Divided) -> Known:
    """What learners know, along the first axis: in parts, which devices share, it is the second."""
    if divided.parts == 1:
        return state.known
    return jax.tree.map(lambda x: jnp.swapaxes(x, 0, 1), state.known)


def _known(
    module: Any, every: Sequence[links.Divided], split_seed: int, divided: Divided
) -> list[Known]:
    made_of, nodes = getattr(module, "adjacency", ops.normalised), len(divided.at)
    adjacency = lambda room: [divided.adjacency(made_of, one.known, None, room) for one in every]
    heard = adjacency(1)
    if divided.parts > 1:  # learners know other edges each, and all are of one shape
        heard = adjacency(max(edges.source.shape[1] for edges in heard))
    found = []
    for i, (one, edges) in enumerate(zip(every, heard, strict=True)):
        # Of a stream of its own: not the draw that divides the edges.
        rng = np.random.default_rng((split_seed, i, 1))
        absent = links.absent_pairs(one.known, nodes, _ABSENT * len(one.known), rng)
        pairs = divided.pairs(one.known), divided.some_pairs(absent)
        found.append(Known(edges, *map(jnp.asarray, pairs)))
    return found


def _init(
    module: Any,
    start: Callable[[Mapping], learner.Learner],
    graph: Graph,
    links_of: Sequence[links.Divided],
    split_seed: int,
    divided: Divided,
    key: jax.Array,
    batch: Mapping,
) -> State:
    features = jnp.asarray(divided.laid(graph.features))
    each = _known(module, links_of, split_seed, divided)
    one = lambda key: start(module.init(key, features, each[0].adjacency))
    axis = 0 if divided.parts == 1 else 1
    known = jax.tree.map(lambda *x: jnp.stack(x, axis), *each)
    return side_by_side.init(one, len(links_of), known, features, key)


def _told(module: Any, divided: Divided, state: State) -> jax.Array:
    """(learners, nodes, dimensions)."""
    told = lambda own, known: divided.of_nodes(
        module.apply(own.best_variables, state.given, known.adjacency, train=False)
    )
    return jax.vmap(told)(state.learner, _by_learner(state, divided))


def _counted(divided: links.Divided, nodes: int) -> dict[str, np.ndarray]:
    known = csr.create(*divided.known.T, nodes, "known edges")
    return shared.counted(known.indptr, known.indices, divided.asked, divided.absent)


def _scores(told: np.ndarray, divided: links.Divided) -> np.ndarray:
    return shared.logits(told, np.concatenate([divided.asked, divided.absent]))


def _score(
    told: Callable[[State], jax.Array],
    links_of: Sequence[links.Divided],
    counted: Callable[[], list[dict[str, np.ndarray]]],
    state: State,
    split: Any,
    key: jax.Array,
) -> dict[str, float]:
    each = [
        shared.figures(_scores(vectors, one), others, len(one.asked))
        for vectors, one, others in zip(np.asarray(told(state)), links_of, counted(), strict=True)
    ]
    return {name: float(np.mean([found[name] for found in each])) for name in each[0]}


def _artifacts(
    told: Callable[[State], jax.Array],
    links_of: Sequence[links.Divided],
    counted: Callable[[], list[dict[str, np.ndarray]]],
    state: State,
    split: Any,
    key: jax.Array,
) -> dict[str, Any]:
    scores = _scores(np.asarray(told(state))[0], links_of[0])
    return {
        "Links of the first learner": shared.picture(scores, counted()[0], len(links_of[0].asked))
    }
