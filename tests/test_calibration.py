"""Calibration: the error by a loop, the temperature that was put in, and the report's page."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from jaxdl.metrics import calibration
from jaxdl.tasks.shared import classified


def answers(count, temperature=1.0, seed=0):
    """Logits whose softmax is the truth, times a temperature, and labels drawn by it."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (count, 4))
    shares = np.exp(calibration.log_shares(logits))
    labels = (shares.cumsum(axis=1) > rng.random((count, 1))).argmax(axis=1)
    return logits * temperature, labels


@pytest.mark.parametrize("temperature", [1.0, 2.5])
def test_the_error_is_that_of_a_loop_over_bins(temperature):
    logits, labels = answers(300)
    shares = np.exp(logits / temperature)
    shares /= shares.sum(axis=1, keepdims=True)
    total = 0.0
    for i in range(10):
        inside = [r for r in range(300) if i / 10 < shares[r].max() <= (i + 1) / 10]
        if inside:
            right = np.mean([shares[r].argmax() == labels[r] for r in inside])
            total += len(inside) / 300 * abs(right - np.mean([shares[r].max() for r in inside]))
    found = calibration.reliability(logits, labels, temperature, bins=10)
    assert found.error == pytest.approx(total, abs=1e-12)
    assert found.count.sum() == 300


@pytest.mark.parametrize("put_in", [0.4, 1.0, 3.0])
def test_the_temperature_that_was_put_in_is_found(put_in):
    logits, labels = answers(20000, put_in)
    found = calibration.temperature(logits, labels)
    assert found == pytest.approx(put_in, rel=0.05)
    assert calibration.reliability(logits, labels, found).error < 0.015
    if put_in != 1:
        assert calibration.reliability(logits, labels).error > 0.05


def test_answers_of_any_size():
    logits = np.array([[1e4, -1e4], [1e4, -1e4], [0, 0]])
    found = calibration.reliability(logits, np.array([0, 1, 0]))
    assert found.error == pytest.approx((2 * 0.5 + 1 * 0.5) / 3)
    assert 0.01 < calibration.temperature(logits, np.array([0, 0, 1])) < 101


def test_a_report_says_how_sure_answers_may_be():
    logits, labels = answers(400, 3.0)
    images = lambda places: np.zeros((len(places), 2, 2, 1))
    shown = classified.pictures(logits, labels, ("a", "b", "c", "d"), images)
    said = shown["Calibration"].caption
    assert "expected calibration error" in said
    # Half of the examples found the temperature, the other half are judged.
    even, odd = slice(None, None, 2), slice(1, None, 2)
    t = calibration.temperature(logits[even], labels[even])
    plain, scaled = (calibration.reliability(logits[odd], labels[odd], x).error for x in (1.0, t))
    assert f"{plain:.3f}" in said
    assert f"{scaled:.3f}" in said
    assert f"{t:.2f}" in said
    assert scaled < plain / 2
    few = classified.pictures(logits[:3], labels[:3], ("a", "b", "c", "d"), images)
    assert "Calibration" not in few


@pytest.mark.parametrize("scale", [0.1, 1.0, 8.0])
def test_the_temperature_is_that_of_a_search_for_the_least_nats(scale):
    rng = np.random.default_rng(0)
    logits, labels = scale * rng.standard_normal((300, 5)), rng.integers(0, 5, 300)
    logits[np.arange(300), labels] += scale
    nats = lambda log_t: (
        -calibration.log_shares(logits, np.exp(log_t))[np.arange(300), labels].mean()
    )
    best = minimize_scalar(nats, bounds=(-4.6, 4.6), method="bounded", options=dict(xatol=1e-9))
    assert calibration.temperature(logits, labels) == pytest.approx(np.exp(best.x), rel=1e-5)
