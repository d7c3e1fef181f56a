"""A graph in parts: the same sums, networks and runs, wherever its nodes lie."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny
from launching import assert_resumes_to_the_bit, figures, leaves, run

from jaxdl import keys, models, ops, parallel
from jaxdl.ops import graph_parts
from jaxdl.tasks import node_anomaly
from jaxdl.tasks.shared import links
from jaxdl.tasks.shared.graph_on_devices import Divided

NODES, PARTS = 21, 8


def graph(features=None):
    """Edges (both ways, hubs, loops left out, two nodes alone), and their form in parts."""
    rng = np.random.default_rng(0)
    pairs = np.minimum(rng.integers(0, NODES - 2, (60, 2)), rng.integers(0, NODES - 2, (60, 2)))
    how = dict(weight=rng.random(60), features=features)
    whole = ops.connect(pairs, NODES, both_ways=True, loops=False, **how)
    at = ops.places_in_parts(np.bincount(whole.target, minlength=NODES), PARTS)
    return whole, ops.edges_in_parts(whole, at, PARTS), at


def laid(x, at):
    made = np.zeros((PARTS * -(-NODES // PARTS), *x.shape[1:]), np.float32)
    made[at] = x
    return made


def test_every_node_has_a_place_and_every_edge_stands_with_its_receiver():
    whole, parts, at = graph()
    assert len(set(at.tolist())) == NODES
    own = -(-NODES // PARTS)
    assert at.max() < PARTS * own
    back = np.full(PARTS * own, -1)
    back[at] = np.arange(NODES)
    real = np.asarray(parts.target) < own
    target = (np.asarray(parts.target) + own * np.arange(PARTS)[:, None])[real]
    found = zip(back[np.asarray(parts.source)[real]], back[target], parts.weight[real], strict=True)
    assert sorted(found) == sorted(zip(whole.source, whole.target, whole.weight, strict=True))
    assert (np.diff(np.asarray(parts.target), axis=1) >= 0).all()
    assert (np.asarray(parts.weight)[~real] == 0).all()


def test_parts_have_as_many_edges_nearly():
    degrees = np.random.default_rng(0).geometric(0.02, 10_000)
    at = ops.places_in_parts(degrees, 8)
    each = np.bincount(at // 1250, degrees, 8)
    assert each.max() <= 1.01 * each.mean()


NETWORKS = {
    "gcn": dict(hidden=(6,), hops=2),
    "gat": dict(hidden=(3,), heads=2, attention_dropout=0.0),
    "gatv2": dict(hidden=(3,), heads=2, hops=2, attention_dropout=0.0),
    "graphsage": dict(hidden=(6,), aggregation="max", pooled=True, norm="layer"),
    "gin": dict(hidden=(6,), norm=""),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_values_and_gradients_are_those_of_the_whole_graph(name):
    """On eight devices and on one; with edges' features where a network has them."""
    rng = np.random.default_rng(1)
    whole, parts, at = graph(rng.standard_normal((60, 2)) if name in ("gat", "gin") else None)
    x, w = (rng.standard_normal((NODES, d)).astype(np.float32) for d in (5, 3))
    module = models.create(name, num_classes=3, dropout=0.0, **NETWORKS[name])
    variables = jax.jit(module.init)(keys.root(0), x, whole)

    def loss(variables, x, w, edges):
        return (module.apply(variables, x, edges) * w).sum()

    slopes = jax.jit(jax.value_and_grad(loss, (0, 1)))
    expected, (of_weights, of_x) = slopes(variables, x, w, whole)
    layout = parallel.create(dict(strategy="jit", data=4, fsdp=2, tensor=1, fsdp_min_size=1e9), 8)
    given = jax.device_put((laid(x, at), laid(w, at), parts), layout.batch())
    placed = jax.device_put(variables, layout.replicated)
    with jax.set_mesh(layout.mesh):
        many = slopes(placed, *given)
    for found, (own, of_places) in (slopes(variables, laid(x, at), laid(w, at), parts), many):
        assert found == pytest.approx(float(expected), rel=1e-5, abs=1e-5)
        np.testing.assert_allclose(of_places[at], of_x, rtol=1e-5, atol=1e-5)
        for a, b in zip(jax.tree.leaves(own), jax.tree.leaves(of_weights), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


def test_a_device_computes_its_own_parts():
    """No device has more of the edges than its own, and sums go back to where rows came from."""
    _, parts, _ = graph()
    layout = parallel.create(dict(strategy="jit", data=8, fsdp=1, tensor=1, fsdp_min_size=1), 8)
    x = jax.device_put(jnp.ones((PARTS * -(-NODES // PARTS), 4)), layout.batch())
    edges = jax.device_put(parts, layout.batch())
    slope = jax.jit(jax.grad(lambda x, edges: jnp.square(ops.aggregate(x, edges)).sum()))
    with jax.set_mesh(layout.mesh):
        lowered = slope.lower(x, edges)
    assert lowered.as_text().count("all_gather") > 0
    text = lowered.compile().as_text()
    most = parts.source.shape[1]
    assert f"f32[{most},4]" in text or f"f32[1,{most},4]" in text
    assert f"f32[{PARTS},{most},4]" not in text
    assert "reduce-scatter" in text


def test_without_a_mesh_that_divides_them_parts_are_computed_together():
    layout = parallel.create(dict(strategy="jit", data=3, fsdp=1, tensor=1, fsdp_min_size=1), 3)
    x, own = jnp.arange(16.0), jnp.arange(8.0)
    twice = lambda x, own: x.sum() * own
    with jax.set_mesh(layout.mesh):
        found = jax.jit(lambda x, own: graph_parts.over_parts(twice, x, own))(x, own)
    np.testing.assert_allclose(found, 120 * np.arange(8.0))


def divided():
    """A graph's pairs, more of which none joins than parts, and where its nodes lie."""
    rng = np.random.default_rng(2)
    every = np.stack(np.triu_indices(NODES - 2, 1), axis=1)
    joined = rng.permutation(len(every)) < 43
    at = ops.places_in_parts(np.bincount(every[joined].ravel(), minlength=NODES), PARTS)
    return every[joined], every[~joined], Divided(PARTS, at, PARTS * -(-NODES // PARTS))


def test_pairs_are_dealt_out_and_what_fills_up_counts_for_nothing():
    """The loss of known links and drawn pairs, by its formula; on eight devices and on one."""
    joined, absent, where = divided()
    pairs, others = where.pairs(joined), where.some_pairs(absent)
    assert pairs.shape == (PARTS, 6, 2)
    real = np.asarray(links.is_pair(pairs))
    np.testing.assert_array_equal(pairs[real], where.at[joined])
    every, counts = np.unique(others.reshape(-1, 2), axis=0, return_counts=True)
    np.testing.assert_array_equal(every, np.unique(where.at[absent], axis=0))
    assert others.size == 2 * counts.sum()
    assert counts.max() <= 2

    told = where.laid(np.random.default_rng(3).standard_normal((NODES, 4)).astype(np.float32))
    drawn = jax.random.randint(keys.named(keys.root(0), "absent"), (PARTS, 6), 0, others.shape[1])
    drawn = np.take_along_axis(others, np.asarray(drawn)[..., None], axis=1)[real]
    score = lambda ends: np.einsum("ij,ij->i", *(np.float64(told[ends[:, i]]) for i in (0, 1)))
    nats = [*np.logaddexp(0, -score(pairs[real])), *np.logaddexp(0, score(drawn))]

    def loss(told, pairs, others):
        found = links.loss_of_known(told, pairs, others, keys.root(0))
        return found.total / found.weight

    slope = jax.jit(jax.value_and_grad(loss))
    one, of_one = slope(told, pairs, others)
    layout = parallel.create(dict(strategy="jit", data=8, fsdp=1, tensor=1, fsdp_min_size=1), 8)
    with jax.set_mesh(layout.mesh):
        many, of_many = slope(*jax.device_put((told, pairs, others), layout.batch()))
    assert float(one) == pytest.approx(np.mean(nats), rel=1e-5)
    assert float(many) == pytest.approx(np.mean(nats), rel=1e-5)
    np.testing.assert_allclose(of_many, of_one, rtol=1e-5, atol=1e-6)


def test_errors_of_nodes_are_those_of_the_whole_graph():
    joined, absent, where = divided()
    rng = np.random.default_rng(4)
    x, made, vectors = (rng.standard_normal((NODES, d)).astype(np.float32) for d in (3, 3, 2))
    whole = node_anomaly.Given(x, ops.normalised(joined, NODES), joined, absent)
    pairs = where.pairs(joined), where.some_pairs(absent)
    adjacency = where.adjacency(ops.normalised, joined)
    parts = node_anomaly.Given(where.laid(x), adjacency, *pairs, where.is_node)
    expected = node_anomaly.node_errors(made, vectors, whole, 0.3)
    given = (jnp.asarray(where.laid(x)) for x in (made, vectors))
    found = node_anomaly.node_errors(*given, parts, 0.3)
    np.testing.assert_allclose(where.of_nodes(found), expected, rtol=1e-5)
    # And all of the loss but what is drawn.
    forward = lambda params, model_state, key, *inputs: (params, model_state)
    loss = lambda given, lay: node_anomaly.training_loss(
        forward, 0.0, jnp.concatenate([lay(made), lay(vectors)], 1), {}, {"given": given},
        keys.root(0),
    ).loss.total  # fmt: skip
    assert float(loss(parts, where.laid)) == pytest.approx(
        float(loss(whole, lambda x: x)), rel=1e-6
    )


SHORT = ("--config.steps=6", "--config.eval.every=3", "--config.batch_size=3")
PLAIN = ("--config.optimizer.name=sgd", "--config.optimizer.learning_rate=.3")


def test_devices_and_time_change_no_number(tmp_path):
    """Cut and gone on with on eight devices, and on one."""
    small = (*SHORT, *PLAIN, "--config.task.parts=8")
    eight = ("--config.parallel.data=8", "--config.checkpoint.every=2")
    assert_resumes_to_the_bit("gcn", tmp_path, *small, *eight, at=4)
    one, many = tmp_path / "1", tmp_path / "whole"
    assert run("gcn", one, *small, "--config.parallel.data=1") == 0
    for a, b in zip(leaves(one), leaves(many), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
    one, many = (figures(folder, "eval")[-1] for folder in (one, many))
    assert one["accuracy"] == many["accuracy"]


@pytest.mark.slow(
    "jaxdl/tasks/link_prediction.py", "jaxdl/tasks/node_anomaly.py", "jaxdl/ops/graph_parts.py"
)
@pytest.mark.parametrize("experiment", ["gcn:links", "gcn:anomaly"])
def test_links_and_odd_nodes_are_the_same_on_any_devices(experiment, tmp_path):
    small = (*tiny.FLAGS[experiment], *SHORT, *PLAIN, "--config.task.parts=8")
    eight = ("--config.parallel.data=8", "--config.checkpoint.every=2")
    assert_resumes_to_the_bit(experiment, tmp_path, *small, *eight, at=4)
    one, many = tmp_path / "1", tmp_path / "whole"
    assert run(experiment, one, *small, "--config.parallel.data=1") == 0
    for a, b in zip(leaves(one), leaves(many), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
    one, many = (figures(folder, "eval")[-1] for folder in (one, many))
    for name in ("auroc", "loss") if experiment == "gcn:links" else ("auroc", "auroc/stranger"):
        assert one[name] == pytest.approx(many[name], rel=1e-3)


@pytest.mark.parametrize(
    "flags, message",
    [
        (("--config.task.parts=0",), "config.task.parts=0 must be at least 1"),
        (("--config.task.parts=35",), "config.task.parts=35 must be at most 34, the nodes of the"),
        (
            ("--config.task.parts=3", "--config.parallel.data=2"),
            "config.task.parts=3 does not divide over 2 devices: use 4",
        ),
        (
            ("--config.task.parts=2", "--config.parallel.strategy=pmap"),
            "config.task.parts=2 must be 1 with config.parallel.strategy='pmap'",
        ),
        (
            ("--config.task.parts=2", "--config.model.norm=graph"),
            "config.task.parts=2 must be 1 with config.model.norm='graph'",
        ),
        (
            ("--config.task.parts=2", "--config.population=2"),
            "config.task.parts=2 must be 1: devices share the members of a population",
        ),
    ],
)
def test_settings_that_cannot_be(flags, message, tmp_path, capsys):
    assert run("gcn", tmp_path / "run", *SHORT, *flags) == 2
    captured = capsys.readouterr().err
    assert message in captured
    assert captured.count("\n") == 1
