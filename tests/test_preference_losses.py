"""Losses of preferences, against trl's own, and against differences."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numeric
import numpy as np
import pytest

from jaxdl.losses import preference

GOLDEN = Path(__file__).parent / "golden" / "preferences.npz"
BETA, SMOOTHING, CENTRING = 0.3, 0.1, 0.01  # of make_preferences.py


@pytest.fixture(scope="module")
def golden():
    with np.load(GOLDEN) as file:
        return dict(file)


def texts(golden, logits, mean):
    """Log p (pairs, 2)."""
    log_p = preference.token_log_probabilities(logits[:, :-1], golden["tokens"][:, 1:])
    weight = jnp.asarray(golden["answer"][:, 1:])
    found = preference.sequence_log_probabilities(log_p, weight, mean=mean)
    return found.reshape(2, -1).T  # trl has all chosen answers in front of all others


def direct(golden, name):
    kind = preference.DIRECT["dpo" if name == "cdpo" else name]
    more = (SMOOTHING,) if name == "cdpo" else ()

    def loss(logits):
        policy = texts(golden, logits, kind.mean)
        reference = texts(golden, jnp.asarray(golden["reference"], logits.dtype), kind.mean)
        return kind.loss(preference.difference(policy, reference), BETA, *more).mean()

    return loss


@pytest.mark.parametrize("dtype, most", [("float32", 1e-5), ("float64", 1e-12)])
@pytest.mark.parametrize("name", ["dpo", "ipo", "hinge", "cdpo"])
def test_direct_losses_and_gradients_are_trls(golden, name, dtype, most):
    with jax.enable_x64(dtype == "float64"):
        logits = jnp.asarray(golden["policy"], dtype)
        found, slopes = jax.value_and_grad(direct(golden, name))(logits)
        assert found.dtype == dtype
        np.testing.assert_allclose(found, golden[name], rtol=most)
        assert np.abs(golden[f"{name}_slopes"]).max() > 1e-3
        np.testing.assert_allclose(slopes, golden[f"{name}_slopes"], atol=most)


@pytest.mark.parametrize("name", ["reward", "reward_margin", "reward_centred"])
def test_reward_losses_and_gradients_are_trls(golden, name):
    margin = golden["margins"] if name == "reward_margin" else 0.0
    centring = CENTRING if name == "reward_centred" else 0.0

    def loss(scores):
        chosen, rejected = scores.reshape(2, -1)
        return preference.reward(chosen, rejected, margin, centring).mean()

    with jax.enable_x64(True):
        found, slopes = jax.value_and_grad(loss)(jnp.asarray(golden["scores"]))
        np.testing.assert_allclose(found, golden[name], rtol=1e-12)
        np.testing.assert_allclose(slopes, golden[f"{name}_slopes"], atol=1e-12)
        differences = numeric.gradient(lambda x: float(loss(jnp.asarray(x))), golden["scores"])
        np.testing.assert_allclose(slopes, differences, atol=1e-8)


@pytest.mark.parametrize("size", [40.0, 1e4])
def test_sure_answers_have_finite_losses_and_slopes(size):
    def total(x):
        of_rewards = preference.reward(x, -x)
        return (preference.dpo(x, 0.1, 0.2) + of_rewards + preference.ipo(x, 0.1)).sum()

    for x in (size, -size):
        found, slopes = jax.value_and_grad(total)(jnp.full(2, x))
        assert np.isfinite(found)
        assert np.isfinite(slopes).all()


def test_an_answer_without_tokens_says_nothing_and_padding_may_hold_anything():
    log_p = jnp.array([[-1.0, -2.0, -1e9], [-3.0, -4.0, -5.0]])
    weight = jnp.array([[0, 1, 0], [0, 0, 0]], bool)
    for mean in (False, True):
        found = preference.sequence_log_probabilities(log_p, weight, mean=mean)
        np.testing.assert_array_equal(found, [-2.0, 0.0])


def test_smoothing_is_minimal_where_the_share_of_wrong_labels_is_as_told():
    # d such that σ(β d) = 1 - ε: nothing draws further.
    at = np.log((1 - SMOOTHING) / SMOOTHING) / BETA
    slope = jax.grad(lambda d: preference.dpo(d, BETA, SMOOTHING))(at)
    assert abs(slope) < 1e-6
