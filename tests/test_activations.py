"""Activations against float64 references, in values and gradients, up to ±1e4."""

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
from numeric import gradient, softmax
from scipy.special import expit, ndtr

from jaxdl import ops
from jaxdl.errors import UserError

REFERENCES = {
    "relu": lambda x: np.maximum(x, 0),
    "leaky_relu": lambda x: np.maximum(x, 0) + 0.01 * np.minimum(x, 0),
    "elu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
    "gelu": lambda x: x * ndtr(x),
    # (1 + tanh u) / 2 = σ(2u), which does not cancel.
    "gelu_tanh": lambda x: x * expit(np.sqrt(8 / np.pi) * (x + 0.044715 * x**3)),
    "silu": lambda x: x * expit(x),
    "sigmoid": expit,
    "tanh": np.tanh,
    "identity": lambda x: x.copy(),
}
KINKED = ("relu", "leaky_relu", "elu")  # at 0, the last in its slope
LIMITS = {  # (value, slope) at -1e4, then at 1e4
    "relu": ((0, 0), (1e4, 1)),
    "leaky_relu": ((-100, 0.01), (1e4, 1)),
    "elu": ((-1, 0), (1e4, 1)),
    "gelu": ((0, 0), (1e4, 1)),
    "gelu_tanh": ((0, 0), (1e4, 1)),
    "silu": ((0, 0), (1e4, 1)),
    "sigmoid": ((0, 0), (1, 0)),
    "tanh": ((-1, 0), (1, 0)),
    "identity": ((-1e4, 1), (1e4, 1)),
}
SPECIAL = [0.0, 1e-3, -1e-3, 1.0, -1.0, 20.0, -20.0, 1e4, -1e4]
GRID = np.array([*SPECIAL, *np.linspace(-7.3, 7.7, 41)])
EACH = pytest.mark.parametrize("name", REFERENCES)


def value_and_slope(name, x):
    f = jax.jit(jax.vmap(jax.value_and_grad(ops.activation(name))))
    return tuple(np.asarray(y) for y in f(x))


@EACH
def test_values_are_the_reference_to_float64_rounding(name):
    with jax.enable_x64(True):
        got, _ = value_and_slope(name, jnp.asarray(GRID))
    assert got.dtype == np.float64
    np.testing.assert_allclose(got, REFERENCES[name](GRID), rtol=1e-13, atol=1e-14)


@EACH
@pytest.mark.optimised
def test_values_are_the_reference_to_float32_rounding(name):
    x = GRID.astype(np.float32)
    got, _ = value_and_slope(name, jnp.asarray(x))
    assert got.dtype == np.float32
    # 4 ulp, and as much of 8 where a sum with 1 cancels.
    expected = REFERENCES[name](x.astype(np.float64))
    np.testing.assert_allclose(got, expected, rtol=5e-7, atol=8 * 6e-8)


@EACH
def test_gradients_are_the_references_central_differences(name):
    x = GRID[GRID != 0] if name in KINKED else GRID
    with jax.enable_x64(True):
        _, got = value_and_slope(name, jnp.asarray(x))
    expected = np.array([gradient(REFERENCES[name], v) for v in x])
    np.testing.assert_allclose(got, expected, rtol=1e-8, atol=2e-9)


@EACH
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_value_and_gradient_reach_their_limits_at_1e4(name, dtype):
    got = value_and_slope(name, jnp.array([-1e4, 1e4], dtype))
    expected = np.array(LIMITS[name]).T
    for g, e in zip(got, expected, strict=True):
        assert g.dtype == dtype
        # One rounding of the dtype: bf16 holds 8 bits.
        np.testing.assert_allclose(g.astype(np.float64), e, rtol=float(jnp.finfo(dtype).eps))


def test_relu_has_slope_0_at_0():
    assert jax.grad(ops.relu)(0.0) == 0.0


@EACH
def test_a_name_stands_for_the_function_of_that_name(name):
    if name != "identity":
        assert ops.activation(name) is getattr(ops, name)


@pytest.mark.parametrize("slope", [0.0, 0.2])
def test_leaky_relu_takes_its_slope(slope):
    got = ops.leaky_relu(jnp.array([-2.0, 3.0]), slope)
    np.testing.assert_allclose(got, [-2 * slope, 3], rtol=1e-7)


def test_unknown_activation_is_told_the_nearest():
    with pytest.raises(UserError, match=r"'sigmoyd'.*did you mean 'sigmoid'"):
        ops.activation("sigmoyd")


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_softmax_is_the_reference_along_its_axis(axis):
    x = 5 * np.random.default_rng(0).normal(size=(3, 4, 5))
    with jax.enable_x64(True):
        got = np.asarray(jax.jit(ops.softmax, static_argnums=1)(x, axis))
    np.testing.assert_allclose(got, softmax(x, axis), rtol=1e-13)


def test_softmax_gradient_is_the_references_central_difference():
    rng = np.random.default_rng(1)
    x, weights = 2 * rng.normal(size=(3, 4)), rng.normal(size=(3, 4))
    with jax.enable_x64(True):
        got = jax.jit(jax.grad(lambda x: (ops.softmax(x) * weights).sum()))(x)
    expected = gradient(lambda x: (softmax(x) * weights).sum(), x)
    np.testing.assert_allclose(got, expected, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
@pytest.mark.parametrize(
    "x, expected, slope",
    [
        ([1e4, -1e4, 0.0], [1, 0, 0], [0, 0, 0]),
        ([1e4, 1e4, -1e4], [0.5, 0.5, 0], [0.25, -0.25, 0]),
        ([-1e4, -1e4, -1e4], [1 / 3, 1 / 3, 1 / 3], [2 / 9, -1 / 9, -1 / 9]),
    ],
)
def test_softmax_is_right_at_1e4_in_value_and_gradient(x, expected, slope, dtype):
    def first(x):
        y = ops.softmax(x)
        return y[0], y

    got_slope, got = jax.jit(jax.grad(first, has_aux=True))(jnp.array(x, dtype))
    eps = float(jnp.finfo(dtype).eps)
    np.testing.assert_allclose(np.asarray(got, np.float64), expected, rtol=eps)
    np.testing.assert_allclose(np.asarray(got_slope, np.float64), slope, rtol=2 * eps, atol=1e-7)


def test_bf16_softmax_is_the_exact_one_rounded_once():
    x = (4 * np.random.default_rng(2).normal(size=(8, 300))).astype(ml_dtypes.bfloat16)
    got = jax.jit(ops.softmax)(jnp.asarray(x))
    assert got.dtype == jnp.bfloat16
    # Half an ulp of 8 bits, at worst 2⁻⁸ of the value, and float32's own error.
    exact = softmax(x.astype(np.float64))
    np.testing.assert_allclose(np.asarray(got, np.float64), exact, rtol=2**-8 * 1.001)


@EACH
def test_bf16_in_is_bf16_out_and_close_to_the_reference(name):
    x = np.linspace(-4, 4, 17).astype(ml_dtypes.bfloat16)
    got = jax.jit(ops.activation(name))(jnp.asarray(x))
    assert got.dtype == jnp.bfloat16
    # Intermediate roundings too: some units of 2⁻⁸, absolute where a sum with 1 cancels.
    expected = REFERENCES[name](x.astype(np.float64))
    np.testing.assert_allclose(np.asarray(got, np.float64), expected, rtol=0.02, atol=0.02)
