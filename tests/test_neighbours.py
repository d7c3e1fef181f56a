"""Neighbourhoods drawn from graphs: what is drawn, how often, into what shapes; edges by node."""

import threading

import numpy as np
import pytest

from jaxdl.data import csr, neighbours
from jaxdl.errors import UserError


def random_graph(nodes=60, edges=400, seed=0):
    rng = np.random.default_rng(seed)
    return csr.create(*rng.integers(0, nodes, (2, edges)), nodes, "random")


def matrix(graph):
    """(nodes, nodes): 1 at [i, j] for an edge from j to i."""
    found = np.zeros((graph.nodes, graph.nodes))
    found[np.repeat(np.arange(graph.nodes), graph.degrees), graph.indices] = 1
    return found


def test_edges_by_node_are_the_edges():
    pairs = np.array([(0, 3), (3, 0), (2, 2), (1, 3), (0, 3), (4, 1)])
    one_way = csr.create(*pairs.T, 6, "g", both_ways=False)
    expected = np.zeros((6, 6))
    for source, target in [(0, 3), (3, 0), (1, 3), (4, 1)]:
        expected[target, source] = 1
    np.testing.assert_array_equal(matrix(one_way), expected)
    both = csr.create(*pairs.T, 6, "g")
    np.testing.assert_array_equal(matrix(both), np.maximum(expected, expected.T))
    for start, stop in zip(both.indptr, both.indptr[1:], strict=False):
        assert (np.diff(both.indices[start:stop]) > 0).all()
    assert both.degrees.tolist() == [1, 2, 0, 2, 1, 0]
    assert csr.create(*np.zeros((2, 0), int), 2, "g").degrees.tolist() == [0, 0]


@pytest.mark.parametrize(
    "pairs, message",
    [
        ([(0, 1), (1, 3)], "g, row 3: node 3 is missing: with 3 nodes they go from 0 to 2"),
        ([(-1, 1)], "g, row 2: node -1 is missing"),
        ([(1, 1), (2, 2)], "g, row 2: node 1 is joined to itself, and so is every other"),
    ],
)
def test_edges_that_cannot_be_are_told_with_their_row(pairs, message):
    with pytest.raises(UserError, match=message) as caught:
        csr.create(*np.array(pairs).T, 3, "g", first_row=2)
    assert "\n" not in str(caught.value)


def test_arrays_are_made_once_and_mapped_from_then_on(tmp_path):
    made = []

    def make():
        made.append(1)
        return random_graph()._asdict()

    for _ in range(2):
        found = csr.kept(tmp_path / "graphs" / "it", make, ("indptr", "indices"))
        for name in found:
            np.testing.assert_array_equal(found[name], getattr(random_graph(), name))
            assert isinstance(found[name].base, np.memmap)
            assert not found[name].flags.writeable
    assert len(made) == 1
    with pytest.raises(ZeroDivisionError):
        csr.kept(tmp_path / "graphs" / "other", lambda: 1 // 0, ("a",))
    assert [p.name for p in (tmp_path / "graphs").iterdir()] == ["it"]  # nothing half made


def test_a_neighbourhood_is_a_part_of_the_graph():
    graph = random_graph()
    draw, rng = neighbours.Sampler(graph, (3, 2)), np.random.default_rng(1)
    there = matrix(graph)
    for seeds in ([5], [7, 3, 40, 0]):
        found = draw(np.array(seeds), rng)
        assert found.nodes[: len(seeds)].tolist() == seeds
        assert len(np.unique(found.nodes)) == len(found.nodes) == found.reached[-1]
        pairs = np.stack([found.target, found.source], axis=1)
        assert len(np.unique(pairs, axis=0)) == len(pairs) == found.drawn[-1]
        assert (there[found.nodes[found.target], found.nodes[found.source]] == 1).all()
        assert (np.diff(found.target) >= 0).all()
        # Seeds have up to 3 neighbours, what they led to up to 2, what that led to none.
        wanted = np.repeat([3, 2, 0], np.diff([0, *found.reached]))
        degree = graph.degrees[found.nodes]
        count = np.bincount(found.target, minlength=len(found.nodes))
        np.testing.assert_array_equal(count, np.minimum(degree, wanted))
        assert found.drawn[0] == count[: len(seeds)].sum()
        np.testing.assert_allclose(found.scale, (degree / np.maximum(count, 1))[found.target])
        # Every node but the seeds was found by an edge.
        assert set(range(len(seeds), len(found.nodes))) <= set(found.source.tolist())


def test_where_all_are_drawn_it_is_the_graph():
    graph = random_graph()
    found = neighbours.Sampler(graph, (99, 99, 99, 99))(np.arange(5), np.random.default_rng(0))
    assert len(found.nodes) == 60
    of_part = np.zeros((60, 60))
    of_part[found.nodes[found.target], found.nodes[found.source]] = 1
    np.testing.assert_array_equal(of_part, matrix(graph))
    assert (found.scale == 1).all()


def test_every_subset_is_as_likely():
    """All 15 pairs of 6, 20,000 draws at once: a χ² of 14 degrees of freedom."""
    rng = np.random.default_rng(0)
    chosen = np.sort(neighbours._subsets(np.full(20_000, 6), 2, rng), axis=0)
    _, counts = np.unique(chosen[0] * 6 + chosen[1], return_counts=True)
    assert len(counts) == 15
    expected = 20_000 / 15
    assert ((counts - expected) ** 2 / expected).sum() < 36.1  # one in a thousand


def test_sums_and_means_of_what_is_drawn_are_unbiased():
    """Over many draws both come to those of all neighbours, within four standard errors."""
    graph = random_graph()
    draw, rng = neighbours.Sampler(graph, (3,)), np.random.default_rng(2)
    values = rng.standard_normal(60)
    seeds, draws = np.arange(60), 1000
    sums, means = np.zeros((draws, 60)), np.zeros((draws, 60))
    for i in range(draws):
        found = draw(seeds, rng)
        heard = values[found.nodes[found.source]]
        sums[i] = np.bincount(found.target, heard * found.scale, 60)
        count = np.bincount(found.target, minlength=60)
        means[i] = np.bincount(found.target, heard, 60) / np.maximum(count, 1)
    total = matrix(graph) @ values
    for found, exact in ((sums, total), (means, total / np.maximum(graph.degrees, 1))):
        error = found.std(axis=0) / draws**0.5
        assert (np.abs(found.mean(axis=0) - exact) <= 4 * error + 1e-12).all()
        assert (error > 0).sum() > 50  # most have more than three neighbours


@pytest.mark.parametrize("nodes, edges", [(60, 400), (300, 200), (50, 2000)])
def test_no_draw_needs_more_than_its_sizes(nodes, edges):
    graph, rng = random_graph(nodes, edges), np.random.default_rng(3)
    known, fan_out = rng.permutation(nodes)[: nodes // 2], (4, 3, 2)
    room = neighbours.sizes(graph, known, 8, fan_out)
    draw, most = neighbours.Sampler(graph, fan_out), 0
    for _ in range(100):
        found = draw(rng.permutation(known)[:8], rng)
        assert (np.array(found.reached) <= room.nodes).all()
        assert (np.array(found.drawn) <= room.edges).all()
        most = max(most, found.drawn[0] / room.edges[0])
    assert most > 0.5


def split(known=10, seeds=4):
    graph, rng = random_graph(), np.random.default_rng(4)
    features = rng.standard_normal((60, 3)).astype(np.float32)
    labels = rng.integers(0, 2, 60)
    return neighbours.Neighbourhoods(graph, features, labels, np.arange(known), seeds, (3, 2))


def test_a_pass_has_every_known_node_once_and_is_a_function_of_its_indices():
    own, again = split(), split()
    indices = own.shuffled(np.random.default_rng((7, 0)))
    batch = own.take(indices)
    assert len(own) == 3
    assert batch["weight"].sum(axis=1).tolist() == [4, 4, 2]
    # Features tell nodes apart.
    seeds = batch["features"][:, :4][batch["weight"] > 0]
    node = lambda row: np.flatnonzero((own._features == row).all(axis=1)).item()
    assert sorted(map(node, seeds)) == list(range(10))
    for name, array in again.take(indices).items():
        np.testing.assert_array_equal(array, batch[name])
    one = again.take(indices[1:2])
    other = own.take(own.shuffled(np.random.default_rng((7, 1))))
    for name, array in batch.items():
        np.testing.assert_array_equal(array[1:2], one[name])
        assert array.shape == other[name].shape
    assert (batch["features"] != other["features"]).any()


def test_threads_draw_beside_each_other():
    own, found = split(), {}
    indices = [own.shuffled(np.random.default_rng((8, i))) for i in range(40)]
    draw = lambda i: found.__setitem__(i, own.take(indices[i]))
    threads = [threading.Thread(target=draw, args=(i,)) for i in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for i, chosen in enumerate(indices):
        for name, array in own.take(chosen).items():
            np.testing.assert_array_equal(array, found[i][name])


@pytest.mark.parametrize("fan_out", [(), (3, 0), (-1,), (2.5,)])
def test_a_fan_out_of_nothing_is_refused(fan_out):
    with pytest.raises(UserError, match=r"data.fan_out=.* of at least 1 for each layer"):
        neighbours.Sampler(random_graph(), fan_out)


def graph_with_hubs(nodes=20_000, edges=40_000, exponent=2.2):
    """Degrees whose distribution falls by a power."""
    rng = np.random.default_rng(5)
    weights = (1 - rng.random(nodes)) ** (-1 / (exponent - 1))
    ends = np.searchsorted(np.cumsum(weights) / weights.sum(), rng.random((2, edges)))
    return csr.create(*ends[:, ends[0] != ends[1]], nodes, "hubs")


def test_hubs_leave_little_of_the_room_empty():
    """Half of it at most, of what could be needed four fifths; and hardly any draw is cut."""
    graph, fan_out = graph_with_hubs(), (10, 10)
    assert graph.degrees.max() > 100 * graph.degrees.mean()
    every = np.arange(graph.nodes)
    room = neighbours.usual_sizes(graph, every, 256, fan_out)
    most = neighbours.sizes(graph, every, 256, fan_out)
    rng, cut, whole = np.random.default_rng(6), neighbours.Sampler(graph, fan_out, room), 0
    drawn, reached = [], []
    for _ in range(50):
        found = cut(rng.choice(every, 256, replace=False), rng)
        drawn.append(found.drawn[-1])
        reached.append(found.reached[-1])
        whole += np.allclose(
            found.scale, np.maximum(graph.degrees[found.nodes[found.target]] / 10, 1)
        )
    assert max(drawn) <= room.edges[-1] < 2 * np.mean(drawn) < most.edges[-1] / 2.5
    assert max(reached) <= room.nodes[-1] < 2 * np.mean(reached) < most.nodes[-1] / 2.5
    assert whole >= 45


def test_what_does_not_fit_is_stood_for_by_what_does():
    """Sums over 4,000 draws into little room are within 4 standard errors of the graph's."""
    graph, rng = random_graph(), np.random.default_rng(7)
    values, seeds = rng.standard_normal(60), np.arange(12)
    room = neighbours.Sizes((12, 30, 40), (40, 60))
    draw, sums = neighbours.Sampler(graph, (4, 3), room), []
    for _ in range(4000):
        found = draw(seeds, rng)
        assert (np.array(found.reached) <= room.nodes).all()
        assert (np.array(found.drawn) <= room.edges).all()
        first = slice(found.drawn[0])
        heard = values[found.nodes[found.source[first]]] * found.scale[first]
        sums.append(np.bincount(found.target[first], heard, 12))
    exact = (matrix(graph) @ values)[:12]
    error = np.std(sums, axis=0) / len(sums) ** 0.5
    assert (np.abs(np.mean(sums, axis=0) - exact) <= 4 * error).all()
    assert (error > 0).all()
