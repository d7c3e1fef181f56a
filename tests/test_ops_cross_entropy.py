"""Softmax cross-entropy for each position; what losses.cross_entropy adds is in test_losses.py."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numeric import gradient, softmax
from scipy.special import log_softmax

from jaxdl import losses
from jaxdl.ops.cross_entropy import cross_entropy

few_shapes = settings(max_examples=6, deadline=None, derandomize=True)
sizes = lambda low, high: st.integers(low, high)


def definition(logits, labels, smoothing=0.0):
    classes = logits.shape[-1]
    p = np.eye(classes)[labels] if labels.dtype.kind == "i" else labels
    target = (1 - smoothing) * p + smoothing * p.sum(-1, keepdims=True) / classes
    return -(target * log_softmax(logits, axis=-1)).sum(-1)


@few_shapes
@given(
    leading=st.lists(sizes(1, 3), max_size=3),
    classes=sizes(1, 6),
    kind=st.sampled_from(["integers", "distributions"]),
    smoothing=st.sampled_from([0.0, 0.1]),
)
def test_values_and_gradients_are_the_definitions(leading, classes, kind, smoothing):
    rng = np.random.default_rng(0)
    logits, weights = 3 * rng.normal(size=(*leading, classes)), rng.normal(size=leading)
    if kind == "integers":
        labels = rng.integers(0, classes, leading)
    else:
        labels = softmax(rng.normal(size=(*leading, classes)))

    def total(x, p):
        y = cross_entropy(x, p, smoothing)
        return (y * weights).sum(), y

    by = (0,) if kind == "integers" else (0, 1)
    with jax.enable_x64(True):
        slopes, y = jax.jit(jax.grad(total, by, has_aux=True))(logits, labels)
    np.testing.assert_allclose(y, definition(logits, labels, smoothing), rtol=1e-12, atol=1e-13)
    at = lambda x: (definition(x, labels, smoothing) * weights).sum()
    np.testing.assert_allclose(slopes[0], gradient(at, logits), rtol=1e-6, atol=1e-8)
    if kind == "distributions" and not smoothing:
        at = lambda p: (definition(logits, p) * weights).sum()
        np.testing.assert_allclose(slopes[1], gradient(at, labels), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_the_largest_finite_logits_give_finite_losses(dtype):
    top = float(jnp.finfo(dtype).max) / 2  # whose difference is finite too
    logits = jnp.array([[top, -top, 0], [-top, -top, -top], [top, top, -top]], dtype)
    labels = jnp.array([0, 2, 0])

    def total(x):
        y = cross_entropy(x, labels)
        return y.sum(), y

    slope, y = jax.jit(jax.grad(total, has_aux=True))(logits)
    assert y.dtype == jnp.float32
    np.testing.assert_allclose(y, [0, np.log(3), np.log(2)], rtol=1e-6)
    expected = [[0, 0, 0], [1 / 3, 1 / 3, -2 / 3], [-0.5, 0.5, 0]]
    np.testing.assert_allclose(np.asarray(slope, np.float32), expected, atol=2**-9)


def test_it_holds_under_vmap_and_inside_scan_and_is_the_losses():
    rng = np.random.default_rng(1)
    logits = rng.normal(size=(3, 4, 5)).astype(np.float32)
    labels = rng.integers(0, 5, (3, 4))
    expected = definition(logits.astype(np.float64), labels)
    mapped = jax.jit(jax.vmap(cross_entropy))(logits, labels)
    step = lambda _, xy: (None, cross_entropy(*xy))
    scanned = jax.jit(lambda *xy: jax.lax.scan(step, None, xy)[1])(logits, labels)
    for got in (mapped, scanned):
        np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(losses.cross_entropy(logits, labels), expected.mean(1), rtol=1e-6)


def test_a_shift_of_all_logits_changes_nothing():
    logits = np.random.default_rng(2).integers(-8, 8, (5, 7)).astype(np.float32)  # exact sums
    labels = np.arange(5)
    f = jax.jit(cross_entropy)
    np.testing.assert_array_equal(f(logits, labels), f(logits + 1024, labels))
