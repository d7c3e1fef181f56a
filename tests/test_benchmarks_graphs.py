"""benchmarks/graphs.py: our side learns what it is given, the graph is as large as asked for."""

import numpy as np
import pytest

from benchmarks import graph_growth, graphs, large_graphs, records
from benchmarks.page import with_figures


def test_the_drawn_graph_has_so_many_different_edges():
    made = graphs.drawn(50, 400)
    pairs = made["pairs"]
    assert len({*map(tuple, pairs.tolist())}) == len(pairs) == 200
    assert (pairs[:, 0] < pairs[:, 1]).all()
    assert pairs.max() < 50
    assert made["features"].shape == (50, graphs.FEATURES)


@pytest.mark.parametrize("model", graphs.MODELS)
def test_our_side_learns_and_writes_what_the_other_reads(model, tmp_path):
    file = tmp_path / "graph.npz"
    say, run = graphs.ours(model, 50, 200, file)
    with np.load(file) as archive:
        given = {name: archive[name] for name in archive.files}
    if model == "gcn":  # the loss before the update, in float64
        matrix = np.eye(50)
        matrix[tuple(given["pairs"].T)] = matrix[tuple(given["pairs"].T[::-1])] = 1
        scale = matrix.sum(axis=1) ** -0.5
        matrix *= scale[:, None] * scale
        x = given["features"]
        for layer in ("conv_0", "head"):
            x = matrix @ x @ given[f"{layer}/kernel"] + given[f"{layer}/bias"]
            x = np.maximum(x, 0) if layer == "conv_0" else x
        nats = np.log(np.exp(x).sum(axis=1)) - x[np.arange(50), given["labels"]]
        before, after = say()
        assert before == pytest.approx(nats.mean(), rel=1e-4)
        assert after < before
    else:
        wanted = {"attention_source", "attention_target", "source/kernel", "bias"}
        names = {name.split("/", 1)[1] for name in given if name.startswith("conv_0/")}
        assert names == wanted
        before, after = say()
        assert run() < after < before


FOUND = {
    10**p: {"pass": 2e-6 * 10**p, "processor": 9.0, "memory": 5 * 10 ** (p // 2)} for p in (4, 6, 8)
}


def test_slopes_are_of_logarithms():
    assert graph_growth.slope(FOUND, "pass") == pytest.approx(1)
    assert graph_growth.slope(FOUND, "memory") == pytest.approx(0.5)


def test_what_grows_becomes_a_table_and_a_chart():
    rows = graph_growth.table(FOUND).splitlines()
    assert rows[3] == "| 1,000,000 | 2.00 | 9 | 0.00 |"
    assert rows[-1] == "| grows with the edges to the power of | 1.00 | 0.00 | 0.50 |"
    assert "edges, power of ten" in graph_growth.chart(FOUND).data.decode()


def test_the_page_holds_what_is_stored():
    stored = records.stored(graph_growth.RESULTS)
    page, name = graph_growth.PAGE.read_text(), graph_growth.NAME
    assert with_figures(page, graph_growth.figures(stored), name) == page
    assert graph_growth.CHART.exists() == bool(stored)


def test_files_are_written_and_opened(tmp_path, own_cache):
    assert large_graphs.written(tmp_path, 2000) == 8 * 201 + 4 * 4000 + 4 * 200 * 17
    first, again = (large_graphs.opened(str(tmp_path)) for _ in range(2))
    assert again["seconds"] > 0
    assert first["memory"] >= 0
    kept = list((tmp_path / "cache").rglob("indices.npy"))
    assert [len(np.load(file)) for file in kept] == [4000]


def test_sampling_tells_a_rate(capsys, monkeypatch):
    monkeypatch.setattr(large_graphs, "_SECONDS", 0.01)
    large_graphs.sampling(2000)
    assert float(capsys.readouterr().out.split()[1]) > 0
