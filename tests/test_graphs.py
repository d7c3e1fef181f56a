"""Graphs: message passing against dense algebra, the data sets, the task by the launcher."""

import pickle

import jax
import launching
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from launching import (
    REPORT,
    ROOT,
    figures,
    leaves,
    run,
    summary,
)
from scipy.sparse import csr_matrix

from jaxdl import keys, launch, models, ops
from jaxdl.data import graph, karate, les_miserables
from jaxdl.errors import UserError
from jaxdl.runs import checkpoint
from jaxdl.tasks import node_classification

SHORT = ("--config.batch_size=8", "--config.steps=6")


def random_edges(nodes, seed):
    rng = np.random.default_rng(seed)
    pairs = rng.integers(0, nodes, (3 * nodes, 2))
    return graph.create(np.eye(nodes), pairs, np.zeros(nodes, int), "random").edges


def matrix_of(edges, nodes):
    """(nodes, nodes), float64: the weight from node j to i at [i, j]; parallel edges add up."""
    matrix = np.zeros((nodes, nodes))
    np.add.at(matrix, (np.asarray(edges.target), np.asarray(edges.source)), edges.weight)
    return matrix


@settings(max_examples=8, deadline=None)
@given(nodes=st.integers(1, 30), features=st.integers(1, 5), seed=st.integers(0, 99))
def test_sums_over_edges_are_the_normalised_adjacency_times_x(nodes, features, seed):
    edges = random_edges(nodes, seed)
    # Kipf and Welling's equation 2, in float64.
    adjacency = np.eye(nodes)
    adjacency[edges[:, 0], edges[:, 1]] = adjacency[edges[:, 1], edges[:, 0]] = 1
    scale = np.diag(adjacency.sum(axis=1) ** -0.5)
    expected = scale @ adjacency @ scale
    found = ops.normalised(edges, nodes)
    np.testing.assert_allclose(matrix_of(found, nodes), expected, atol=1e-6)
    x = np.random.default_rng(seed).standard_normal((nodes, features)).astype(np.float32)
    np.testing.assert_allclose(ops.aggregate(x, found), expected @ x, atol=1e-5)
    g = np.ones((nodes, features), np.float32)
    slope = jax.vjp(lambda x: ops.aggregate(x, found), x)[1](g)[0]
    np.testing.assert_allclose(slope, expected.T @ g, atol=1e-5)


@pytest.mark.parametrize("hops", [1, 3])
def test_gcn_is_what_its_formula_says(hops):
    edges, n = random_edges(12, 0), 12
    adjacency = matrix_of(ops.normalised(edges, n), n)
    x = np.random.default_rng(0).standard_normal((n, 9)).astype(np.float32)
    module = models.create("gcn", num_classes=3, hidden=(5,), hops=hops)
    variables = jax.jit(module.init)(keys.root(0), x, ops.normalised(edges, n))
    p = jax.tree.map(lambda a: np.asarray(a, np.float64), variables["params"])
    power = np.linalg.matrix_power(adjacency, hops)
    hidden = np.maximum(power @ x @ p["conv_0"]["kernel"] + p["conv_0"]["bias"], 0)
    logits = power @ hidden @ p["head"]["kernel"] + p["head"]["bias"]
    found = jax.jit(module.apply)(variables, x, ops.normalised(edges, n))
    np.testing.assert_allclose(found, logits, atol=1e-5)


def test_gcn_has_the_published_number_of_parameters_for_cora():
    edges = ops.normalised(np.array([[0, 1]]), 2)
    module = models.create("gcn")
    shapes = jax.eval_shape(module.init, keys.root(0), np.zeros((2, 1433), np.float32), edges)
    assert sum(x.size for x in jax.tree.leaves(shapes)) == 23_063


def test_karate_club_is_zacharys():
    club = karate.karate().content
    degrees = np.bincount(club.edges.ravel())
    assert len(club.edges) == 78
    # Figures of the network's literature: 17 friends of the president, 16 of the instructor, 9 and
    # 12 of their seconds, one member with a single friend, 45 triangles.
    assert [degrees[i] for i in (33, 0, 1, 32, 11)] == [17, 16, 9, 12, 1]
    adjacency = np.zeros((34, 34), int)
    adjacency[tuple(club.edges.T)] = 1
    adjacency += adjacency.T
    assert np.trace(np.linalg.matrix_power(adjacency, 3)) // 6 == 45
    assert np.bincount(club.labels).tolist() == [17, 17]
    assert np.flatnonzero(club.train).tolist() == [0, 33]


def test_les_miserables_is_knuths(tmp_path, capsys):
    novel = les_miserables.les_miserables().content
    degrees = np.bincount(novel.edges.ravel(), minlength=77)
    assert len(novel.edges) == len(np.unique(np.sort(novel.edges, axis=1), axis=0)) == 254
    # Of the network's literature: Valjean, Gavroche, Marius and Javert meet most, 467 triangles.
    assert np.sort(degrees)[-4:].tolist() == [17, 19, 22, 36]
    adjacency = np.zeros((77, 77), int)
    adjacency[tuple(novel.edges.T)] = 1
    adjacency += adjacency.T
    assert np.trace(np.linalg.matrix_power(adjacency, 3)) // 6 == 467
    flags = ("--config.data.name=les_miserables", *SHORT)
    assert run("gcn", tmp_path / "classes", *flags, "--config.task.labels_per_class=1") == 2
    assert "no node of the graph has a label" in capsys.readouterr().err


def test_labels_are_drawn_evenly_and_from_the_seed():
    labels = np.repeat(np.arange(3), 20)
    made = graph.create(np.eye(60), [], labels, "test")
    known = graph.known_nodes(made, 5, (0, 1))
    assert np.bincount(labels[known]).tolist() == [5, 5, 5]
    np.testing.assert_array_equal(known, graph.known_nodes(made, 5, (0, 1)))
    assert (known != graph.known_nodes(made, 5, (0, 2))).any()


def planetoid_files(folder, gap=False):
    """A graph of 9 (or, with a missing test node, 10) nodes, 4 features and 2 classes."""
    rng = np.random.default_rng(0)
    x = rng.integers(0, 2, (9, 4)).astype(np.float32)
    y = np.eye(2, dtype=np.int32)[rng.integers(0, 2, 9)]
    test = [9, 6, 7] if gap else [8, 6, 7]
    neighbours = {i: [(i + 1) % 9] for i in range(9)}
    parts = {
        "x": csr_matrix(x[:2]), "y": y[:2], "allx": csr_matrix(x[:6]), "ally": y[:6],
        "tx": csr_matrix(x[6:]), "ty": y[6:], "graph": neighbours,
    }  # fmt: skip
    for name, part in parts.items():
        (folder / f"ind.tiny.{name}").write_bytes(pickle.dumps(part, protocol=2))
    (folder / "ind.tiny.test.index").write_text("\n".join(map(str, test)))
    return x, y, test


@pytest.mark.parametrize("gap", [False, True])
def test_planetoid_files_are_read(tmp_path, gap):
    from jaxdl.data.planetoid import planetoid

    x, y, test = planetoid_files(tmp_path, gap)
    found = planetoid(str(tmp_path)).content
    np.testing.assert_array_equal(found.labels[test], y[6:].argmax(1))
    scaled = x / np.maximum(x.sum(axis=1, keepdims=True), 1e-12)
    np.testing.assert_allclose(found.features[test], scaled[6:])
    np.testing.assert_allclose(found.features[:6], scaled[:6])
    assert len(found.features) == (10 if gap else 9)
    assert np.flatnonzero(found.train).tolist() == [0, 1]
    assert np.flatnonzero(found.test).tolist() == sorted(test)
    assert len(found.edges) == 9
    overrides = ("--config.data.name=planetoid", f"--config.data.path={tmp_path}")
    assert run("gcn", tmp_path / "run", *SHORT, *overrides) == 0


def test_a_pickle_that_would_run_code_is_refused(tmp_path):
    class Harmful:
        def __reduce__(self):
            return print, ("ran",)

    from jaxdl.data.planetoid import planetoid

    planetoid_files(tmp_path)
    (tmp_path / "ind.tiny.graph").write_bytes(pickle.dumps(Harmful()))
    with pytest.raises(UserError, match="print is not part of a graph"):
        planetoid(str(tmp_path))


@pytest.mark.parametrize("part", ["y", "allx", "graph"])
@pytest.mark.parametrize(
    "content",
    [b"", b"\x80", b"\x80\x02.", b"\x80\x02]\x85q\x00.", b"(dp0\nS'a\n", b"\x80\x02X\xff",
     b"\xff" * 9, pickle.dumps([1, 2]), pickle.dumps(np.arange(3))],
)  # fmt: skip
def test_a_broken_pickle_is_one_line(tmp_path, part, content):
    from jaxdl.data.planetoid import planetoid

    planetoid_files(tmp_path)
    (tmp_path / f"ind.tiny.{part}").write_bytes(content)
    with pytest.raises(UserError, match=f"ind.tiny.{part}: not a file of a Planetoid graph"):
        planetoid(str(tmp_path))


def test_smoothed_answers_are_what_the_formula_says():
    """In the limit, (1 - a) (1 - a Â)⁻¹ y, in float64; by sums over edges and in parts."""
    rng, n = np.random.default_rng(0), 12
    edges = ops.normalised(random_edges(n, 0), n)
    logits = rng.standard_normal((n, 3)).astype(np.float32)
    labels, known = rng.integers(0, 3, n), np.arange(n) < 4
    own = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    own[known] = np.eye(3)[labels[known]]
    matrix = matrix_of(edges, n)
    expected = 0.2 * np.linalg.solve(np.eye(n) - 0.8 * matrix, own)
    found = jax.jit(node_classification.smoothed, static_argnums=4)
    given = (logits, labels, known)
    np.testing.assert_allclose(np.exp(found(*given, edges, 0.8)), expected, rtol=1e-3)
    at = ops.places_in_parts(np.bincount(edges.target), 3)
    back = np.argsort(at)
    parts = ops.edges_in_parts(edges, at, 3)
    told = found(*(x[back] for x in given), parts, 0.8)
    np.testing.assert_allclose(np.exp(told)[at], expected, rtol=1e-3)


def test_edges_are_normalised_once(monkeypatch):
    """Those that a GCN hears by are those that its answers are smoothed over."""
    calls, normalised = [], ops.normalised
    monkeypatch.setattr(ops, "normalised", lambda *args: calls.append(1) or normalised(*args))
    other = launching.built("gcn", "--config.task.smoothing=.5", "--config.model.name=graphsage")
    assert other.abstract_state.given.smoothing is not None
    calls.clear()
    one = launching.built("gcn", "--config.task.smoothing=.5")
    state = one.init_state()
    assert len(calls) == 1
    assert state.given.smoothing is None
    told = one.task.score(state, None, one.key)
    assert told["loss"] != launching.built("gcn").task.score(state, None, one.key)["loss"]


BAD = {
    "an edge to nowhere": (
        lambda: graph.create(np.eye(3), [(0, 3)], np.zeros(3, int), "g"),
        r"g: edge \(0, 3\) names a node that is missing: with 3 nodes they go from 0 to 2",
    ),
    "no labels": (lambda: graph.create(np.eye(3), [], None, "g"), "g: the graph has no labels"),
    "no number": (
        lambda: graph.create(
            np.where(np.arange(70_000) < 69_999, 1, np.nan)[:, None], [], np.zeros(70_000, int), "g"
        ),
        "g, node 69999: features must be finite numbers",
    ),
    "a label too few": (
        lambda: graph.create(np.eye(3), [], np.zeros(2, int), "g"),
        r"labels must be \(3,\) whole numbers",
    ),
    "more labels than nodes": (
        lambda: graph.known_nodes(graph.create(np.eye(3), [], np.zeros(3, int), "g"), 3, (0,)),
        "class '0' has only 3 nodes",
    ),
    "which labels are known is not said": (
        lambda: graph.known_nodes(graph.create(np.eye(3), [], np.zeros(3, int), "g"), 0, (0,)),
        "labels_per_class=0, but the graph does not say",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_is_told_in_one_line(case):
    make, message = BAD[case]
    with pytest.raises(UserError, match=message) as caught:
        make()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "flags, message",
    [
        (["--config.data.name=digits"], "needs a graph, not data set 'digits'"),
        (["--config.data.name=planetoid", "--config.data.path=/nowhere"], "there is no file"),
        (["--config.steps=none", "--config.epochs=3"], "no batches to pass over; set"),
        (["--config.model.name="], "config.model.name is not set"),
        (["--config.accumulate=2"], "a graph is learned from as a whole"),
        (["--config.task.smoothing=1."], "config.task.smoothing=1.0 must be at least 0 and below"),
    ],
)
def test_settings_that_cannot_be(flags, message, tmp_path, capsys):
    assert run("gcn", tmp_path / "run", *SHORT, *flags) == 2
    captured = capsys.readouterr().err
    assert message in captured
    assert captured.count("\n") == 1


def test_images_are_asked_for_where_the_task_needs_them(tmp_path, capsys):
    assert run("mlp", tmp_path / "run", "--config.data.name=karate") == 2
    message = capsys.readouterr().err
    assert "learns from batches of examples, and data set 'karate' has none" in message


def test_learners_know_nothing_of_each_other(tmp_path):
    """Each of eight is, within rounding, what it is when only the first four are there."""
    flags = (*SHORT, "--config.model.dropout=0")
    run("gcn", tmp_path / "8", *flags)
    run("gcn", tmp_path / "4", *flags, "--config.batch_size=4")
    pick = lambda folder: checkpoint.restore(tmp_path / folder)["learner"]["params"]
    for eight, four in zip(jax.tree.leaves(pick("8")), jax.tree.leaves(pick("4")), strict=True):
        np.testing.assert_allclose(eight[:4], four, rtol=1e-5, atol=1e-6)
        assert np.abs(eight[4:] - four).max() > 1e-3


@pytest.mark.parametrize(
    "devices", [{"data": 8}, {"data": 4, "strategy": "pmap"}], ids=lambda d: d.get("strategy")
)
def test_one_device_equals_eight(devices, tmp_path):
    flags = (*SHORT, "--config.model.dropout=0.5")
    mesh = [f"--config.parallel.{name}={value}" for name, value in devices.items()]
    assert run("gcn", tmp_path / "one", *flags) == 0
    assert run("gcn", tmp_path / "many", *flags, *mesh) == 0
    for a, b in zip(leaves(tmp_path / "one"), leaves(tmp_path / "many"), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
    one, many = (figures(tmp_path / name, "eval")[-1] for name in ("one", "many"))
    assert one["accuracy"] == many["accuracy"]


@pytest.mark.parametrize("variant", ["", ":digits"])
def test_report_draws_the_graph_and_evaluation_repeats_the_figures(
    variant, finished, tmp_path, capsys
):
    if variant:
        folder = tmp_path / "run"
        assert run("gcn:digits", folder, *SHORT, REPORT, "--config.batch_size=2") == 0
    else:
        folder = finished("gcn")
    assert "<h2>Graph</h2>" in (folder / "report.html").read_text()
    accuracy = summary(folder)["best"]["accuracy"]
    capsys.readouterr()
    file = ROOT / "experiments" / f"gcn.py{variant}"
    assert launch.main([f"--config={file}", f"--workdir={folder}", "--mode=evaluate"]) == 0
    assert f"accuracy {accuracy:.4f}" in capsys.readouterr().out
    assert launch.main([f"--config={file}", f"--workdir={folder}", "--mode=sample"]) == 2
    assert "task 'node_classification' does not" in capsys.readouterr().err
