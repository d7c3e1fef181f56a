"""Graphs of blocks: how they are drawn, and what can be told of them at best, by enumeration."""

import itertools

import numpy as np
import pytest

from jaxdl.data import block_model, blocks, csr
from jaxdl.errors import UserError

SMALL = dict(nodes=300, edges=1500, communities=3, features=4, seeds=16, labels_per_class=20)


def test_as_many_different_edges_as_asked_for_and_their_share_within_a_class():
    rng = np.random.default_rng(0)
    labels = rng.permutation(np.arange(2000) % 4)
    ends = block_model.draw_pairs(labels, 4, 20_000, 0.7, rng)
    assert ends.shape == (2, 20_000)
    assert (ends[0] < ends[1]).all()
    assert len(np.unique(ends, axis=1).T) == 20_000
    same = (labels[ends[0]] == labels[ends[1]]).mean()
    assert abs(same - 0.7) < 4 * (0.7 * 0.3 / 20_000) ** 0.5 + 0.005  # pairs drawn twice go
    # Between classes all are as likely, and so are all nodes.
    a, b = labels[ends[:, labels[ends[0]] != labels[ends[1]]]]
    between = np.bincount(np.minimum(a, b) * 4 + np.maximum(a, b), minlength=16)
    between = between[between > 0]
    assert len(between) == 6
    assert ((between - between.mean()) ** 2 / between.mean()).sum() < 20.5  # one in a thousand
    degrees = np.bincount(ends.ravel(), minlength=2000)
    assert abs(degrees.var() / degrees.mean() - 1) < 0.15  # nearly Poisson's


def joint(graph, own, ratio):
    """(classes, …, classes): the probability of every assignment, in float64."""
    nodes, classes = own.shape
    found = np.zeros((classes,) * nodes)
    for y in itertools.product(range(classes), repeat=nodes):
        log = sum(own[i, k] for i, k in enumerate(y))
        for i in range(nodes):
            for j in graph.indices[graph.indptr[i] : graph.indptr[i + 1]]:
                log += 0.5 * np.log(ratio) * (y[i] == y[j])
        found[y] = np.exp(log)
    return found / found.sum()


def test_beliefs_are_the_marginals_of_a_tree():
    graph = csr.create(*np.array([(0, 1), (0, 2), (2, 3), (2, 4), (4, 5)]).T, 6, "tree")
    own = np.random.default_rng(1).standard_normal((6, 3))
    own[3] = [0, -np.inf, -np.inf]  # a known label
    every = joint(graph, own, 3.5)
    found = block_model.beliefs(graph, own, 3.5, rounds=5)
    for i in range(6):
        others = tuple(j for j in range(6) if j != i)
        np.testing.assert_allclose(found[i], every.sum(axis=others), atol=1e-6)


def test_evidence_is_the_posterior_given_all_other_classes():
    graph = csr.create(*np.array([(0, 1), (1, 2), (2, 0), (2, 3)]).T, 4, "g")
    rng = np.random.default_rng(2)
    means, labels = rng.standard_normal((3, 2)), np.array([0, 2, 1, 1])
    x = rng.standard_normal((4, 2))
    density = np.log(np.exp(-np.square(x[:, None] - means).sum(-1) / 2))
    every = joint(graph, density, 4.0)
    evidence = block_model.of_features(x, means)
    evidence = evidence + block_model.of_neighbours(graph, labels, 3, 4.0)
    for i in range(4):
        row = every[tuple(slice(None) if j == i else labels[j] for j in range(4))]
        expected = np.log(row / row.sum())
        found = evidence[i] - np.log(np.exp(evidence[i]).sum())
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_odds_are_those_of_what_is_drawn():
    """Of 10,000 pairs within a class and 30,000 between: edges a pair."""
    within = 0.6
    assert block_model.odds(within, 4) == pytest.approx((within / 1) / ((1 - within) / 3))


def test_nobody_is_told_more_than_the_note_says():
    data = blocks.blocks(**SMALL)
    graph = data.whole
    bound = float(data.notes[-1].split("above ")[1].split()[0])
    means = np.stack([graph.features[graph.labels == i].mean(axis=0) for i in range(3)])
    own = block_model.of_features(graph.features, means)
    alone = (own.argmax(axis=1) == graph.labels).mean()
    found = block_model.beliefs(graph.edges, own, block_model.odds(0.5, 3))
    told = (found.argmax(axis=1) == graph.labels).mean()
    assert alone + 0.05 < told < bound + 0.02
    assert bound < 1
    again = blocks.blocks(**SMALL).whole
    for name, array in graph._asdict().items():
        np.testing.assert_array_equal(array, getattr(again, name))
    other = blocks.blocks(**SMALL, label_seed=1).whole
    np.testing.assert_array_equal(other.indices, graph.indices)
    assert (other.known != graph.known).any()
    assert graph.known.sum() == 60
    assert not (graph.known & graph.scored).any()


@pytest.mark.parametrize(
    "changed, message",
    [
        (dict(nodes=5), "data.nodes=5 must be at least 6"),
        (dict(edges=0), "data.edges=0 must be at least 1"),
        (dict(edges=10**6), "data.edges=1000000 must be at most 7500 with 300 nodes"),
        (dict(communities=1), "data.communities=1 must be at least 2"),
        (dict(within=1.0), "data.within=1.0 must be above 0 and below 1"),
        (dict(signal=float("nan")), "data.signal=nan must be at least 0"),
        (dict(seeds=0), "data.seeds=0 must be at least 1"),
        (dict(fan_out=(3, 0)), r"data.fan_out=\(3, 0\) must have a whole number"),
        (dict(labels_per_class=0), "config.data.labels_per_class=0, but the graph does not say"),
        (dict(labels_per_class=100), "config.data.labels_per_class=100: class '0' has only 100"),
    ],
)
def test_settings_that_cannot_be(changed, message):
    with pytest.raises(UserError, match=message) as caught:
        blocks.blocks(**{**SMALL, **changed})
    assert "\n" not in str(caught.value)
