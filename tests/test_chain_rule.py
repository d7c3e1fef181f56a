"""The gradient that training follows is the chain rule: written out by hand, in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import erf, expit

from jaxdl import keys, losses, models

# Each activation and its derivative.
ACTIVATIONS = {
    "relu": (lambda z: z * (z > 0), lambda z: 1.0 * (z > 0)),
    "tanh": (np.tanh, lambda z: 1 / np.cosh(z) ** 2),
    "sigmoid": (expit, lambda z: expit(z) * expit(-z)),
    "silu": (lambda z: z * expit(z), lambda z: expit(z) + z * expit(z) * expit(-z)),
    "gelu": (
        lambda z: z * (1 + erf(z / np.sqrt(2))) / 2,
        lambda z: (1 + erf(z / np.sqrt(2))) / 2 + z * np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi),
    ),
}


def forward_and_backward(x, labels, layers, activation):
    """Mean cross-entropy of a perceptron, and its gradient: layers are [(kernel, bias), …]."""
    f, slope = ACTIVATIONS[activation]
    B = len(x)
    inputs, sums = [x], []
    for kernel, bias in layers:
        sums.append(inputs[-1] @ kernel + bias)
        inputs.append(f(sums[-1]))
    logits = sums[-1]
    exp = np.exp(logits - logits.max(1, keepdims=True))
    p = exp / exp.sum(1, keepdims=True)
    loss = -np.log(p[np.arange(B), labels]).mean()

    gradients = []
    delta = (p - np.eye(p.shape[1])[labels]) / B  # ∂loss / ∂ the layer's sum
    for i in reversed(range(len(layers))):
        gradients.insert(0, (inputs[i].T @ delta, delta.sum(0)))
        if i:
            delta = (delta @ layers[i][0].T) * slope(sums[i - 1])
    return loss, gradients


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_mlps_gradient_is_the_chain_rule_by_hand(activation):
    rng = np.random.default_rng(0)
    x, labels = rng.normal(size=(6, 2, 3)), rng.integers(0, 4, 6)
    hidden = (5, 7, 3)
    names = [*(f"dense_{i}" for i in range(len(hidden))), "head"]
    with jax.enable_x64(True):
        model = models.create(
            "mlp", hidden=hidden, num_classes=4, activation=activation, dtype=jnp.float64
        )
        params = jax.jit(model.init)(keys.root(0), jnp.asarray(x))["params"]
        # Biases start at 0, where a mistake in them would not show.
        params = {
            layer: {
                "kernel": np.asarray(p["kernel"], np.float64),
                "bias": 0.3 * rng.normal(size=p["bias"].shape),
            }
            for layer, p in params.items()
        }

        def loss(params):
            logits = model.apply({"params": params}, jnp.asarray(x), train=True)
            assert logits.dtype == jnp.float64
            return losses.cross_entropy(logits, jnp.asarray(labels)).mean()

        value, got = jax.jit(jax.value_and_grad(loss))(params)

    assert sorted(got) == sorted(names)
    layers = [(params[name]["kernel"], params[name]["bias"]) for name in names]
    expected, gradients = forward_and_backward(x.reshape(6, 6), labels, layers, activation)
    np.testing.assert_allclose(value, expected, rtol=1e-10)
    for name, (kernel, bias) in zip(names, gradients, strict=True):
        assert got[name]["kernel"].dtype == jnp.float64
        assert np.abs(kernel).max() > 1e-3  # there is something to compare
        np.testing.assert_allclose(got[name]["kernel"], kernel, rtol=1e-10, atol=1e-10)
        np.testing.assert_allclose(got[name]["bias"], bias, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    "name, fields, shape",
    [
        ("mlp", dict(hidden=(4,)), (1, 4)),
        ("deep_cnn", dict(channels=(2,), hidden=3), (1, 4, 4, 1)),
        ("vit", dict(patch_size=2, width=8, depth=1, heads=2), (1, 4, 4, 1)),
    ],
)
@pytest.mark.parametrize(
    "dtype, logits", [("bfloat16", "float32"), ("float32", "float32"), ("float64", "float64")]
)
def test_logits_are_as_wide_as_the_computation_and_at_least_float32(
    name, fields, shape, dtype, logits
):
    with jax.enable_x64(True):
        model = models.create(name, num_classes=3, dtype=jnp.dtype(dtype), **fields)
        x = jax.ShapeDtypeStruct(shape, jnp.float32)
        key = jax.eval_shape(lambda: keys.root(0))
        out, _ = jax.eval_shape(model.init_with_output, key, x)
    assert out.dtype == jnp.dtype(logits)
    assert out.shape == (1, 3)
