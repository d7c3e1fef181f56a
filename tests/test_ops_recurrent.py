"""Recurrent layers: PyTorch's numbers, the reference scan, and plain loops over single examples."""

import functools
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxdl import keys
from jaxdl.errors import UserError
from jaxdl.layers.recurrent import GRU, LSTM, RNN, Bidirectional
from jaxdl.ops import recurrent

GOLDEN = np.load(Path(__file__).parent / "golden" / "recurrent.npz")

few_shapes = settings(max_examples=6, deadline=None, derandomize=True)
sizes = lambda low, high: st.integers(low, high)

# name: (function, gates, biases, carries)
LAYERS = {
    "lstm": (recurrent.lstm, 4, 1, 2),
    "gru": (recurrent.gru, 3, 2, 1),
    "rnn_tanh": (recurrent.rnn, 1, 1, 1),
    "rnn_relu": (functools.partial(recurrent.rnn, activation="relu"), 1, 1, 1),
}
every_layer = pytest.mark.parametrize("name", LAYERS)


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def problem(name, B=3, T=4, F=2, H=3):
    """(x, w_in, w_hidden, biases …, initial), in float64."""
    _, gates, biases, carries = LAYERS[name]
    weights = [normal(F, gates * H, seed=1), normal(H, gates * H, seed=2)]
    weights += [normal(gates * H, seed=3 + i) for i in range(biases)]
    return normal(B, T, F), *weights, tuple(normal(B, H, seed=5 + i) for i in range(carries))


@pytest.fixture
def reference(monkeypatch):
    """Layers as plain scans, differentiated by jax."""
    return lambda f: _with(monkeypatch, f)


def _with(monkeypatch, f):
    def g(*arguments):
        with monkeypatch.context() as patch:
            patch.setenv("JAXDL_OPS", "reference")
            return f(*arguments)

    return g


def value_and_slopes(f, *arguments, dtype=np.float64):
    """(outputs, carry) and the gradients, of a sum in which each of their entries has a weight."""
    with jax.enable_x64(dtype == np.float64):
        arguments = jax.tree.map(lambda x: jnp.asarray(x, dtype), arguments)

        def total(*arguments):
            out = f(*arguments)
            parts = [
                (y * normal(*y.shape, seed=i)).sum() for i, y in enumerate(jax.tree.leaves(out))
            ]
            return sum(parts), out

        run = jax.jit(jax.grad(total, tuple(range(len(arguments))), has_aux=True))
        slopes, out = run(*arguments)
    return jax.tree.map(np.asarray, (out, slopes))


def assert_close(got, expected, **bounds):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, **bounds), got, expected)


@every_layer
def test_values_and_gradients_are_pytorchs(name):
    f, _, biases, _ = LAYERS[name]
    at = lambda part: GOLDEN[f"{name}.{part}"]
    join = (lambda a, b: (a, b)) if biases == 2 else (lambda a, b: (a + b,))
    initial = tuple(at(part)[0] for part in ("h", "c") if f"{name}.{part}" in GOLDEN)
    given_ = (at("x"), at("weight_ih").T, at("weight_hh").T)
    given_ = (*given_, *join(at("bias_ih"), at("bias_hh")), initial)
    with jax.enable_x64(True):
        given_ = jax.tree.map(jnp.asarray, given_)

        def total(*arguments):
            y, last = f(*arguments)
            return (y * at("g")).sum(), (y, last)

        by = tuple(range(len(given_)))
        slopes, (y, last) = jax.jit(jax.grad(total, by, has_aux=True))(*given_)
    bounds = dict(rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(y, at("y"), **bounds)
    for i, carry in enumerate(last):
        np.testing.assert_allclose(carry, at(f"last_{i}")[0], **bounds)
    dx, dw_in, dw_hidden, *dbiases, dinitial = slopes
    np.testing.assert_allclose(dx, at("d_x"), **bounds)
    np.testing.assert_allclose(dw_in, at("d_weight_ih").T, **bounds)
    np.testing.assert_allclose(dw_hidden, at("d_weight_hh").T, **bounds)
    for slope, bias in zip(dbiases, ("ih", "hh"), strict=False):
        np.testing.assert_allclose(slope, at(f"d_bias_{bias}"), **bounds)
    for slope, part in zip(dinitial, ("h", "c"), strict=False):
        np.testing.assert_allclose(slope, at(f"d_{part}")[0], **bounds)


@few_shapes
@given(
    name=st.sampled_from(sorted(LAYERS)),
    B=sizes(1, 3),
    T=sizes(1, 5),
    F=sizes(1, 3),
    H=sizes(1, 4),
    padded=st.booleans(),
    reverse=st.booleans(),
)
def test_the_written_out_gradient_is_that_of_the_scan(name, B, T, F, H, padded, reverse):
    lengths = np.random.default_rng(9).integers(0, T + 1, B) if padded else None
    f = functools.partial(LAYERS[name][0], lengths=lengths, reverse=reverse)
    arguments = problem(name, B, T, F, H)
    got = value_and_slopes(f, *arguments)
    with pytest.MonkeyPatch.context() as patch:
        expected = value_and_slopes(_with(patch, f), *arguments)
    assert_close(got, expected, rtol=1e-11, atol=1e-13)


@every_layer
def test_float32_is_within_a_few_roundings_of_float64(name):
    arguments = problem(name, T=12, H=8)
    exact = value_and_slopes(LAYERS[name][0], *arguments)
    got = value_and_slopes(LAYERS[name][0], *arguments, dtype=np.float32)
    # Along T steps an error grows as what carries it: bounded by steps for these random weights of
    # deviation 1, except where ReLU lets the state itself grow. So relative to the largest.
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(exact), strict=True):
        assert a.dtype == np.float32
        bound = 12 * 64 * np.finfo(np.float32).eps * np.abs(b).max()
        np.testing.assert_allclose(a, b, rtol=0, atol=bound)


@every_layer
def test_bf16_goes_in_and_out_with_gates_in_float32(name):
    f = LAYERS[name][0]
    arguments = jax.tree.map(lambda x: jnp.asarray(0.3 * x, jnp.bfloat16), problem(name, H=4))
    exact, _ = f(*jax.tree.map(lambda x: x.astype(jnp.float32), arguments))

    def total(*arguments):
        y, last = f(*arguments)
        return y.astype(jnp.float32).sum(), (y, last)

    by = tuple(range(len(arguments)))
    slopes, (y, last) = jax.jit(jax.grad(total, by, has_aux=True))(*arguments)
    assert y.dtype == jnp.bfloat16
    assert all(carry.dtype == jnp.float32 for carry in last)
    assert all(leaf.dtype == jnp.bfloat16 for leaf in jax.tree.leaves(slopes))
    # The state is rounded where it meets the weights, by 2⁻⁹ of at most 1, in each of 4 steps.
    np.testing.assert_allclose(np.asarray(y, np.float32), exact, atol=4 * 4 * 2**-9)


@pytest.mark.parametrize(
    "name, reverse", [("lstm", False), ("lstm", True), ("gru", False), ("rnn_tanh", True)]
)
def test_padding_changes_nothing(name, reverse):
    f = functools.partial(LAYERS[name][0], reverse=reverse)
    x, *rest, initial = problem(name, B=3, T=5)
    lengths = np.array([5, 2, 0])
    with jax.enable_x64(True):
        x, rest, initial = jax.tree.map(jnp.asarray, (x, rest, initial))
        loss = lambda x, y: (y * normal(*y.shape)).sum()
        padded = jax.jit(lambda x: f(x, *rest, initial, lengths=lengths))
        y, last = padded(x)
        other, _ = padded(x.at[1, 2:].set(1e3))
        slope = jax.jit(jax.grad(lambda x: loss(x, padded(x)[0])))(x)
        for i, n in enumerate(lengths):
            own = tuple(carry[i : i + 1] for carry in initial)
            if n:
                alone, carry = jax.jit(f)(x[i : i + 1, :n], *rest, own)
                np.testing.assert_allclose(y[i : i + 1, :n], alone, rtol=1e-12, atol=1e-14)
                own = carry
            # Nothing comes out of the padding, and the state is that of the end.
            np.testing.assert_array_equal(y[i, n:], 0)
            for got, expected in zip(last, own, strict=True):
                np.testing.assert_allclose(got[i : i + 1], expected, rtol=1e-12, atol=1e-14)
            np.testing.assert_array_equal(slope[i, n:], 0)
    np.testing.assert_array_equal(y, other)


@every_layer
def test_no_step_sees_a_later_one(name):
    x, *rest = jax.tree.map(jnp.float32, problem(name, B=1, T=4))
    for reverse in (False, True):
        f = lambda x, reverse=reverse: LAYERS[name][0](x, *rest, reverse=reverse)[0][0].sum(-1)
        touched = np.abs(jax.jit(jax.jacobian(f))(x)[:, 0]).sum(-1) > 0
        order = np.triu if reverse else np.tril
        np.testing.assert_array_equal(touched & ~order(np.ones((4, 4), bool)), False)
        assert name == "rnn_relu" or touched.sum() == 10  # ReLU may be at 0


@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_gradients_hold_under_vmap_inside_scan_and_twice(name, reference):
    f = LAYERS[name][0]
    x, *rest = problem(name, T=3)
    xs = np.stack([x, -x])
    loss = lambda x, *rest: jnp.sin(f(x, *rest)[0]).sum()
    mapped = jax.vmap(jax.grad(loss, (0, 2)), in_axes=(0, *(None,) * len(rest)))

    def scanned(xs, *rest):
        step = lambda total, x: (total + loss(x, *rest), None)
        return jax.lax.scan(step, 0.0, xs)[0]

    twice = jax.grad(lambda xs, *rest: jnp.square(jax.grad(loss, 2)(xs[0], *rest)).sum(), (0, 2))
    with jax.enable_x64(True):
        arguments = jax.tree.map(jnp.asarray, (xs, *rest))
        for g in (mapped, jax.grad(scanned, (0, 2)), twice):
            assert_close(
                jax.jit(g)(*arguments),
                jax.jit(reference(g))(*arguments),
                rtol=1e-9,
                atol=1e-11,
            )


def test_the_state_starts_at_zero_and_can_be_carried_on():
    x, *weights, _ = problem("lstm", T=6)
    with jax.enable_x64(True):
        x, *weights = map(jnp.asarray, (x, *weights))
        whole, last = recurrent.lstm(x, *weights)
        first, carry = recurrent.lstm(x[:, :2], *weights, (jnp.zeros((3, 3)),) * 2)
        second, end = recurrent.lstm(x[:, 2:], *weights, carry)
        np.testing.assert_allclose(jnp.concatenate([first, second], 1), whole, rtol=1e-13)
        assert_close(end, last, rtol=1e-13)


def test_an_unknown_activation_is_said():
    x, *weights, _ = problem("rnn_tanh")
    with pytest.raises(UserError, match="tanh"):
        recurrent.rnn(x, *weights, activation="tan")


# Layers.


@pytest.mark.parametrize("layer, gates, carries", [(LSTM, 4, 2), (GRU, 3, 1), (RNN, 1, 1)])
def test_layers_give_their_shapes_and_parameters(layer, gates, carries):
    x = jnp.asarray(normal(2, 5, 3), jnp.float32)
    (y, carry), variables = layer(4).init_with_output(keys.root(0), x)
    assert y.shape == (2, 5, 4)
    assert [c.shape for c in carry] == [(2, 4)] * carries
    shapes = jax.tree.map(jnp.shape, variables["params"])
    expected = {"kernel_in": (3, gates * 4), "kernel_hidden": (4, gates * 4), "bias": (gates * 4,)}
    if layer is GRU:
        expected["bias_hidden"] = (12,)
    assert shapes == expected
    for block in jnp.split(variables["params"]["kernel_hidden"], gates, axis=1):
        np.testing.assert_allclose(block @ block.T, np.eye(4), atol=1e-5)
    half, _ = layer(4, dtype=jnp.bfloat16).apply(variables, x)
    assert half.dtype == jnp.bfloat16
    np.testing.assert_allclose(np.asarray(half, np.float32), y, atol=0.05)


def test_the_lstm_layer_keeps_at_first():
    x = jnp.asarray(normal(2, 5, 3), jnp.float32)
    variables = LSTM(4).init(keys.root(0), x)
    p = variables["params"]
    bias = p["bias"].at[4:8].add(1.0)
    expected, _ = recurrent.lstm(x, p["kernel_in"], p["kernel_hidden"], bias)
    np.testing.assert_allclose(LSTM(4).apply(variables, x)[0], expected, rtol=1e-6)


def test_bidirectional_reads_each_example_from_its_own_end():
    x, lengths = jnp.asarray(normal(2, 5, 3), jnp.float32), np.array([5, 3])
    both = Bidirectional(functools.partial(LSTM, 4))
    variables = both.init(keys.root(0), x)
    y, _ = both.apply(variables, x, lengths=lengths)
    assert y.shape == (2, 5, 8)
    short, _ = both.apply(variables, x[1:, :3])
    np.testing.assert_allclose(y[1:, :3], short, rtol=1e-5, atol=1e-6)
    turned, _ = LSTM(4).apply({"params": variables["params"]["backward"]}, x[1:, 2::-1])
    np.testing.assert_allclose(y[1:, :3, 4:], turned[:, ::-1], rtol=1e-5, atol=1e-6)
