"""Connectionist temporal classification, against PyTorch and against all paths written out."""

import itertools
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl import losses, ops
from jaxdl.generate import ctc_beams, ctc_greedy

GOLDEN = Path(__file__).parent / "golden" / "ctc.npz"


@pytest.fixture(scope="module")
def golden():
    with np.load(GOLDEN) as file:
        return dict(file)


def loss(golden, logits):
    return losses.ctc(logits, golden["labels"], frames=golden["frames"], lengths=golden["lengths"])


@pytest.mark.parametrize("dtype, most", [("float32", 2e-5), ("float64", 1e-8)])
def test_losses_and_gradients_are_torchs(golden, dtype, most):
    with jax.enable_x64(dtype == "float64"):
        logits = jnp.asarray(golden["logits"], dtype)
        found, back = jax.vjp(lambda x: loss(golden, x), logits)
        assert found.dtype == dtype
        np.testing.assert_allclose(found, golden["losses"], rtol=most, atol=most)
        (slopes,) = back(jnp.ones_like(found))
        np.testing.assert_allclose(slopes, golden["gradients"], atol=10 * most)


def test_bf16_logits_lose_no_more_than_their_own_digits(golden):
    short = jnp.asarray(golden["logits"], jnp.bfloat16)
    found = loss(golden, short)
    assert found.dtype == jnp.float32
    np.testing.assert_array_equal(found, loss(golden, short.astype(jnp.float32)))


def test_what_stands_behind_the_labels_and_the_frames_is_not_looked_at(golden):
    behind = np.arange(golden["logits"].shape[1])[None] >= golden["frames"][:, None]
    other = dict(golden, labels=golden["labels"].copy())
    padding = np.arange(other["labels"].shape[1])[None] >= golden["lengths"][:, None]
    other["labels"][padding] = 4
    logits = golden["logits"].astype(np.float32)
    noisy = np.where(behind[..., None], 100.0, logits).astype(np.float32)
    np.testing.assert_array_equal(loss(golden, logits), loss(other, noisy))


def test_what_cannot_be_said_is_infinite_and_moves_nothing():
    labels = np.array([[1, 1], [1, 2]])
    np.testing.assert_array_equal(ops.needed_frames(labels), [3, 2])
    np.testing.assert_array_equal(ops.needed_frames(labels, np.array([1, 0])), [1, 0])
    logits = jnp.asarray(np.random.default_rng(0).normal(size=(2, 2, 3)), jnp.float32)
    found, slopes = jax.value_and_grad(
        lambda x: jnp.where(jnp.isinf(nats := losses.ctc(x, labels)), 0, nats).sum()
    )(logits)
    assert np.isfinite(found)
    assert np.isinf(losses.ctc(logits, labels)[0])
    assert not np.any(slopes[0])
    assert np.all(slopes[1] != 0)


def said(path, blank):
    """What a path says."""
    return tuple(token for token, _ in itertools.groupby(path) if token != blank)


def by_all_paths(log_p, blank):
    """{labelling: log-probability}, the likeliest first."""
    found = {}
    for path in itertools.product(range(log_p.shape[1]), repeat=len(log_p)):
        score = sum(log_p[frame, token] for frame, token in enumerate(path))
        labelling = said(path, blank)
        found[labelling] = np.logaddexp(found.get(labelling, -np.inf), score)
    return dict(sorted(found.items(), key=lambda item: -item[1]))


@pytest.mark.parametrize("blank", [0, 2])
def test_with_room_for_all_the_search_finds_each_labelling_with_all_its_paths(blank):
    logits = 2 * np.random.default_rng(blank).normal(size=(2, 5, 3)).astype(np.float32)
    frames = np.array([5, 3])
    tokens, lengths, scores = ctc_beams(logits, frames, beams=30, blank=blank)
    for example, count in enumerate(frames):
        log_p = np.asarray(jax.nn.log_softmax(logits[example, :count].astype(np.float64)))
        wanted = by_all_paths(log_p, blank)
        found = {
            tuple(map(int, row[:length])): score
            for row, length, score in zip(
                tokens[example], lengths[example], scores[example], strict=True
            )
            if np.isfinite(score)
        }
        assert list(found) == list(wanted)
        np.testing.assert_allclose(list(found.values()), list(wanted.values()), rtol=1e-4)
        behind = np.arange(5) >= lengths[example][:, None]
        assert np.all(np.asarray(tokens[example])[behind] == blank)
        # And the loss is the sum over the same paths.
        labels = np.zeros((len(wanted), 5), int)
        for row, labelling in zip(labels, wanted, strict=True):
            row[: len(labelling)] = labelling
        nats = losses.ctc(
            jnp.broadcast_to(logits[example], (len(wanted), 5, 3)),
            labels,
            frames=np.full(len(wanted), count),
            lengths=np.array([*map(len, wanted)]),
            blank=blank,
        )
        np.testing.assert_allclose(-nats, list(wanted.values()), rtol=1e-4, atol=1e-5)


def test_a_few_beams_find_what_the_likeliest_path_does_not_say():
    # Graves, 2012, figure 7.3: blank, blank is the likeliest path, and yet a token is said.
    logits = jnp.log(jnp.array([[[0.6, 0.4], [0.6, 0.4]]]))
    tokens, lengths = ctc_greedy(logits)
    assert lengths[0] == 0
    assert not np.any(tokens)
    tokens, lengths, scores = ctc_beams(logits, beams=2)
    assert lengths[0].tolist() == [1, 0]
    assert tokens[0, 0, 0] == 1
    np.testing.assert_allclose(np.exp(scores[0]), [0.64, 0.36], rtol=1e-5)


def test_labellings_grow_no_longer_than_asked_for():
    logits = 5 * np.random.default_rng(3).normal(size=(1, 9, 4)).astype(np.float32)
    tokens, lengths, scores = jax.jit(lambda x: ctc_beams(x, beams=200, longest=2))(logits)
    assert tokens.shape == (1, 200, 2)
    assert lengths.max() == 2
    wanted = by_all_paths(np.asarray(jax.nn.log_softmax(logits[0])), 0)
    wanted = {k: v for k, v in wanted.items() if len(k) <= 2}
    assert np.isfinite(scores[0]).sum() == len(wanted)
    np.testing.assert_allclose(scores[0, : len(wanted)], list(wanted.values()), rtol=1e-3)


def test_the_likeliest_path_is_read_to_its_own_end():
    path = np.array([[0, 1, 1, 0, 1, 2, 2, 0], [3, 3, 0, 3, 1, 1, 1, 1]])
    logits = np.eye(4, dtype=np.float32)[path]
    tokens, lengths = ctc_greedy(logits, np.array([8, 4]))
    assert lengths.tolist() == [3, 2]
    assert tokens[0].tolist() == [1, 1, 2, 0, 0, 0, 0, 0]
    assert tokens[1].tolist() == [3, 3, 0, 0, 0, 0, 0, 0]
