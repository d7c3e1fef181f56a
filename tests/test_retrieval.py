"""Figures of retrieval against loops, in blocks as whole, and of known cases."""

import numpy as np
import pytest

from jaxdl.metrics import retrieval


def by_hand(vectors, labels, k, gallery=None):
    recalls, precisions = [], []
    for i, query in enumerate(vectors):
        if gallery is None:
            others = [j for j in range(len(vectors)) if j != i]
            x, y = vectors[others], labels[others]
        else:
            x, y = gallery
        wanted = (y == labels[i]).sum()
        if not wanted:
            continue
        right = (y == labels[i])[np.argsort(np.linalg.norm(x - query, axis=1), kind="stable")]
        recalls.append(right[:k].any())
        precisions.append(sum(right[: j + 1].mean() for j in range(wanted) if right[j]) / wanted)
    return np.mean(recalls), np.mean(precisions)


@pytest.mark.parametrize("at_once", [1, 7 * 40, 2**25])
@pytest.mark.parametrize("apart", [False, True])
def test_figures_are_those_of_a_loop(apart, at_once):
    rng = np.random.default_rng(0)
    labels = np.append(rng.integers(0, 4, 39), 7)  # the last is of a class of its own
    vectors = rng.normal(size=(40, 3)) + 20 + labels[:, None]
    gallery = (vectors[:25], labels[:25]) if apart else None
    asked, of = (vectors[25:], labels[25:]) if apart else (vectors, labels)
    found = retrieval.figures(asked, of, recalls=(1, 3), gallery=gallery, at_once=at_once)
    for k in (1, 3):
        recall, precision = by_hand(asked, of, k, gallery)
        assert found[f"recall_at_{k}"] == pytest.approx(recall, abs=1e-12)
    assert found["map_at_r"] == pytest.approx(precision, abs=1e-12)
    assert 0.2 < precision < 0.9


def test_the_example_of_the_paper():
    # Musgrave et al.: of 10 references the first alone is right, then the first and the tenth, ….
    place = np.arange(1.0, 21)[:, None]
    of = lambda right: (place, np.isin(np.arange(1, 21), right) * 3)
    ask = lambda *right: retrieval.figures(np.zeros((1, 1)), np.array([3]), gallery=of(right))
    others = tuple(range(11, 21))
    assert ask(1, *others[:9])["map_at_r"] == pytest.approx(0.1)
    assert ask(1, 10, *others[:8])["map_at_r"] == pytest.approx(0.12)
    assert ask(1, 2, *others[:8])["map_at_r"] == pytest.approx(0.2)
    assert ask(*range(1, 11))["map_at_r"] == 1


def test_mutual_information_of_clusters():
    labels = np.repeat([0, 1, 2], 20)
    centres = np.array([[0.0, 0], [9, 0], [0, 9]])[labels]
    noise = np.random.default_rng(0).normal(size=(60, 2))
    assert retrieval.normalised_mutual_information(centres + noise, labels) == 1
    assert retrieval.normalised_mutual_information(noise, labels) < 0.3
    assert retrieval.normalised_mutual_information(np.zeros((60, 2)), labels) == 0


def test_what_cannot_be_answered_is_no_number():
    x = np.ones((3, 2))
    assert np.isnan(retrieval.figures(x, np.arange(3))["recall_at_1"])
    x[0, 0] = np.inf
    assert np.isnan(retrieval.figures(x, np.zeros(3, int))["map_at_r"])
    assert np.isnan(retrieval.normalised_mutual_information(x, np.zeros(3, int)))
