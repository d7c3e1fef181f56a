"""benchmarks/graphs.py: our side learns what it is given, the graph is as large as asked for."""

import numpy as np
import pytest

from benchmarks import graphs, large_graphs


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


def test_slopes_are_of_logarithms():
    found = [large_graphs.Pass(10**p, 2e-6 * 10**p, 0, 5 * 10 ** (p // 2)) for p in (4, 6, 8)]
    assert large_graphs.slope(found, "seconds") == pytest.approx(1)
    assert large_graphs.slope(found, "memory") == pytest.approx(0.5)


def test_sampling_tells_a_rate(capsys, monkeypatch):
    monkeypatch.setattr(large_graphs, "_SECONDS", 0.01)
    large_graphs.sampling(2000)
    assert float(capsys.readouterr().out.split()[1]) > 0
