"""Odd nodes: what is planted, the errors by their formula, runs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny
from launching import REPORT, assert_resumes_to_the_bit, run, summary

from jaxdl import keys, ops
from jaxdl.data.planted import planted
from jaxdl.errors import UserError
from jaxdl.metrics import ranking
from jaxdl.tasks import node_anomaly

PLANTED = "gcn:anomaly"
SMALL = dict(nodes=120, edges=300, communities=3, features=4, cliques=2, clique=5, strangers=6)


def test_cliques_are_joined_and_strangers_are_not_like_their_community():
    graph = planted(**SMALL).content
    assert graph.class_names == ("usual", "clique", "stranger")
    assert np.bincount(graph.labels).tolist() == [104, 10, 6]
    matrix = np.zeros((120, 120), int)
    matrix[tuple(graph.edges.T)] = 1
    matrix += matrix.T
    assert matrix.max() == 1
    inside = matrix[np.ix_(graph.labels == 1, graph.labels == 1)]
    assert inside.sum() >= 2 * 20  # two times ten pairs, both ways
    assert 300 <= len(graph.edges) <= 320
    plain = planted(**SMALL | dict(strangers=0)).content
    # Of another draw of nodes, but the same features before any was changed.
    same = (graph.features == plain.features).all(axis=1)
    assert (~same).sum() == 6
    assert (graph.labels[~same] == 2).all()
    # What a stranger has is another's.
    rows = {row.tobytes() for row in plain.features}
    assert all(row.tobytes() in rows for row in graph.features[~same])
    moved = np.square(graph.features - plain.features).sum(axis=1)[~same]
    apart = np.square(plain.features[:, None] - plain.features).sum(axis=-1)
    assert moved.min() > np.median(apart)


@pytest.mark.parametrize(
    "change, message",
    [
        (dict(clique=1), "data.clique=1 must be at least 2"),
        (dict(cliques=0, strangers=0), "0 cliques of 5 and 0 strangers must be at least one node"),
        (dict(cliques=99), "at most half of all"),
        (dict(within=1.0), "data.within=1.0 must be above 0"),
        (dict(edges=9999), "data.edges=9999 must be at most"),
    ],
)
def test_what_cannot_be_planted(change, message):
    with pytest.raises(UserError, match=message):
        planted(**SMALL | change)


def small_graph():
    rng = np.random.default_rng(0)
    pairs = np.array([(0, 1), (0, 2), (1, 2), (2, 3)])
    x = jnp.asarray(rng.standard_normal((5, 3)), jnp.float32)
    absent = np.array([(0, 3), (1, 3), (0, 4)])
    edges = ops.normalised(pairs, 5)
    given = node_anomaly.Given(x, edges, jnp.asarray(pairs), jnp.asarray(absent))
    told = jnp.asarray(rng.standard_normal((5, 5)), jnp.float32)
    return given, told


def test_errors_are_those_of_the_formula():
    given, told = small_graph()
    made, vectors = told[:, :3], np.float64(told[:, 3:])
    found = node_anomaly.node_errors(made, told[:, 3:], given, 0.3)
    expected = 0.7 * np.square(np.float64(made) - given.features).mean(axis=1)
    nats = lambda a, b: np.log1p(np.exp(-vectors[a] @ vectors[b]))
    around = {0: (1, 2), 1: (0, 2), 2: (0, 1, 3), 3: (2,), 4: ()}
    for node, others in around.items():
        expected[node] += 0.3 * np.mean([nats(node, b) for b in others]) if others else 0
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_the_loss_is_the_formulas_and_has_slopes():
    given, told = small_graph()
    forward = lambda params, model_state, key, *inputs: (params, model_state)
    loss = lambda told: (
        node_anomaly.training_loss(
            forward, 0.3, told, {}, {"given": given}, keys.root(0)
        ).loss.total
    )
    drawn = jax.random.randint(keys.named(keys.root(0), "absent"), (4,), 0, 3)
    vectors = np.float64(told[:, 3:])
    score = lambda pairs: np.array([vectors[a] @ vectors[b] for a, b in np.asarray(pairs)])
    nats = [*np.logaddexp(0, -score(given.pairs)), *np.logaddexp(0, score(given.absent[drawn]))]
    squares = np.square(np.float64(told[:, :3]) - given.features).mean()
    assert float(loss(told)) == pytest.approx(0.7 * squares + 0.3 * np.mean(nats), rel=1e-5)
    slope = jax.grad(loss)(told)
    assert np.isfinite(slope).all()
    assert (slope[:4] != 0).any(axis=1).all()


def test_odd_nodes_are_found_and_reported(tmp_path):
    flags = (*tiny.FLAGS[PLANTED], "--config.steps=60", "--config.eval.every=60")
    fast = ("--config.optimizer.learning_rate=.03", "--config.model.hidden=(8,)")
    assert run(PLANTED, tmp_path, *flags, *fast, REPORT) == 0
    final = summary(tmp_path)["final"]
    graph = planted(**SMALL).content
    degrees = np.bincount(graph.edges.ravel(), minlength=120)
    assert final["degree_auroc"] == pytest.approx(ranking.auroc(degrees, graph.labels > 0))
    asked = graph.labels != 2
    cliques = ranking.auroc(degrees[asked], graph.labels[asked] == 1)
    assert final["degree_auroc/clique"] == pytest.approx(cliques)
    assert final["auroc/stranger"] > 0.8
    assert final["auroc"] > final["degree_auroc"]
    assert "<h2>Odd nodes</h2>" in (tmp_path / "report.html").read_text()


def test_it_is_cut_and_goes_on(tmp_path):
    small = (*tiny.FLAGS[PLANTED], "--config.optimizer.name=sgd", "--config.eval.every=6")
    assert_resumes_to_the_bit(PLANTED, tmp_path, *small, "--config.checkpoint.every=2", at=4)


@pytest.mark.parametrize(
    "flags, message",
    [
        (("--config.task.usual=normal",), "config.task.usual='normal' must be one of several"),
        (("--config.task.structure=1.5",), "config.task.structure=1.5 must be at least 0 and at"),
        (("--config.task.dimensions=0",), "config.task.dimensions=0 must be at least 1"),
        (("--config.accumulate=2",), "config.accumulate=2 must be 1"),
    ],
)
def test_settings_that_cannot_be(flags, message, tmp_path, capsys):
    assert run(PLANTED, tmp_path / "run", *tiny.FLAGS[PLANTED], *flags) == 2
    captured = capsys.readouterr().err
    assert message in captured
    assert captured.count("error:") == 1
