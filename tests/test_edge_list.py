"""Graphs of one's own, from edges, features and labels in files."""

import gzip

import graph_files
import numpy as np
import pytest
from launching import made, run, summary
from scipy import io, sparse

from jaxdl import models, ops
from jaxdl.data import csr, edge_list
from jaxdl.errors import UserError

PAIRS = np.array([(0, 1), (1, 2), (3, 0), (2, 3), (4, 0)])
FEATURES = np.array([(0.5, 1), (1, 2), (2, -3), (3, 4), (4, 1e-3), (9, 9)], np.float32)
FILES = {
    "edges.csv": "from,to\n" + "\n".join(f"{a},{b}" for a, b in PAIRS),
    "features.csv": "\n".join(f"{a},{b}" for a, b in FEATURES),
    "labels.csv": "label\ncat\ndog\n\ncat\ndog\ncat\n",
    "known.csv": "1\n1\n0\n0\n0\n0\n",
}
READ = dict(seeds=2, fan_out=(2,))


pytestmark = pytest.mark.usefixtures("own_cache")


def laid(folder, packed=False, **changed):
    return graph_files.laid(folder, {**FILES, **changed}, packed)


def check(data, directed=False):
    graph, expected = data.whole, csr.create(*PAIRS.T, 6, "g", both_ways=not directed)
    np.testing.assert_array_equal(graph.indptr, expected.indptr)
    np.testing.assert_array_equal(graph.indices, expected.indices)
    np.testing.assert_array_equal(graph.features, FEATURES)
    assert graph.labels.tolist() == [0, 1, -1, 0, 1, 0]
    assert data.class_names == ("cat", "dog")
    assert np.flatnonzero(graph.known).tolist() == [0, 1]
    assert np.flatnonzero(graph.scored).tolist() == [3, 4, 5]
    assert data.notes[0] == (
        f"6 nodes, {5 if directed else 10} edges by receiver, 2 known labels, 1 nodes without a "
        "label"
    )


@pytest.mark.parametrize("kind", ["csv", "tsv", "npz", "mtx"])
def test_every_kind_of_file_is_the_same_graph(kind, tmp_path):
    where = tmp_path / "g"
    if kind == "csv":
        laid(where)
    elif kind == "tsv":
        laid(where, **dict.fromkeys(FILES))
        for name, text in FILES.items():
            (where / name.replace("csv", "tsv")).write_text(text.replace(",", "\t"))
    elif kind == "npz":
        laid(where, **dict.fromkeys(FILES))
        labels = np.array(["cat", "dog", "", "cat", "dog", "cat"])
        known = np.array([1, 1, 0, 0, 0, 0])
        for name, array in dict(edges=PAIRS, features=FEATURES, labels=labels, known=known).items():
            np.savez(where / f"{name}.npz", **{name: array})
    else:
        laid(where, **{"edges.csv": None})
        matrix = sparse.coo_matrix((np.ones(5), tuple(PAIRS.T)), (6, 6))
        io.mmwrite(where / "edges.mtx", matrix)
    check(edge_list.edge_list(str(where), **READ))
    check(edge_list.edge_list(str(where), directed=True, **READ), directed=True)


def test_files_are_read_once_until_they_change(tmp_path, monkeypatch):
    path, read = laid(tmp_path / "g"), []
    original = edge_list._read
    monkeypatch.setattr(edge_list, "_read", lambda *a: read.append(1) or original(*a))
    for _ in range(2):
        check(edge_list.edge_list(path, **READ))
    assert len(read) == 1
    (tmp_path / "g" / "labels.csv").write_text("0\n10\n2\n-1\n\n10\n")
    found = edge_list.edge_list(path, **READ)
    assert len(read) == 2
    assert found.class_names == ("0", "2", "10")
    assert found.whole.labels.tolist() == [0, 2, 1, -1, -1, 2]


BAD = {
    "an edge to nowhere": (
        {"edges.csv": "0,1\n1,6\n"},
        "edges.csv, row 2: node 6 is missing: with 6 nodes they go from 0 to 5",
    ),
    "loops alone": ({"edges.csv": "a,b\n1,1\n"}, "edges.csv, row 2: node 1 is joined to itself"),
    "three columns": ({"edges.csv": "0,1,5\n1,2,5\n"}, "row 1: two nodes are wanted, not 3 col"),
    "a longer row": (
        {"edges.csv": "a,b\n0,1\n1,2,5\n"},
        "edges.csv, row 3: two nodes are wanted, not 3 columns after rows of 2",
    ),
    "a word": ({"edges.csv": "0,1\n1,x\n"}, "edges.csv, row 2: two nodes are wanted, not 'x'"),
    "half a node": ({"edges.csv": "0,1\n1,.5\n"}, "edges.csv, row 2: two nodes are .*'.5'"),
    "no number": (
        {"features.csv": FILES["features.csv"].replace("4.0,", "nan,")},
        "features.csv, row 5: features must be finite numbers",
    ),
    "a label too few": ({"labels.csv": "0\n1\n"}, "labels.csv: 2 rows, but features.csv has 6"),
    "two labels": ({"labels.csv": "0\n1,2\n0\n0\n0\n0\n"}, "labels.csv, row 2: one label is"),
    "one class": ({"labels.csv": "0\n" * 6}, "labels.csv: two classes or more are wanted, not 1"),
    "nothing": ({"edges.csv": ""}, "edges.csv has no rows: two nodes are wanted in each"),
    "no edges": (
        {"edges.csv": None},
        "one of edges.csv, .tsv, .csv.gz, .tsv.gz, .npz, .mtx is wanted, there is none",
    ),
    "both": ({"edges.tsv": ""}, "is wanted, there is edges.csv and edges.tsv"),
    "known too short": ({"known.csv": "1\n"}, "known.csv: 1 rows for 6 nodes"),
    "no known": ({"known.csv": None}, "labels_per_class=0, but the graph does not say"),
    "no matrix": ({"edges.csv": None, "edges.mtx": "x"}, "edges.mtx is not a readable .mtx file"),
    "no text": ({"edges.csv": "0,1\n\0,2\n"}, "edges.csv, row 2: two nodes are wanted, not "),
    "no archive": ({"edges.csv": None, "edges.npz": "x"}, "edges.npz is not a readable .npz"),
}


@pytest.mark.parametrize("case", BAD)
def test_files_that_cannot_be_are_told_in_one_line(case, tmp_path):
    changed, message = BAD[case]
    path = laid(tmp_path / "g", **changed)
    with pytest.raises(UserError, match=message) as caught:
        edge_list.edge_list(path, **READ)
    assert "\n" not in str(caught.value)
    assert not list((tmp_path / "cache").glob("graphs/*")) or "known" in case


def test_packed_files_are_read(tmp_path):
    check(edge_list.edge_list(laid(tmp_path / "g", packed=True), **READ))


@pytest.mark.parametrize("cut", [-9, 20, 0])
def test_a_packed_file_that_is_broken_is_one_line(cut, tmp_path):
    folder = laid(tmp_path / "g", **{"edges.csv": None})
    packed = gzip.compress(b"0,1\n1,2\n" * 100)
    (tmp_path / "g" / "edges.csv.gz").write_bytes(packed[:cut] or b"0,1\n")
    with pytest.raises(UserError, match=r"edges.csv.gz is no sound .gz file") as caught:
        edge_list.edge_list(folder, **READ)
    assert "\n" not in str(caught.value)


def in_one_piece(folder, **how):
    found = edge_list.edge_list(folder, whole=True, **how)
    assert found.train is None
    return found.whole


def test_a_graph_of_ones_own_in_one_piece(tmp_path, capsys):
    """Each edge once, a node without a label neither learned from nor measured on."""
    path = laid(tmp_path / "g")
    found = in_one_piece(path)
    once = {tuple(pair) for pair in np.sort(PAIRS, axis=1).tolist()}
    assert {tuple(sorted(pair)) for pair in found.edges.tolist()} == once
    assert len(found.edges) == len(once)
    assert found.labels.tolist() == [0, 1, -1, 0, 1, 0]
    assert np.flatnonzero(found.train).tolist() == [0, 1]
    own = ("--config.data.name=edge_list", f"--config.data.path={path}", "--config.data.whole=True")
    short = ("--config.steps=4", "--config.eval.every=4", "--config.batch_size=2")
    assert run("gcn", tmp_path / "run", *own, *short) == 0
    # Three nodes are measured on.
    assert (
        "6 nodes, 10 edges by receiver, 2 known labels, 1 nodes without" in capsys.readouterr().err
    )
    assert summary(tmp_path / "run")["final"]["accuracy"] * 6 % 1 == pytest.approx(0, abs=1e-5)
    (tmp_path / "g" / "known.csv").unlink()
    assert in_one_piece(path).train is None
    (tmp_path / "g" / "labels.csv").unlink()
    assert in_one_piece(path).labels.tolist() == [-1] * 6


@pytest.mark.parametrize("known", [FILES["known.csv"], None])
def test_a_task_that_learns_from_one_piece_asks_for_it(known, tmp_path, capsys):
    """And says nothing of how many neighbourhoods a batch may have."""
    path = laid(tmp_path / "g", **{"known.csv": known})
    own = ("--config.data.name=edge_list", f"--config.data.path={path}")
    assert run("gat", tmp_path / "run", *own, "--config.task.labels_per_class=1") == 2
    told = capsys.readouterr().err
    assert told.count("error:") == 1
    assert "data.whole=True" in told
    assert "batch_size" not in told


def test_attention_reads_weights(tmp_path):
    """As a feature of each edge, of a loop the mean of those that arrive beside it."""
    one = in_one_piece(weighted(tmp_path / "g", "csv"), weighted=True)
    edges = models.create("gat").adjacency(one.edges, 6, one.weights)
    found = np.zeros((6, 6))
    found[edges.target, edges.source] = edges.features[:, 0]
    expected = np.zeros((6, 6))
    expected[tuple(one.edges.T)] = expected[tuple(one.edges.T[::-1])] = one.weights
    count = np.maximum((expected > 0).sum(axis=1), 1)
    np.testing.assert_allclose(found, expected + np.diag(expected.sum(axis=1) / count), atol=1e-6)
    own = ("--config.data.name=edge_list", f"--config.data.path={tmp_path / 'g'}")
    own += ("--config.data.whole=True", "--config.data.weighted=True", "--config.batch_size=2")
    learned = made("gat", *own).abstract_state.learner.params
    assert learned["conv_0"]["edge"]["kernel"].shape == (2, 1, 64)


@pytest.mark.parametrize("flags", [("directed=True",), ("held_out=.1",)])
def test_what_is_drawn_from_a_graph_is_not_asked_of_one_piece(flags, tmp_path):
    name, value = flags[0].split("=")
    with pytest.raises(UserError, match=f"data.{name}=.* and not with data.whole=True"):
        edge_list.edge_list(laid(tmp_path / "g"), whole=True, **{name: eval(value)})


def test_a_class_asked_of_nodes_without_labels_is_one_line(tmp_path, capsys):
    path = laid(tmp_path / "g", **{"labels.csv": None, "known.csv": None})
    own = ("--config.data.name=edge_list", f"--config.data.path={path}", "--config.data.whole=True")
    assert run("gcn", tmp_path / "run", *own) == 2
    assert "the graph does not say which labels are known" in capsys.readouterr().err
    assert run("gcn", tmp_path / "run", *own, "--config.task.labels_per_class=1") == 2
    assert "labels_per_class=1: no node of the graph has a label" in capsys.readouterr().err


WEIGHTS = (0.5, 2, 1, 3, 0.25)


def weighted(folder, kind):
    """The folder, with a weight for each edge and one of them twice."""
    pairs, weights = np.append(PAIRS, [(2, 1)], axis=0), (*WEIGHTS, 1.5)
    if kind == "csv":
        rows = [f"{a},{b},{w}" for (a, b), w in zip(pairs, weights, strict=True)]
        return laid(folder, **{"edges.csv": "\n".join(["from,to,weight", *rows])})
    laid(folder, **{"edges.csv": None})
    io.mmwrite(folder / "edges.mtx", sparse.coo_matrix((weights, tuple(pairs.T)), (6, 6)))
    return str(folder)


@pytest.mark.parametrize("kind", ["csv", "mtx"])
def test_edges_have_weights_if_they_are_to_be_read(kind, tmp_path):
    path = weighted(tmp_path / "g", kind)
    expected = np.zeros((6, 6))
    expected[tuple(PAIRS.T)] = WEIGHTS  # of two weights of an edge the larger
    expected = np.maximum(expected, expected.T)
    found = edge_list.edge_list(path, weighted=True, **READ)
    np.testing.assert_array_equal(csr.matrix(found.whole.edges).toarray(), expected)
    batch = found.train.take(np.arange(len(found.train)))
    assert batch["edge_weight"].shape == batch["scale"].shape
    one = in_one_piece(path, weighted=True)
    np.testing.assert_array_equal(one.weights, expected[tuple(one.edges.T)])
    if kind == "mtx":
        check(edge_list.edge_list(path, **READ))


def test_runs_hear_by_weights(tmp_path):
    """A network does on the whole graph what GCN's formula says of a weighted matrix."""
    one = in_one_piece(weighted(tmp_path / "g", "csv"), weighted=True)
    edges = ops.normalised(one.edges, 6, one.weights)
    matrix = np.eye(6)
    matrix[tuple(one.edges.T)] = matrix[tuple(one.edges.T[::-1])] = one.weights
    scale = np.diag(matrix.sum(axis=1) ** -0.5)
    found = np.zeros((6, 6))
    np.add.at(found, (np.asarray(edges.target), np.asarray(edges.source)), edges.weight)
    np.testing.assert_allclose(found, scale @ matrix @ scale, atol=1e-6)


BAD_WEIGHTS = {
    "none": ("0,1,1\n1,2,nan\n", "row 2: weight nan must be a finite number above 0"),
    "below 0": ("a,b,w\n0,1,-1\n", "row 2: weight -1 must be a finite number above 0"),
    "no column": ("0,1\n1,2\n", "row 1: two nodes and a weight are wanted, not 2 columns"),
    "half a node": ("0,1.5,1\n", "row 1: nodes have whole numbers, not 0,1.5"),
}


@pytest.mark.parametrize("case", BAD_WEIGHTS)
def test_weights_that_cannot_be(case, tmp_path):
    text, message = BAD_WEIGHTS[case]
    with pytest.raises(UserError, match=f"edges.csv, {message}"):
        edge_list.edge_list(laid(tmp_path / "g", **{"edges.csv": text}), weighted=True, **READ)


def test_tasks_without_weights_say_so(tmp_path, capsys):
    own = (
        "--config.data.name=edge_list",
        "--config.data.whole=True",
        "--config.data.weighted=True",
    )
    path = weighted(tmp_path / "g", "csv")
    assert run("gcn:links", tmp_path / "run", *own, f"--config.data.path={path}") == 2
    assert "'link_prediction' has no use for weights" in capsys.readouterr().err


@pytest.mark.parametrize("path", ["", "/nowhere"])
def test_no_folder(path):
    with pytest.raises(UserError, match="is no folder: name one with edges"):
        edge_list.edge_list(path)
