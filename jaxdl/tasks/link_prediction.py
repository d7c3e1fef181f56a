"""Links of one graph that are held out, from the others; several learners at once."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl import keys, ops
from jaxdl.data import csr, links
from jaxdl.data.graph import Graph
from jaxdl.tasks import Run, Task, build_model, check_counts, learner, need_whole, register
from jaxdl.tasks.shared import links as shared
from jaxdl.tasks.shared import side_by_side
from jaxdl.tasks.shared.kept import kept
from jaxdl.tasks.shared.side_by_side import State

# Pairs to draw from that are not joined, for each known edge.
_ABSENT = 10


class Known(NamedTuple):
    """What a learner knows of the links.

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
    run: Run, held_out: float = 0.1, split_seed: int = 0, dimensions: int = 16
) -> Task:
    """Finds edges of a graph (`jaxdl.data.graph.Graph`) that are held out, from all others.

    Args:
      run: the run's config and data; ``batch_size`` is the number of learners, each with its own
        start, dropout and held-out edges.
      held_out: the share of edges that are neither learned from nor heard by.
      split_seed: of the draw of these, for each learner; apart from seed, so that runs compare.
      dimensions: of the vector that the model, one as of task "node_classification", makes of a
        node. Two nodes are the likelier joined, the larger the product of theirs.

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
    divided = [
        links.divide(graph.edges, nodes, held_out, (split_seed, i), setting)
        for i in range(config.batch_size)
    ]
    because = "as config.task.dimensions says"
    module = build_model(run, {"num_classes": dimensions}, because=because)
    loss_fn = functools.partial(training_loss, learner.forward(module))
    start, update = learner.by_config(run, loss_fn)
    told = kept(jax.jit(functools.partial(_told, module)))
    counted = functools.cache(lambda: [_counted(one, nodes) for one in divided])
    return Task(
        init=functools.partial(_init, module, start, graph, divided, split_seed),
        train_step=functools.partial(side_by_side.train_step, update),
        score=functools.partial(_score, told, divided, counted),
        artifacts=functools.partial(_artifacts, told, divided, counted),
        parameters=lambda state: learner.parameters(state.learner.params, {}),
        partition=side_by_side.partition,
        directions=shared.DIRECTIONS,
        examples=config.batch_size * 2 * len(divided[0].known),
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
    known, count = batch["known"], len(batch["known"].pairs)
    told, model_state = forward(params, model_state, key, batch["given"], known.adjacency)
    drawn = jax.random.randint(keys.named(key, "absent"), (count,), 0, len(known.absent))
    scores = shared.logits(told, jnp.concatenate([known.pairs, known.absent[drawn]]))
    is_link = (jnp.arange(2 * count) < count).astype(jnp.float32)
    return learner.Loss(shared.loss(scores, is_link), model_state, {})


def _known(module: Any, divided: links.Divided, nodes: int, seed: Sequence[int]) -> Known:
    adjacency = getattr(module, "adjacency", ops.normalised)(divided.known, nodes)
    rng = np.random.default_rng(seed)
    absent = links.absent_pairs(divided.known, nodes, _ABSENT * len(divided.known), rng)
    return Known(adjacency, jnp.asarray(divided.known), jnp.asarray(absent))


def _init(
    module: Any,
    start: Callable[[Mapping], learner.Learner],
    graph: Graph,
    divided: Sequence[links.Divided],
    split_seed: int,
    key: jax.Array,
    batch: Mapping,
) -> State:
    features, nodes = jnp.asarray(graph.features), len(graph.features)
    # Of a stream of its own: not the draw that divides the edges.
    each = [_known(module, one, nodes, (split_seed, i, 1)) for i, one in enumerate(divided)]
    one = lambda key: start(module.init(key, features, each[0].adjacency))
    known = jax.tree.map(lambda *x: jnp.stack(x), *each)
    return side_by_side.init(one, len(divided), known, features, key)


def _told(module: Any, state: State) -> jax.Array:
    """(learners, nodes, dimensions)."""
    told = lambda own, known: module.apply(
        own.best_variables, state.given, known.adjacency, train=False
    )
    return jax.vmap(told)(state.learner, state.known)


def _counted(divided: links.Divided, nodes: int) -> dict[str, np.ndarray]:
    known = csr.create(*divided.known.T, nodes, "known edges")
    return shared.counted(known.indptr, known.indices, divided.asked, divided.absent)


def _scores(told: np.ndarray, divided: links.Divided) -> np.ndarray:
    return shared.logits(told, np.concatenate([divided.asked, divided.absent]))


def _score(
    told: Callable[[State], jax.Array],
    divided: Sequence[links.Divided],
    counted: Callable[[], list[dict[str, np.ndarray]]],
    state: State,
    split: Any,
    key: jax.Array,
) -> dict[str, float]:
    each = [
        shared.figures(_scores(vectors, one), others, len(one.asked))
        for vectors, one, others in zip(np.asarray(told(state)), divided, counted(), strict=True)
    ]
    return {name: float(np.mean([found[name] for found in each])) for name in each[0]}


def _artifacts(
    told: Callable[[State], jax.Array],
    divided: Sequence[links.Divided],
    counted: Callable[[], list[dict[str, np.ndarray]]],
    state: State,
    split: Any,
    key: jax.Array,
) -> dict[str, Any]:
    scores = _scores(np.asarray(told(state))[0], divided[0])
    return {"Links of the first learner": shared.picture(scores, counted()[0], len(divided[0][1]))}
