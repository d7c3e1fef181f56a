"""Nodes of large graphs: networks on what was drawn, all nodes layer by layer, runs."""

import jax
import numpy as np
import pytest
import tiny
from launching import (
    REPORT,
    assert_resumes_to_the_bit,
    built,
    figures,
    leaves,
    run,
    summary,
)

from jaxdl import keys, models, ops
from jaxdl.data import csr, large_graph, neighbours
from jaxdl.errors import UserError
from jaxdl.tasks import sampled_node_classification as task
from jaxdl.tasks.shared import layer_wise

NODES, FEATURES = 40, 5


def random_graph():
    rng = np.random.default_rng(0)
    graph = csr.create(*rng.integers(0, NODES - 2, (2, 150)), NODES, "random")  # two are alone
    return graph, rng.standard_normal((NODES, FEATURES)).astype(np.float32)


def whole(graph):
    """The same edges as one piece."""
    target = np.repeat(np.arange(graph.nodes), graph.degrees)
    pairs = np.stack([graph.indices, target], axis=1)
    return ops.connect(pairs, graph.nodes, weight=graph.weights)


def network(hidden=(6, 6), **fields):
    return models.create("graphsage", num_classes=3, hidden=hidden, dropout=0.0, **fields)


def split(graph, x, fan_out, seeds=8):
    labels = np.arange(NODES) % 3
    return neighbours.Neighbourhoods(graph, x, labels, np.arange(16), seeds, fan_out)


FIELDS = {
    "mean": {},
    "sum": dict(aggregation="sum", residual=True, norm="layer"),
    "pooled": dict(aggregation="max", pooled=True, normalised=True),
    "jump": dict(jump="concatenate"),
    "largest": dict(jump="max", hidden=(6,)),
    "one": dict(hidden=()),
    "weights": dict(aggregation="sum", hidden=(6,)),
}


@pytest.mark.parametrize("case", FIELDS)
def test_with_all_neighbours_and_layer_by_layer_it_is_the_network_on_the_whole_graph(case):
    graph, x = random_graph()
    if case == "weights":
        own = np.random.default_rng(1).random(len(graph.indices), np.float32) + 0.1
        graph = graph._replace(weights=own)
    module = network(**FIELDS[case])
    edges = whole(graph)
    variables = jax.jit(module.init)(keys.root(0), x, edges)
    expected = np.asarray(jax.jit(module.apply)(variables, x, edges))

    own = split(graph, x, (99,) * module.depth)
    batch = own.take(np.arange(2))

    def of_drawn(example):
        return module.apply(variables, example["features"], task.hops(module, own.room, example))

    found = jax.jit(jax.vmap(of_drawn))(batch)
    assert found.shape == (2, 8, 3)
    seeds = np.random.default_rng(0).permutation(np.arange(16)).reshape(2, 8)
    np.testing.assert_allclose(found, expected[seeds], atol=2e-6)

    stretches = layer_wise.Stretches(graph, 30)
    assert len(stretches) > 5
    each = layer_wise.layers(module)
    told = layer_wise.layer_wise(each, bool(module.jump), variables, x, stretches)
    np.testing.assert_allclose(told, expected, atol=2e-6)


@pytest.mark.parametrize("aggregation", ["sum", "mean"])
def test_a_layer_on_what_is_drawn_is_unbiased(aggregation):
    """Over 400 draws it tells what it tells of all neighbours, within 4.5 standard errors."""
    graph, x = random_graph()
    module = network(hidden=(), aggregation=aggregation)
    edges = whole(graph)
    variables = jax.jit(module.init)(keys.root(1), x, edges)
    expected = np.asarray(jax.jit(module.apply)(variables, x, edges))[:16]
    own = split(graph, x, (2,), seeds=16)
    numbers = np.arange(400)
    apply = lambda example: module.apply(
        variables, example["features"], task.hops(module, own.room, example)
    )
    told = np.array(jax.jit(jax.vmap(apply))(own.take(numbers)))
    for i in numbers:  # each pass has an order of its own
        told[i] = told[i][np.argsort(np.random.default_rng(i).permutation(np.arange(16)))]
    error = told.std(axis=0) / len(told) ** 0.5
    assert (np.abs(told.mean(axis=0) - expected) <= 4.5 * error + 1e-5).all()
    assert (error > 0.005).mean() > 0.5


def test_stretches_have_every_node_and_edge_once():
    graph, _ = random_graph()
    stretches = layer_wise.Stretches(graph, 1)  # the largest degree is more
    batch = stretches.take(np.arange(len(stretches)))
    np.testing.assert_array_equal(stretches.joined(batch["node"]), np.arange(NODES))
    real = batch["target"] < batch["node"].shape[1]
    target = np.take_along_axis(batch["node"], np.where(real, batch["target"], 0), axis=1)[real]
    np.testing.assert_array_equal(target, np.repeat(np.arange(NODES), graph.degrees))
    np.testing.assert_array_equal(batch["source"][real], graph.indices)
    empty = csr.create(*np.zeros((2, 0), int), 3, "none")
    assert len(layer_wise.Stretches(empty, 9)) == 3


BLOCKS = "graphsage:blocks"


def test_one_program_takes_every_batch():
    one, traces = built(BLOCKS), []

    def step(state, batch, key):
        traces.append(1)
        return one.task.train_step(state, batch, key)

    step, state = jax.jit(step), one.init_state()
    for i in range(20):  # three passes
        state, _ = step(state, one.batch(i), one.key)
    assert len(traces) == 1
    for a, b in zip(jax.tree.leaves(one.batch(7)), jax.tree.leaves(one.batch(7)), strict=True):
        np.testing.assert_array_equal(a, b)


def test_devices_and_time_change_no_number(tmp_path):
    """Cut and gone on with, and on several devices, by sharding and by pmap."""
    plain = ("--config.optimizer.name=sgd", "--config.optimizer.learning_rate=.1")
    small = (*tiny.FLAGS[BLOCKS], *plain, "--config.batch_size=8", "--config.eval.every=3")
    assert_resumes_to_the_bit(BLOCKS, tmp_path, *small, "--config.checkpoint.every=2", at=4)
    for how in (("data=8",), ("data=4", "strategy=pmap")):
        many = tmp_path / how[-1]
        assert run(BLOCKS, many, *small, *(f"--config.parallel.{x}" for x in how)) == 0
        for a, b in zip(leaves(tmp_path / "whole"), leaves(many), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
        one, other = (figures(folder, "eval")[-1] for folder in (tmp_path / "whole", many))
        assert one["accuracy"] == other["accuracy"]


def test_members_of_a_population_are_runs_by_themselves(tmp_path):
    # Regressions end where they change little, and so a little elsewhere.
    small = (*tiny.FLAGS[BLOCKS], "--config.optimizer.eps=1e-3", "--config.eval.every=6")
    small += ("--config.task.rounds=0",)
    assert run(BLOCKS, tmp_path / "both", *small, "--config.population=2") == 0
    both = summary(tmp_path / "both")["members"]
    for i, member in enumerate(both):
        assert run(BLOCKS, tmp_path / str(i), *small, f"--config.seed={i}") == 0
        alone = summary(tmp_path / str(i))["final"]
        assert member["final"] == pytest.approx(alone, rel=1e-4)
    assert both[0]["final"]["loss"] != both[1]["final"]["loss"]


def test_a_run_learns_and_reports(tmp_path, capsys):
    flags = (*tiny.FLAGS[BLOCKS], "--config.steps=120", "--config.eval.every=120")
    flags += ("--config.model.hidden=(16,16)", "--config.optimizer.learning_rate=.02")
    assert run(BLOCKS, tmp_path, *flags, "--config.task.rounds=6", REPORT) == 0
    final = summary(tmp_path)["final"]
    assert final["accuracy"] > 0.8  # of five classes, where nobody has above .925
    assert 0.4 < final["network_accuracy"] < final["accuracy"]
    page = (tmp_path / "report.html").read_text()
    assert "<h2>Confusion matrix</h2>" in page
    assert "<h2>Answers</h2>" in page
    assert "no classifier has an accuracy above" in capsys.readouterr().err


@pytest.mark.parametrize(
    "flags, message",
    [
        (
            ("--config.data.fan_out=(3,)",),
            "must have a number for each layer of the model",
        ),
        (("--config.model.norm=batch",), "config.model.norm='batch' is over all nodes of a graph"),
        (("--config.task.edges_at_once=0",), "config.task.edges_at_once=0 must be at least 1"),
        (("--config.data.fan_out=(3,0)",), "data.fan_out=(3, 0) must have a whole number"),
    ],
)
def test_settings_that_cannot_be(flags, message, tmp_path, capsys):
    assert run(BLOCKS, tmp_path / "run", *tiny.FLAGS[BLOCKS], *flags) == 2
    captured = capsys.readouterr().err
    assert message in captured
    assert captured.count("error:") == 1
    assert captured.splitlines()[-1].startswith("error:")


def test_models_and_data_that_are_none_for_it(tmp_path, capsys):
    few = [flag for flag in tiny.FLAGS[BLOCKS] if ".data." in flag]
    own = ("--config.task.name=sampled_node_classification", "--config.batch_size=2")
    assert run("gat", tmp_path / "a", "--config.data.name=blocks", *few, *own) == 2
    assert "'gatv2' does not learn from neighbours that are drawn" in capsys.readouterr().err
    assert (
        run("gat", tmp_path / "a", "--config.data.name=blocks", *few, "--config.batch_size=2") == 2
    )
    assert "needs a graph, not data set 'blocks'" in capsys.readouterr().err
    assert run("gat", tmp_path / "b", *own) == 2
    assert "needs neighbourhoods of a large graph, not data set 'karate'" in capsys.readouterr().err


BAD = {
    "features": (dict(features=np.full((3, 1), np.nan)), "g, row 1: features must be finite"),
    "as many": (dict(features=np.ones((2, 1))), r"g: features must be \(3, features\)"),
    "a label": (dict(labels=np.array([0, 5, 1])), "g, row 2: label 5 is none: with 2 classes"),
    "labels": (dict(labels=np.zeros(3)), r"g: labels must be \(3,\) whole numbers"),
    "none known": (dict(known=np.zeros(3, bool)), "g: no node with a label is to learn from"),
    "all known": (dict(known=np.ones(3, bool)), "g: no node with a label is to be measured on"),
}


@pytest.mark.parametrize("case", BAD)
def test_graphs_that_cannot_be_are_told_with_the_row(case):
    changed, message = BAD[case]
    graph = csr.create(np.array([0]), np.array([1]), 3, "g")
    given = dict(features=np.ones((3, 1)), labels=np.array([0, 1, -1]), known=np.arange(3) < 1)
    given |= changed
    features, labels = given.pop("features"), given.pop("labels")
    make = lambda: large_graph.create(
        graph, features, labels, "ab", "g", seeds=2, fan_out=(2,), first_row=1, **given
    )
    with pytest.raises(UserError, match=message) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_figures_and_pictures_go_over_the_graph_once(monkeypatch):
    """And rounds behind the network are told of beside it."""
    passes, whole_pass = [], layer_wise.layer_wise
    count = lambda *args: passes.append(1) or whole_pass(*args)
    monkeypatch.setattr(layer_wise, "layer_wise", count)
    one = built(BLOCKS, "--config.task.rounds=2")
    state = one.init_state()
    found = one.task.score(state, None, one.key)
    assert one.task.artifacts(state, None, one.key)["Answers"].endswith("answers are wrong.")
    assert len(passes) == 1
    assert set(found) == {"loss", "accuracy", "network_accuracy"}
    other, _ = one.task.train_step(state, one.batch(0), one.key)
    assert one.task.score(other, None, one.key)["loss"] != found["loss"]
    assert len(passes) == 2


def test_a_hub_makes_no_stretch_larger_than_it_needs():
    """All stretches together have room for twice the edges, and for one stretch."""
    rng = np.random.default_rng(2)
    leaves = np.arange(1, 2000)
    pairs = np.stack([np.zeros_like(leaves), leaves])  # all are joined to the first
    graph = csr.create(*np.concatenate([pairs, rng.integers(0, 2000, (2, 500))], axis=1), 2000, "g")
    for edges in (1, 100, 5000):
        stretches = layer_wise.Stretches(graph, edges)
        made = stretches.take(np.arange(len(stretches)))
        most = max(edges, graph.degrees.max())
        assert made["source"].shape[1] <= min(most, len(graph.indices))
        assert made["source"].size <= 2 * len(graph.indices) + most
        assert made["node"].shape[1] <= most
