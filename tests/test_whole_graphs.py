"""Whole graphs are classified: packed into one, pooled, and read from digits or files."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny
from both_modes import check, direction, jitted
from launching import REPORT, assert_resumes_to_the_bit, figures, leaves, run

from jaxdl import config, data, keys, layers, models, ops
from jaxdl.data import digits_strokes, tudataset
from jaxdl.data.graph_examples import Example, Graphs
from jaxdl.errors import UserError
from jaxdl.report import graph_layout
from jaxdl.tasks import graph_classification

POOLS = {
    "sum": lambda x: x.sum(axis=0),
    "mean": lambda x: x.mean(axis=0) if len(x) else x.sum(axis=0),
    "max": lambda x: x.max(axis=0) if len(x) else x.sum(axis=0),
}


def load(**changed):
    return data.load({**config.default().data.to_dict(), **changed})


def graph(nodes, pairs, label=0, seed=0):
    features = np.random.default_rng((seed, nodes)).normal(size=(nodes, 3))
    return Example(features, np.array(pairs, int).reshape(-1, 2), label)


# A path, a single node, a graph without nodes, a node that hears nobody and one heard twice.
EACH = [
    graph(3, [(1, 0), (0, 1), (2, 1), (1, 2)]),
    graph(1, []),
    graph(0, []),
    graph(4, [(0, 3), (0, 3), (2, 0), (1, 2), (3, 0)]),
]
SOME = Graphs(EACH)
# The same, whose edges have features of which float32 has the means too.
FEATURED = Graphs(
    [
        e._replace(edge_features=np.random.default_rng(9).integers(-9, 9, (len(e.edges), 2)))
        for e in EACH
    ]
)


def packed(batch, more=0):
    """The network's inputs, in float64, with ``more`` empty places and edges."""
    nodes = np.pad(np.float64(batch["nodes"]), ((0, 0), (0, more), (0, 0)))
    edges = np.pad(batch["edges"], ((0, 0), (0, more), (0, 0)), constant_values=99)
    edges = np.where(edges >= batch["nodes"].shape[1] - 1, nodes.shape[1] - 1 + more, edges)
    return *ops.pack_graphs(jnp.asarray(nodes), jnp.asarray(edges)), jnp.asarray(batch["size"])


def by_formula(params, x, edges, pool):
    """Xu et al., equation 4.1 and a readout of all layers, of one graph, in NumPy."""
    dense = lambda p, x: x @ np.float64(p["kernel"]) + np.float64(p["bias"])
    adjacency = np.zeros((len(x), len(x)))
    np.add.at(adjacency, (edges[:, 1], edges[:, 0]), 1)
    each = []
    for i in range(2):
        conv = params[f"conv_{i}"]
        heard = (1 + np.float64(conv["epsilon"])) * x + adjacency @ x
        hidden = np.maximum(dense(conv["dense_0"], heard), 0)
        x = np.maximum(dense(conv["dense_1"], hidden), 0)
        each.append(x)
    return dense(params["head"], POOLS[pool](np.concatenate(each, axis=1)))


@pytest.mark.parametrize("pool", POOLS)
def test_logits_of_each_graph_are_those_of_the_formula(pool):
    fields = dict(hidden=(5, 5), num_classes=4, jump="concatenate", learned=True, norm="")
    module = models.create("gin", **fields, pool=pool, dtype=jnp.float64)
    with jax.enable_x64(True):
        inputs = packed(SOME.take(np.arange(4)))
        shapes = jax.eval_shape(module.init, keys.root(0), *inputs)["params"]
        params = jax.tree.map(lambda x: 0.5 * x.astype(jnp.float64), direction(shapes, 1))
        found = jitted(module.apply)({"params": params}, *inputs)
    assert found.shape == (4, 4)
    for i in range(4):
        x, edges = SOME.graph(i)
        wanted = by_formula(params, np.float64(x), edges, pool)
        np.testing.assert_allclose(found[i], wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("norm, pool", [("batch", "attention"), ("graph", "max")])
def test_padding_changes_nothing(norm, pool):
    """Neither values nor gradients nor statistics, which are of the nodes alone."""
    fields = dict(hidden=(5,), num_classes=4, residual=True, norm=norm, dropout=0.0)
    module = models.create("gin", **fields, pool=pool, dtype=jnp.float64)

    def everything(*inputs):
        variables = module.init(keys.root(0), *inputs)
        rest = {k: v for k, v in variables.items() if k != "params"}

        def loss(params):
            out, new = module.apply(
                {"params": params, **rest}, *inputs, train=True, mutable=[*rest]
            )
            return jnp.sin(out).sum(), (out, new)

        return jax.grad(loss, has_aux=True)(variables["params"])

    with jax.enable_x64(True):
        batch = SOME.take(np.arange(4))
        found, more = (jitted(everything)(*packed(batch, more)) for more in (0, 3))
        for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(more), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)
            assert np.isfinite(a).all()


@pytest.mark.parametrize(
    "self_loops, model", [(True, "gat"), (False, "gat"), (True, "gatv2"), (False, "gin")]
)
def test_what_is_heard_in_a_batch_of_graphs_is_that_in_each(self_loops, model):
    """By features of edges too, with two of the four."""
    fields = dict(heads=2, self_loops=self_loops) if model != "gin" else dict(norm="")
    fields |= dict(hidden=(3, 3), num_classes=4, pool="max", residual=True)
    module = models.create(model, **fields, dtype=jnp.float64)
    graphs = FEATURED if model in ("gatv2", "gin") else SOME
    with jax.enable_x64(True):
        batch = graphs.take(np.arange(4))
        more = {}
        if graphs is FEATURED:
            more["features"] = jnp.asarray(batch["edge_features"], float)
        x = jnp.asarray(np.pad(np.float64(batch["nodes"]), ((0, 0), (0, 2), (0, 0))))
        edges = jnp.asarray(batch["edges"])
        inputs = (*ops.pack_graphs(x, edges, self_loops, **more), jnp.asarray(batch["size"]))
        assert (jnp.diff(inputs[1].target) >= 0).all()
        shapes = jax.eval_shape(module.init, keys.root(0), *inputs)["params"]
        params = jax.tree.map(lambda x: x.astype(jnp.float64), direction(shapes, 1))
        found = jitted(module.apply)({"params": params}, *inputs)
        assert np.isfinite(found).all()
        for i in (0, 1, 3):
            own, pairs = graphs.graph(i)
            more = {"features": graphs.edge_features(i)} if graphs is FEATURED else {}
            alone = ops.connect(pairs, len(own), loops=self_loops, **more)
            own, size = jnp.asarray(own, jnp.float64), jnp.array([len(own)])
            wanted = module.apply({"params": params}, own, alone, size)
            np.testing.assert_allclose(found[i], wanted[0], rtol=1e-10, atol=1e-12)


def test_a_run_by_attention(tmp_path):
    assert run("gin", tmp_path, *tiny.FLAGS["gin"], "--config.model.name=gat", REPORT) == 0
    assert 0 <= figures(tmp_path, "eval")[-1]["accuracy"] <= 1
    assert "attention_source" in (tmp_path / "report.html").read_text()


def test_statistics_of_a_batch_norm_are_of_what_is_weighted():
    x = np.random.default_rng(0).normal(3, 2, (4, 5, 2))
    weights = np.float64(np.arange(20).reshape(4, 5) % 3 > 0)
    own = x[weights > 0]
    x[weights == 0] = np.inf
    norm = layers.BatchNorm(use_running_average=False, momentum=0.0)
    with jax.enable_x64(True):
        run = lambda x: norm.init_with_output(keys.root(0), x, weights=jnp.asarray(weights))
        _, variables = run(x)
        found, kept = norm.apply(
            variables, x, weights=jnp.asarray(weights), mutable=["batch_stats"]
        )
    wanted = (own - own.mean(0)) / np.sqrt(own.var(0) + 1e-5)
    np.testing.assert_allclose(found[weights > 0], wanted, rtol=1e-6)
    np.testing.assert_allclose(kept["batch_stats"]["mean"], own.mean(0), rtol=1e-6)
    np.testing.assert_allclose(kept["batch_stats"]["var"], own.var(0, ddof=1), rtol=1e-6)


def test_packing_and_pooling_have_derivatives_of_both_modes():
    with jax.enable_x64(True):
        batch = SOME.take(np.arange(4))
        edges, sizes = jnp.asarray(batch["edges"]), jnp.asarray(batch["size"])

        def f(nodes):
            x, joined = ops.pack_graphs(nodes, edges)
            x = ops.aggregate(jnp.tanh(x), joined)
            return ops.segment_mean(x, *ops.members_of(sizes, len(x)))

        check(f, (jnp.asarray(np.float64(batch["nodes"])),))


# Digits


def test_strokes_are_the_pixels_with_ink_and_their_eight_neighbours():
    from sklearn.datasets import load_digits

    image = load_digits().images[7] / 16
    features, edges = digits_strokes.strokes(image, 0.25)
    found = np.zeros((8, 8))
    column, row = np.rint((features[:, :2] + 1) * 3.5).astype(int).T
    found[row, column] = features[:, 2]
    np.testing.assert_allclose(found, np.where(image > 0.25, image, 0))
    pairs = {tuple(pair) for pair in edges}
    assert len(pairs) == len(edges)
    for i in range(len(features)):
        for j in range(len(features)):
            near = max(abs(row[i] - row[j]), abs(column[i] - column[j])) == 1
            assert ((i, j) in pairs) == near


def test_graphs_of_strokes_are_divided_as_digits_are():
    for settings in ({}, dict(eval_on="validation"), dict(split="halves")):
        strokes, digits = load(name="digits_strokes", **settings), load(name="digits", **settings)
        for part in ("train", "test"):
            ours, theirs = getattr(strokes, part), getattr(digits, part)
            np.testing.assert_array_equal(ours.labels, theirs.labels)
            images = theirs.take(np.arange(20))["image"]
            np.testing.assert_array_equal(
                ours.take(np.arange(20))["size"], (images > 0.25).sum((1, 2, 3))
            )
    with pytest.raises(UserError, match=r"data.threshold=1.0 must be at least 0 and below 1"):
        load(name="digits_strokes", threshold=1.0)


def test_receivers_of_a_batch_ascend_and_padding_stays_by_itself():
    train = load(name="digits_strokes", lengths=2).train
    batch = train.take(np.arange(64))
    for group, lengths in enumerate(train.length_groups.lengths):
        own = {k: x[train.length_groups.of[:64] == group] for k, x in batch.items()}
        cut = train.length_groups.cut(own, group)
        assert cut["nodes"].shape[1:] == (lengths["nodes"], 3)
        x, edges = jax.tree.map(np.asarray, ops.pack_graphs(cut["nodes"], cut["edges"]))
        real, places = edges.weight > 0, lengths["nodes"]
        assert real.sum() == train.sizes["edges"][:64][train.length_groups.of[:64] == group].sum()
        assert (np.diff(edges.target) >= 0).all()
        np.testing.assert_array_equal(edges.source // places, edges.target // places)
        # The last place of each graph, and no other, hears what fills up.
        assert ((edges.target % places == places - 1) == ~real).all()
        assert not x[places - 1 :: places].any()


# Files


FILES = {
    "A": "1, 2\n2, 1\n3,4\n4,3\n2,1\n3,3\n",
    "graph_indicator": "1\n1\n2\n2\n4\n",
    "graph_labels": "-1\n1\n1\n-1\n",
    "node_labels": "5\n3\n3\n3\n5\n",
    "node_attributes": "0.5,1\n1,2\n2,3\n3,4\n4,5\n",
}


def written(folder, **changed):
    for name, text in (FILES | changed).items():
        if text is not None:
            (folder / f"TOY_{name}.txt").write_text(text)
    return str(folder)


def test_files_are_read_as_they_stand_there(tmp_path):
    found = tudataset.read(written(tmp_path, edge_labels="1\n" * 6))
    np.testing.assert_array_equal(found.labels, [-1, 1, 1, -1])
    wanted = [[0.5, 1, 0, 1], [1, 2, 1, 0], [2, 3, 1, 0], [3, 4, 1, 0], [4, 5, 0, 1]]
    np.testing.assert_array_equal(np.concatenate([x for x, _ in found.graphs]), wanted)
    assert [len(x) for x, _ in found.graphs] == [2, 2, 0, 1]
    both = [[0, 1], [1, 0]]
    assert [np.sort(edges, axis=0).tolist() for _, edges in found.graphs[2:]] == [[], []]
    assert [edges.tolist() for _, edges in found.graphs[:2]] == [both, both]
    assert found.notes == (
        "1 graphs have no node",
        "1 edges from a node to itself are left out",
        "1 edges that stand there twice count once",
        "not used: TOY_edge_labels.txt",
    )
    plain = tudataset.read(written(tmp_path, A="5,5\n"))
    assert [len(edges) for _, edges in plain.graphs] == [0] * 4


def test_edges_have_what_stands_in_their_rows(tmp_path):
    """Numbers and labels; those of the same edge's first row count, and of a loop none."""
    path = written(
        tmp_path, edge_labels="7\n4\n4\n7\n7\n5\n", edge_attributes=".5\n1\n2\n3\n4\n5\n"
    )
    data = load(name="tudataset", path=path, edge_features=True, test_fraction=0.25)
    assert data.train.edge_labels == "4 5 7"
    found = tudataset.read(path, edges=True)
    assert not any("not used" in note for note in found.notes)
    wanted = {(0, 0, 1): [0.5, 0, 0, 1], (0, 1, 0): [1, 1, 0, 0]}
    wanted |= {(1, 0, 1): [2, 1, 0, 0], (1, 1, 0): [3, 0, 0, 1]}
    graphs = tudataset.examples_of(found)
    for i in range(4):
        for pair, own in zip(graphs.graph(i)[1], graphs.edge_features(i), strict=True):
            np.testing.assert_array_equal(own, wanted.pop((i, *pair.tolist())))
    assert not wanted
    none = written(tmp_path, edge_labels="7\n")
    with pytest.raises(UserError, match=r"TOY_edge_labels.txt: 1 rows of 6 edges"):
        tudataset.read(none, edges=True)
    for name in ("labels", "attributes"):
        (tmp_path / f"TOY_edge_{name}.txt").unlink()
    with pytest.raises(
        UserError, match=r"data.edge_features=True: there is no file TOY_edge_labels"
    ):
        tudataset.read(none, edges=True)


def test_a_feature_that_never_varies_is_not_made_zero(tmp_path):
    rows = "1,2\n1,4\n1,6\n1,4\n1,0\n"
    flat = dict(node_labels=None, node_attributes=rows, graph_labels="0\n1\n0\n1\n")
    found = tudataset.read(written(tmp_path, **flat))
    graphs = Graphs([Example(*graph, 0) for graph in found.graphs])
    mean, std = graphs.moments()
    np.testing.assert_allclose(mean, [0, 3.2], rtol=1e-6)
    np.testing.assert_allclose(std, [1, np.std([2, 4, 6, 4, 0])], rtol=1e-6)


REFUSED = {
    "a node that is not there": (dict(A="1,2\n2,6\n"), "TOY_A.txt, row 2: node 6 is not there"),
    "node 0": (dict(A="0,2\n"), "TOY_A.txt, row 1: node 0 is not there: with 5 nodes they go"),
    "between graphs": (dict(A="1,2\n2,3\n"), "row 2: an edge between graphs 1 and 2"),
    "columns": (dict(A="1,2\n2,1,1\n"), "TOY_A.txt, row 2: 3 columns, and not 2"),
    "ragged": (dict(node_attributes="1,2\n1\n"), "TOY_node_attributes.txt, row 2: 1 columns"),
    "nan": (
        dict(node_attributes="1,2\n1,2\n1,nan\n1,2\n1,2\n"),
        "TOY_node_attributes.txt, row 3: nan is no finite number",
    ),
    "huge": (dict(node_attributes="1\n1e39\n1\n1\n1\n"), "row 2: 1e+39 is no finite number"),
    "a word": (dict(node_attributes="1\none\n1\n1\n1\n"), "row 2: 'one' is no number"),
    "too few nodes": (dict(node_attributes="1\n1\n"), "_attributes.txt: 2 rows of 5 nodes"),
    "half a node": (dict(A="1,2\n1.5,2\n"), "TOY_A.txt, row 2: 1.5 is no whole number"),
    "labels missing": (dict(graph_labels="1\n2\n"), "row 5: graph 4 has no label"),
    "no labels": (dict(graph_labels=None), "there is no file"),
    "one class": (dict(graph_labels="1\n1\n1\n1\n"), "all graphs are of class '1'"),
    "nothing": (dict(graph_indicator=""), "TOY_graph_indicator.txt: there is nothing in it"),
    "graph 0": (dict(graph_indicator="0\n" * 5), "row 1: graph 0 is below 1"),
    "no file": (dict(graph_indicator=None), "TOY_graph_indicator.txt: cannot be read"),
    "no edges": (dict(A=None), "one file DS_A.txt is wanted, there are none"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_fit_together_is_one_line(case, tmp_path):
    changed, says = REFUSED[case]
    with pytest.raises(UserError) as raised:
        load(name="tudataset", path=written(tmp_path, **changed))
    assert says in str(raised.value)
    assert "\n" not in str(raised.value)


# Runs


def rings(folder, graphs=60):
    """Rings and stars of three to six nodes, without features; each row with its class."""
    edges, owner, labels, first = [], [], [], 1
    for i in range(graphs):
        nodes, star = 3 + i % 4, i // 4 % 2
        own = [(0 if star else j - 1, j) for j in range(1, nodes)]
        own += [] if star else [(nodes - 1, 0)]
        edges += [(a + first, b + first) for pair in own for a, b in (pair, pair[::-1])]
        owner += [i + 1] * nodes
        labels.append(star)
        first += nodes
    lines = lambda rows: "".join(f"{row}\n" for row in rows)
    files = {
        "A": lines(f"{a}, {b}" for a, b in edges),
        "graph_indicator": lines(owner),
        "graph_labels": lines(labels),
        "edge_labels": lines((a * b) % 2 for a, b in edges),
    }
    for name, text in files.items():
        (folder / f"RINGS_{name}.txt").write_text(text)
    return labels


def test_own_graphs_are_learned_and_then_asked_of(tmp_path, capsys):
    (tmp_path / "data").mkdir()
    labels = rings(tmp_path / "data")
    flags = (
        *("--config.data.name=tudataset", f"--config.data.path={tmp_path / 'data'}"),
        "--config.data.edge_features=True",
        *("--config.model.hidden=(8,8)", "--config.model.dropout=0.", "--config.model.pool=mean"),
        *("--config.optimizer.learning_rate=.02", "--config.steps=60", "--config.eval.every=60"),
        *("--config.data.test_fraction=.3", "--config.batch_size=14", "--config.data.lengths=2"),
        REPORT,
    )
    assert run("gin", tmp_path / "run", *flags) == 0
    assert figures(tmp_path / "run", "eval")[-1]["accuracy"] == 1
    page = (tmp_path / "run" / "report.html").read_text()
    assert "Confusion matrix" in page
    (tmp_path / "data" / "RINGS_graph_labels.txt").unlink()
    again = (*flags[3:], "--mode=predict", f"--input={tmp_path / 'data'}")
    assert run("gin", tmp_path / "run", *flags[:2], *again) == 0
    said = [json.loads(x) for x in (tmp_path / "run" / "predictions.jsonl").open()]
    found = [row["classes"][0]["class"] for row in said]
    assert np.mean([a == str(b) for a, b in zip(found, labels, strict=True)]) > 0.95
    vectors = np.load(tmp_path / "run" / "embeddings.npy")
    assert len(vectors) == len(labels)
    np.testing.assert_allclose(np.square(vectors).sum(axis=1), 1, rtol=1e-5)


def test_devices_and_time_change_no_number(tmp_path):
    """Cut and gone on with, and on several devices, by sharding and by pmap."""
    plain = ("--config.optimizer.name=sgd", "--config.optimizer.learning_rate=.03")
    small = (*tiny.FLAGS["gin"], *plain, "--config.steps=6", "--config.eval.every=3")
    # Each device has draws of its own under pmap; the rest tells whether examples stay together.
    small = (*small, "--config.accumulate=2", "--config.ema=.9", "--config.model.dropout=0.")
    assert_resumes_to_the_bit("gin", tmp_path, *small, "--config.checkpoint.every=2", at=4)
    for how in (("data=8",), ("data=4", "strategy=pmap")):
        many = tmp_path / how[-1]
        assert run("gin", many, *small, *(f"--config.parallel.{x}" for x in how)) == 0
        for a, b in zip(leaves(tmp_path / "whole"), leaves(many), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
        one, other = (figures(folder, "eval")[-1] for folder in (tmp_path / "whole", many))
        assert one["accuracy"] == other["accuracy"]


@pytest.mark.parametrize(
    "flags, says",
    [
        (("model.pool=",), "config.model.pool='' must be 'sum', 'mean', 'max' or 'attention'"),
        (("model.pool=median",), "unknown pool 'median'"),
        (("model.name=gcn", "model.jump=", "model.pool=sum"), "model 'gcn' has no 'pool'"),
        (
            (
                "data.name=tudataset",
                "data.path=FOLDER",
                "data.edge_features=True",
                "model.name=graphsage",
            ),
            "GraphSAGE has no use for what edges have; 'gin' and 'gat' do",
        ),
        (("data.name=digits",), "learns from 'nodes', and data set 'digits' has image, label"),
    ],
)
def test_what_tells_nothing_of_whole_graphs_is_one_line(flags, says, tmp_path, capsys):
    path = written(tmp_path, edge_labels="1\n2\n" * 3)
    flags = [f"--config.{flag}".replace("FOLDER", path) for flag in flags]
    assert run("gin", tmp_path / "run", *flags, "--config.batch_size=1") == 2
    *_, message = capsys.readouterr().err.splitlines()
    assert says in message


def test_nodes_are_not_pooled_where_they_are_named(tmp_path, capsys):
    flags = ("--config.model.name=gin", "--config.model.pool=sum")
    assert run("gcn", tmp_path / "run", *flags) == 2
    assert "pool='sum'" in capsys.readouterr().err


def test_a_small_picture_has_its_nodes_and_edges_on_it():
    edges = np.array([[0, 1], [1, 0]])
    picture = graph_layout.small_picture(np.array([[0.0, 0.0], [10.0, 0.0]]), edges)
    assert picture.shape == (96, 96, 1)
    rows, columns = np.nonzero(picture[..., 0])
    assert abs(rows.mean() - 47.5) < 1  # in the middle
    assert columns.min() >= 4
    assert columns.max() <= 91
    assert (picture[47:49, 20:76, 0].max(axis=0) > 0).all()
    shown = graph_classification._pictures(SOME.take(np.arange(4)), None)
    np.testing.assert_array_equal(shown.any(axis=(1, 2, 3)), [True, True, False, True])
