"""Nodes named by what their neighbours are taken for; states that are asked of twice."""

import gc
import weakref

import jax.numpy as jnp
import numpy as np
from scipy.special import log_softmax, softmax

from jaxdl.data import block_model, csr
from jaxdl.tasks.shared.collective import collective
from jaxdl.tasks.shared.kept import kept


def blocks(nodes=4000, classes=3, within=0.6, signal=1.0):
    rng = np.random.default_rng(0)
    labels = rng.permutation(np.arange(nodes) % classes)
    means = signal * np.eye(classes, 4, dtype=np.float32)
    x = rng.standard_normal((nodes, 4), np.float32) + means[labels]
    pairs = block_model.draw_pairs(labels, classes, 6 * nodes, within, rng)
    return csr.create(*pairs, nodes, "blocks"), x, means, labels


def test_on_a_block_model_it_comes_near_to_who_knows_the_model():
    """From 200 labels a class; belief propagation is told how likely classes are joined."""
    graph, x, means, labels = blocks()
    alone = block_model.of_features(x, means)
    believed = block_model.beliefs(graph, alone, block_model.odds(0.6, 3))
    known = np.zeros(len(labels), bool)
    for i in range(3):
        known[np.flatnonzero(labels == i)[:200]] = True
    right = lambda told: (told.argmax(axis=1) == labels)[~known].mean()
    told = [collective(graph, x, labels, known, alone, rounds) for rounds in (1, 6)]
    assert right(alone) < 0.7
    assert right(alone) + 0.1 < right(told[0]) < right(told[1])
    assert right(told[1]) > right(believed) - 0.01
    assert collective(graph, x, labels, known, alone, 0) is alone
    # Probabilities are what they say: the loss is below that of who only knows the classes' share.
    nats = -log_softmax(told[1], axis=1)[np.arange(len(labels)), labels]
    assert nats.mean() < 0.5 < np.log(3)


def test_a_round_is_a_regression_on_features_and_neighbours():
    """As from each edge by itself; a class that nobody knows comes last."""
    from sklearn.linear_model import LogisticRegression

    graph, x, _, labels = blocks(nodes=300)
    known = (np.arange(300) < 120) & (labels < 2)
    logits = np.random.default_rng(1).standard_normal((300, 3)).astype(np.float32)
    heard = np.zeros((300, 3))
    for node in range(300):
        for other in graph.indices[graph.indptr[node] : graph.indptr[node + 1]]:
            heard[node] += softmax(logits[other])
    given = np.concatenate([x, heard], axis=1)
    given = (given - given.mean(axis=0)) / given.std(axis=0)
    named = LogisticRegression(tol=1e-6).fit(given[known], labels[known])
    found = collective(graph, x, labels, known, logits, 1)
    np.testing.assert_allclose(found[:, :2], named.predict_log_proba(given), atol=0.02)
    assert found.shape == (300, 3)
    assert (found[:, 2] == found[:, :2].min(axis=1)).all()


def test_what_is_made_of_a_state_is_made_once_while_it_is_the_same():
    made = []
    of = kept(lambda state: made.append(1) or state["a"].sum())
    state = {"a": jnp.ones(3), "b": jnp.zeros(2)}
    assert of(state) == of(dict(state)) == 3
    assert len(made) == 1
    assert of({**state, "b": jnp.zeros(2)}) == 3  # other arrays, of the same numbers
    assert of({**state, "a": 2 * state["a"]}) == 6
    assert of({"a": jnp.ones(5)}) == 5
    assert len(made) == 4
    leaf = jnp.ones(4)
    seen = weakref.ref(leaf)
    assert of({"a": leaf}) == 4
    del leaf
    gc.collect()
    assert seen() is None  # it does not keep the state
