"""Links that are held out: the split, what counting tells, what is drawn, both tasks, runs."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny
from launching import REPORT, assert_resumes_to_the_bit, built, run, summary

from jaxdl import keys
from jaxdl.data import csr, karate, links, sampled_links
from jaxdl.errors import UserError
from jaxdl.metrics import ranking
from jaxdl.metrics.links import common_neighbours
from jaxdl.tasks import link_prediction
from jaxdl.tasks.shared import links as shared

NODES = 60
WHOLE, SAMPLED = "gcn:links", "graphsage:links"


def random_graph(edges=200, seed=0):
    pairs = np.random.default_rng(seed).integers(0, NODES, (2, edges))
    return csr.create(*pairs, NODES, "random")


def dense(graph):
    matrix = np.zeros((graph.nodes, graph.nodes), int)
    matrix[np.repeat(np.arange(graph.nodes), graph.degrees), graph.indices] = 1
    return matrix


def as_set(pairs):
    return {tuple(sorted(pair)) for pair in np.asarray(pairs).tolist()}


def test_common_neighbours_are_counted():
    graph = random_graph()
    matrix = dense(graph)
    pairs = np.array(list(itertools.combinations(range(NODES), 2)))
    found = common_neighbours(graph.indptr, graph.indices, pairs)
    np.testing.assert_array_equal(found, (matrix @ matrix)[tuple(pairs.T)])
    # Adamic and Adar's sum, word by word.
    expected = []
    for u, v in pairs:
        both = np.flatnonzero(matrix[u] & matrix[v])
        expected.append(sum(1 / np.log(matrix[z].sum()) for z in both))
    np.testing.assert_allclose(
        common_neighbours(graph.indptr, graph.indices, pairs, True), expected, rtol=1e-5
    )


def test_edges_are_divided_and_other_pairs_are_not_joined():
    edges = karate.karate().content.edges
    made = links.divide(edges, 34, 0.1, (3, 0), "share")
    assert (len(made.known), len(made.asked), len(made.absent)) == (70, 8, 8)
    assert as_set(made.known) | as_set(made.asked) == as_set(edges)
    assert not as_set(made.known) & as_set(made.asked)
    assert not as_set(made.absent) & as_set(edges)
    assert len(as_set(made.absent)) == 8
    assert (made.absent[:, 0] < made.absent[:, 1]).all()
    again = links.divide(edges[::-1, ::-1][::-1], 34, 0.1, (3, 0), "share")
    np.testing.assert_array_equal(again.asked, made.asked)
    other = links.divide(edges, 34, 0.1, (3, 1), "share")
    assert as_set(other.asked) != as_set(made.asked)


def test_pairs_that_are_not_joined_are_as_likely_and_all_if_more_are_wanted():
    edges = np.array([(0, 1), (2, 4)])
    rng = np.random.default_rng(0)
    every = as_set(links.absent_pairs(edges, 5, 99, rng))
    assert every == as_set(itertools.combinations(range(5), 2)) - as_set(edges)
    drawn = [tuple(links.absent_pairs(edges, 5, 1, rng)[0]) for _ in range(800)]
    counts = np.array([drawn.count(pair) for pair in every])
    assert (abs(counts - 100) < 4.5 * 100**0.5).all()


@pytest.mark.parametrize(
    "edges, nodes, share, message",
    [
        ([(0, 1), (1, 2)], 9, 1.0, "share=1.0 must be above 0 and below 1"),
        ([(0, 1), (1, 2)], 9, 0.1, "share=0.1: of 2 edges 0 would be held out"),
        (list(itertools.combinations(range(4), 2)), 4, 0.5, "3 edges and as many pairs"),
    ],
)
def test_what_cannot_be_divided(edges, nodes, share, message):
    with pytest.raises(UserError, match=message):
        links.divide(np.array(edges), nodes, share, (0,), "share")


def of_links(graph, count=6, fan_out=(3, 2)):
    """Whose features are the nodes' own numbers."""
    x = np.arange(graph.nodes, dtype=np.float32)[:, None]
    return sampled_links.Links(graph, x, count, fan_out)


def test_an_example_has_its_links_and_none_of_them_in_what_it_hears():
    graph = random_graph()
    matrix, made = dense(graph), of_links(graph, fan_out=(99, 99))
    seen, length = set(), len(made)
    batch = made.take(7 * length + np.arange(length))
    for i in range(length):
        one = {name: values[i] for name, values in batch.items()}
        name = one["features"][:, 0].astype(int)
        pairs, real = name[one["pair"]], one["weight"] > 0
        link = one["link"][real] == 1
        assert (matrix[tuple(pairs[real].T)] == link).all()
        assert (pairs[real][:, 0] != pairs[real][:, 1]).all()
        assert link.sum() * 2 == real.sum()
        own = as_set(pairs[real][link])
        assert not own & seen
        seen |= own
        there = one["target"] < len(name)
        source, target = name[one["source"][there]], name[one["target"][there]]
        heard = as_set(np.stack([source, target], axis=1))
        assert matrix[source, target].all()
        assert not heard & own
        # Of the nodes that are asked for everything else is heard.
        asked = np.unique(pairs[real])
        for node in asked:
            others = {
                b for b in np.flatnonzero(matrix[node]) if tuple(sorted((node, b))) not in own
            }
            assert others == set(source[target == node])
        assert (np.diff(one["target"]) >= 0).all()
    assert seen == as_set(csr.pairs_of(graph))
    for a, b in zip(
        made.take(np.array([5])).values(), made.take(np.array([5])).values(), strict=True
    ):
        np.testing.assert_array_equal(a, b)


def test_a_pair_is_joined_or_not():
    graph = random_graph()
    pairs = np.array(list(itertools.product(range(NODES), repeat=2)))
    found = sampled_links.joined(graph, pairs)
    np.testing.assert_array_equal(found, dense(graph)[tuple(pairs.T)] == 1)
    empty = csr.create(*np.zeros((2, 0), int), 3, "none")
    assert not sampled_links.joined(empty, np.array([(0, 1), (2, 2)])).any()


def test_the_loss_of_links_is_the_formulas():
    rng = np.random.default_rng(0)
    told = rng.standard_normal((9, 4)).astype(np.float32)
    pairs, is_link = rng.integers(0, 9, (12, 2)), np.arange(12) < 6
    score = np.array([told[a].astype(float) @ told[b] for a, b in pairs])
    nats = np.where(
        is_link, -np.log(1 / (1 + np.exp(-score))), -np.log(1 - 1 / (1 + np.exp(-score)))
    )
    found = shared.loss(shared.logits(jnp.asarray(told), pairs), is_link.astype(np.float32))
    np.testing.assert_allclose(found.total / found.weight, nats.mean(), rtol=1e-5)
    others = {"common neighbours": rng.random(12), "Adamic-Adar": rng.random(12)}
    figures = shared.figures(score, others, 6)
    assert figures["loss"] == pytest.approx(nats.mean())
    wins = [(a > b) + (a == b) / 2 for a in score[:6] for b in score[6:]]
    assert figures["auroc"] == pytest.approx(np.mean(wins))


def test_the_curve_has_the_area():
    rng = np.random.default_rng(1)
    positive = rng.random(500) < 0.3
    scores = rng.standard_normal(500) + positive
    false, found = ranking.roc(scores, positive, points=10_000)
    area = (np.diff(false) * (found[1:] + found[:-1]) / 2).sum()
    assert area == pytest.approx(ranking.auroc(scores, positive), abs=1e-9)
    assert len(ranking.roc(scores, positive, points=20)[0]) <= 20


def test_learners_hear_by_known_edges_alone():
    one = built(WHOLE)
    state = one.task.init(one.key, {})
    edges = as_set(karate.karate().content.edges)
    for i in range(len(state.run)):
        known = jax.tree.map(lambda x, i=i: np.asarray(x[i]), state.known)
        divided = links.divide(karate.karate().content.edges, 34, 0.1, (0, i), "share")
        ends = known.adjacency.source, known.adjacency.target
        heard = {pair for pair in as_set(np.stack(ends, axis=1)) if pair[0] != pair[1]}
        assert heard == as_set(known.pairs) == edges - as_set(divided.asked)
        assert not as_set(known.absent) & as_set(known.pairs)


def test_the_loss_of_a_learner_asks_for_its_links_and_others():
    one = built(WHOLE)
    state = one.task.init(one.key, {})
    own = jax.tree.map(lambda x: x[0], state.known)
    vectors = jnp.asarray(np.random.default_rng(0).standard_normal((34, 3)), jnp.float32)
    forward = lambda params, model_state, key, *inputs: (vectors, model_state)
    batch = {"known": own, "given": state.given}
    found = link_prediction.training_loss(forward, {}, {}, batch, keys.root(0)).loss
    drawn = jax.random.randint(keys.named(keys.root(0), "absent"), (70,), 0, len(own.absent))
    score = lambda pairs: np.einsum("ij,ij->i", *(np.float64(vectors[pairs[:, i]]) for i in (0, 1)))
    nats = [*np.logaddexp(0, -score(own.pairs)), *np.logaddexp(0, score(own.absent[drawn]))]
    assert found.weight == 140
    np.testing.assert_allclose(found.total, np.sum(nats), rtol=1e-5)


def test_links_of_karate_are_found_and_reported(tmp_path):
    flags = (*tiny.FLAGS[WHOLE], "--config.batch_size=8", "--config.steps=40")
    assert run(WHOLE, tmp_path, *flags, "--config.eval.every=40", REPORT) == 0
    final = summary(tmp_path)["final"]
    assert final["auroc"] > 0.6
    graph = karate.karate().content
    told = []
    for i in range(8):
        divided = links.divide(graph.edges, 34, 0.1, (0, i), "share")
        known = csr.create(*divided.known.T, 34, "karate")
        pairs = np.concatenate([divided.asked, divided.absent])
        told.append(
            ranking.auroc(common_neighbours(known.indptr, known.indices, pairs), np.arange(16) < 8)
        )
    assert final["common_neighbours_auroc"] == pytest.approx(np.mean(told))
    assert "Links of the first learner" in (tmp_path / "report.html").read_text()


def test_links_of_blocks_are_found(tmp_path, capsys):
    flags = (*tiny.FLAGS[SAMPLED], "--config.steps=30", "--config.eval.every=30", REPORT)
    assert run(SAMPLED, tmp_path, *flags, "--config.optimizer.learning_rate=.02") == 0
    assert 0.52 < summary(tmp_path)["final"]["auroc"] < 0.75
    assert "an AUROC above 0.6500" in capsys.readouterr().err
    assert "<h2>Links</h2>" in (tmp_path / "report.html").read_text()


def test_drawn_links_are_cut_and_go_on(tmp_path):
    small = (*tiny.FLAGS[SAMPLED], "--config.optimizer.name=sgd", "--config.eval.every=6")
    assert_resumes_to_the_bit(SAMPLED, tmp_path, *small, "--config.checkpoint.every=2", at=4)


def test_own_edges_without_labels(tmp_path, own_cache):
    folder, rng = tmp_path / "own", np.random.default_rng(0)
    folder.mkdir()
    np.savetxt(folder / "edges.csv", rng.integers(0, 30, (120, 2)), "%d", ",")
    np.savetxt(folder / "features.csv", rng.standard_normal((30, 3)), delimiter=",")
    own = ("--config.data.name=edge_list", f"--config.data.path={folder}")
    size = ("--config.data.seeds=8", "--config.data.fan_out=(3,2)", "--config.data.held_out=.2")
    small = ("--config.batch_size=2", "--config.model.hidden=(4,)", "--config.steps=4")
    assert run(SAMPLED, tmp_path / "run", *own, *size, *small) == 0
    assert summary(tmp_path / "run")["final"]["auroc"] >= 0


LABELS, NO_LINKS = "--config.data.labels_per_class=3", "--config.data.held_out=0."


@pytest.mark.parametrize(
    "experiment, flags, message",
    [
        (WHOLE, ("--config.task.held_out=0.",), "config.task.held_out=0.0 must be above 0"),
        (WHOLE, ("--config.task.dimensions=0",), "config.task.dimensions=0 must be at least 1"),
        (SAMPLED, (NO_LINKS, LABELS), "needs a large graph with links"),
        (SAMPLED, ("--config.data.held_out=2.",), "config.data.held_out=2.0 must be above 0"),
        (SAMPLED, (LABELS,), "labels_per_class=3 is for classes"),
        (SAMPLED, ("--config.data.fan_out=(3,)",), "must have a number for each layer"),
    ],
)
def test_settings_that_cannot_be(experiment, flags, message, tmp_path, capsys):
    assert run(experiment, tmp_path / "run", *tiny.FLAGS[experiment], *flags) == 2
    captured = capsys.readouterr().err
    assert message in captured
    assert captured.count("error:") == 1


def test_neighbourhoods_without_links_have_room():
    graph = random_graph()
    batch = of_links(graph).take(np.arange(3))
    sizes = of_links(graph).room
    for example in range(3):
        count = (batch["target"][example] < sizes.nodes[-1]).sum()
        first = (batch["target"][example] < len(np.unique(batch["pair"][example]))).sum()
        assert first <= sizes.edges[0]
        assert count <= sizes.edges[-1]
