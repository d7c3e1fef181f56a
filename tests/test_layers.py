"""Layers: what their parameters mean, what they draw, and what they let through."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from numeric import softmax

from jaxdl import keys, layers
from jaxdl.errors import UserError
from jaxdl.layers.attention import Projection

# In standard errors of what is measured: a fixed key passes once and for all.
SIGMAS = 5


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def init(module, *inputs, **fields):
    """Parameters in float64, biases too drawn at random: at 0 they would hide mistakes."""
    shapes = jax.eval_shape(lambda: module.init(keys.root(0), *inputs, **fields))
    rng = np.random.default_rng(99)
    return jax.tree.map(lambda x: 0.6 * rng.normal(size=x.shape), shapes["params"])


def apply(module, params, *inputs, **fields):
    with jax.enable_x64(True):
        f = jax.jit(lambda p, *x: module.apply({"params": p}, *x, **fields))
        return np.asarray(f(params, *inputs))


# Stochastic depth.


@pytest.mark.parametrize("shape", [(4000,), (4000, 3), (4000, 2, 2)])
def test_drop_path_drops_whole_examples_and_keeps_the_mean(shape):
    rate = 0.3
    x = 1 + np.arange(np.prod(shape[1:]), dtype=np.float32).reshape(shape[1:])
    x = np.broadcast_to(x, shape)
    module = layers.DropPath(rate)
    y = jax.jit(lambda k: module.apply({}, x, train=True, rngs={"dropout": k}))(keys.root(1))
    rows, inputs = np.asarray(y).reshape(4000, -1), x.reshape(4000, -1)
    kept = rows[:, 0] != 0
    np.testing.assert_array_equal(rows[~kept], 0)
    np.testing.assert_allclose(rows[kept], inputs[kept] / (1 - rate), rtol=1e-6)
    deviation = np.sqrt(rate * (1 - rate) / 4000)
    assert abs(kept.mean() - (1 - rate)) < SIGMAS * deviation
    np.testing.assert_allclose(rows.mean(0), inputs[0], rtol=SIGMAS * deviation / (1 - rate))


def test_drop_path_draws_anew_for_another_key_and_the_same_for_the_same():
    x = jnp.ones((64, 1))
    draw = jax.jit(
        lambda seed: layers.DropPath(0.5).apply(
            {}, x, train=True, rngs={"dropout": keys.root(seed)}
        )
    )
    np.testing.assert_array_equal(draw(0), draw(0))
    assert (draw(0) != draw(1)).any()


@pytest.mark.parametrize("rate, train", [(0.9, False), (0.0, True)])
def test_drop_path_is_the_identity_without_training_or_rate(rate, train):
    x = jnp.asarray(normal(8, 3), jnp.float32)
    y = layers.DropPath(rate).apply({}, x, train=train)  # and needs no random key
    np.testing.assert_array_equal(y, x)


def test_drop_path_keeps_bf16():
    x = jnp.ones((4, 2), jnp.bfloat16)
    y = layers.DropPath(0.5).apply({}, x, train=True, rngs={"dropout": keys.root(0)})
    assert y.dtype == jnp.bfloat16


# Different layers draw differently.


class Tower(nn.Module):
    """Two encoder blocks with every kind of dropout."""

    rate: float = 0.5

    @nn.compact
    def __call__(self, x, train):
        for i in range(2):
            x = layers.Block(
                2, mlp_ratio=1, dropout=self.rate, drop_path=self.rate, name=f"block_{i}"
            )(x, train=train)
        return x


def test_every_dropout_of_every_block_draws_its_own_mask():
    # 32 examples: two equal masks of whole examples have a chance of 2⁻³².
    x = jnp.asarray(normal(32, 2, 4), jnp.float32)
    masks = {}

    def note(call, args, kwargs, context):
        y = call(*args, **kwargs)
        if isinstance(context.module, layers.Dropout | layers.DropPath):
            where = ("/".join(context.module.path), context.module.__class__.__name__)
            masks[where] = y == 0
        return y

    def run(params):
        with nn.intercept_methods(note):
            Tower().apply({"params": params}, x, True, rngs={"dropout": keys.root(3)})
        return {f"{where} {kind}": mask for (where, kind), mask in masks.items()}

    params = jax.tree.map(np.float32, init(Tower(), x, False))
    drawn = {name: np.asarray(mask) for name, mask in jax.jit(run)(params).items()}
    paths = {name: mask.all((1, 2)) for name, mask in drawn.items() if "DropPath" in name}
    dropouts = {name: mask for name, mask in drawn.items() if "DropPath" not in name}
    assert len(paths) == 4
    assert len(dropouts) == 6
    for group in (paths, dropouts):
        names = sorted(group)
        for i, a in enumerate(names):
            assert 0.2 < group[a].mean() < 0.8, a
            for b in names[:i]:
                assert (group[a] != group[b]).any(), f"{a} and {b} draw the same"


# Attention.


def multi_head_attention(params, x, context, causal, mask=None):
    def project(name, inputs):
        kernel, bias = params[name]["kernel"], params[name]["bias"]
        return np.einsum("btw,wnd->btnd", inputs, kernel) + bias

    q, k, v = project("query", x), project("key", context), project("value", context)
    scores = np.einsum("btnd,bsnd->bnts", q, k) / np.sqrt(q.shape[-1])
    T, S = scores.shape[-2:]
    seen = np.tril(np.ones((T, S), bool), S - T) if causal else np.ones((T, S), bool)
    seen = seen if mask is None else seen & mask
    heads = np.einsum("bnts,bsnd->btnd", softmax(np.where(seen, scores, -np.inf)), v)
    return np.einsum("btnd,ndw->btw", heads, params["out"]["kernel"]) + params["out"]["bias"]


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("head_dim", [None, 5])
def test_self_attention_is_what_its_parameters_say(causal, head_dim):
    module, x = layers.MultiHeadAttention(2, head_dim=head_dim), normal(2, 4, 6)
    params = init(module, x.astype(np.float32))
    assert params["query"]["kernel"].shape == (6, 2, head_dim or 3)
    assert params["out"]["kernel"].shape == (2, head_dim or 3, 6)
    got = apply(module, params, x, causal=causal)
    expected = multi_head_attention(params, x, x, causal)
    np.testing.assert_allclose(got, expected, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("masked", [False, True])
def test_cross_attention_is_what_its_parameters_say(masked):
    module, x, context = layers.MultiHeadAttention(3), normal(2, 4, 6), normal(2, 5, 7, seed=1)
    mask = np.array([1, 1, 0, 1, 0], bool) if masked else None
    params = init(module, x.astype(np.float32), context.astype(np.float32))
    assert params["key"]["kernel"].shape == (7, 3, 2)
    got = apply(module, params, x, context, mask=mask)
    expected = multi_head_attention(params, x, context, False, mask)
    np.testing.assert_allclose(got, expected, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("causal", [False, True])
def test_causal_attention_has_no_gradient_from_later_tokens(causal):
    module, x = layers.MultiHeadAttention(2), normal(1, 5, 4)
    params = init(module, x.astype(np.float32))
    with jax.enable_x64(True):
        weights = normal(4, seed=1)  # a plain sum might cancel
        slope = jax.jit(
            jax.jacobian(lambda x: module.apply({"params": params}, x, causal=causal)[0] @ weights)
        )(x)
    reaches = np.abs(np.asarray(slope)[:, 0]).max(-1) > 0  # (output t, input s)
    np.testing.assert_array_equal(reaches, np.tril(np.ones((5, 5))) if causal else 1)


def test_heads_that_do_not_divide_the_width_are_refused():
    with pytest.raises(UserError, match="width of 6 does not divide into 4 heads"):
        layers.MultiHeadAttention(4).init(keys.root(0), jnp.ones((1, 2, 6)))


# Patches and positions.


def test_patch_embed_is_the_convolution_whose_stride_is_its_kernel():
    module, x = layers.PatchEmbed(2, 5), normal(2, 4, 6, 3)
    params = init(module, x.astype(np.float32))
    assert params["kernel"].shape == (2, 2, 3, 5)
    got = apply(module, params, x)
    expected = np.zeros((2, 2, 3, 5))
    for b, i, j, f in np.ndindex(*expected.shape):
        patch = x[b, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2]
        expected[b, i, j, f] = (patch * params["kernel"][..., f]).sum() + params["bias"][f]
    np.testing.assert_allclose(got, expected, rtol=1e-11, atol=1e-12)
    with jax.enable_x64(True):
        convolved = np.asarray(
            jax.lax.conv_general_dilated(
                x, params["kernel"], (2, 2), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")
            )
        )
    np.testing.assert_allclose(got, convolved + params["bias"], rtol=1e-11, atol=1e-12)


def test_images_that_do_not_divide_into_patches_are_refused():
    with pytest.raises(UserError, match="5x4 pixels do not divide into patches of 2x2"):
        layers.PatchEmbed(2, 3).init(keys.root(0), jnp.ones((1, 5, 4, 1)))


def test_sincos_positions_are_distinct_and_rows_come_first():
    table = layers.sincos_positions(3, 5, 16)
    assert table.shape == (1, 15, 16)
    assert table.dtype == np.float32
    apart = np.linalg.norm(table[0][:, None] - table[0][None], axis=-1)
    assert apart[~np.eye(15, dtype=bool)].min() > 0.5
    table = table.reshape(3, 5, 4, 4)  # row, column, (sin x, cos x, sin y, cos y), wavelength
    for i, j in np.ndindex(3, 5):
        for n, wavelength in enumerate(2 * np.pi * 10000 ** (np.arange(4) / 3)):
            x, y = 2 * np.pi * j / wavelength, 2 * np.pi * i / wavelength
            expected = [np.sin(x), np.cos(x), np.sin(y), np.cos(y)]
            np.testing.assert_allclose(table[i, j, :, n], expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("features", [4, 8])
def test_sincos_positions_need_a_multiple_of_4(features):
    assert np.isfinite(layers.sincos_positions(2, 2, features)).all()
    with pytest.raises(ValueError, match="multiple of 4"):
        layers.sincos_positions(2, 2, features + 2)


# Initial weights.


def check_variance(weights, expected, kurtosis):
    """``kurtosis``: of the weights' distribution, at most; it sets the estimate's own error."""
    weights = np.asarray(weights, np.float64).ravel()
    error = np.sqrt((kurtosis - 1) / weights.size)
    assert abs(np.mean(weights**2) / expected - 1) < SIGMAS * error
    assert abs(weights.mean()) < SIGMAS * np.sqrt(expected / weights.size)


@pytest.mark.parametrize(
    "shape, fan_in, fan_out", [((300, 100), 300, 100), ((3, 3, 40, 80), 360, 720)]
)
@pytest.mark.parametrize(
    "name, variance",
    [
        ("xavier_uniform", lambda i, o: 2 / (i + o)),
        ("xavier_normal", lambda i, o: 2 / (i + o)),
        ("he_uniform", lambda i, o: 2 / i),
        ("he_normal", lambda i, o: 2 / i),
        ("lecun_normal", lambda i, o: 1 / i),
    ],
)
def test_initial_variance_is_the_stated_formula(name, variance, shape, fan_in, fan_out):
    draw = jax.jit(lambda key: layers.initializer(name)(key, shape, jnp.float32))
    weights = draw(keys.root(0))
    expected = variance(fan_in, fan_out)
    check_variance(weights, expected, 3)
    largest = float(jnp.abs(weights).max()) / np.sqrt(expected)
    if "uniform" in name:  # ends at √3 deviations
        assert 1.7 < largest <= np.sqrt(3) * (1 + 1e-6)
    else:  # truncated at 2 deviations of what then has .8796 of its deviation left
        assert 2.1 < largest <= 2 / 0.87962 * (1 + 1e-4)


def test_zeros_are_zeros_and_an_unknown_initializer_is_told_the_nearest():
    assert not layers.initializer("zeros")(keys.root(0), (3, 2), jnp.float32).any()
    with pytest.raises(UserError, match="did you mean 'he_normal'"):
        layers.initializer("he_norml")


def test_projections_count_heads_as_features_in_their_variance():
    # (width, heads, head_dim): a fan-out of heads · head_dim, not of head_dim.
    def kernel(out):
        return Projection(60, 4, 50, out=out).init(keys.root(0))["params"]["kernel"]

    for out, shape in ((False, (60, 4, 50)), (True, (4, 50, 60))):
        weights = jax.jit(kernel, static_argnums=0)(out)
        assert weights.shape == shape
        check_variance(weights, 2 / (60 + 4 * 50), 1.8)


def test_dense_conv_and_patch_embed_start_with_the_published_variances():
    def kernel(module, x):
        return jax.jit(lambda: module.init(keys.root(0), x))()["params"]["kernel"]

    check_variance(kernel(layers.Dense(200), jnp.ones((1, 100))), 1 / 100, 3)
    check_variance(kernel(layers.Conv(128), jnp.ones((1, 4, 4, 20))), 2 / (9 * 20), 3)
    check_variance(kernel(layers.PatchEmbed(4, 200), jnp.ones((1, 4, 4, 3))), 1 / 48, 3)


def test_learned_positions_have_a_deviation_of_2_percent():
    class Positions(nn.Module):
        @nn.compact
        def __call__(self):
            return layers.learned_positions(self, 100, 64)

    params = jax.jit(lambda: Positions().init(keys.root(0)))()["params"]
    assert params["position"].shape == (1, 100, 64)
    check_variance(params["position"], 0.02**2, 3)


# The rest in one look each.


@pytest.mark.parametrize("use_bias", [True, False])
def test_dense_is_a_product_and_a_bias(use_bias):
    module, x = layers.Dense(3, use_bias=use_bias), normal(2, 4, 5)
    params = init(module, x.astype(np.float32))
    assert ("bias" in params) == use_bias
    expected = np.einsum("bti,io->bto", x, params["kernel"]) + params.get("bias", 0)
    np.testing.assert_allclose(apply(module, params, x), expected, rtol=1e-12, atol=1e-13)


def test_feed_forward_is_two_dense_layers_around_its_activation():
    module, x = layers.FeedForward(7, activation="tanh"), normal(2, 3, 4)
    params = init(module, x.astype(np.float32), train=False)
    up, down = params["up"], params["down"]
    hidden = np.tanh(x @ up["kernel"] + up["bias"])
    expected = hidden @ down["kernel"] + down["bias"]
    got = apply(module, params, x, train=False)
    np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-13)


def test_encoder_block_is_pre_norm_with_two_residuals():
    module, x = layers.Block(2, activation="relu", mlp_ratio=2), normal(2, 3, 4)
    params = init(module, x.astype(np.float32), train=False)

    def norm(name, x):
        centred = x - x.mean(-1, keepdims=True)
        normed = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-6)
        return normed * params[name]["scale"] + params[name]["bias"]

    h = norm("norm_attention", x)
    x1 = x + multi_head_attention(params["attention"], h, h, causal=False)
    ff = params["feed_forward"]
    h = norm("norm_feed_forward", x1) @ ff["up"]["kernel"] + ff["up"]["bias"]
    expected = x1 + np.maximum(h, 0) @ ff["down"]["kernel"] + ff["down"]["bias"]
    got = apply(module, params, x, train=False)
    np.testing.assert_allclose(got, expected, rtol=1e-10, atol=1e-11)


# Normalisation: where the variance is of the size of epsilon, epsilon shows.


@pytest.mark.parametrize(
    "norm, axes, epsilon",
    [
        (layers.BatchNorm(use_running_average=False), (0,), 1e-5),
        (layers.LayerNorm(), (1,), 1e-6),
    ],
    ids=["batch", "layer"],
)
def test_norms_have_the_published_epsilon(norm, axes, epsilon):
    x = normal(16, 8, seed=5) * np.sqrt(epsilon)
    variables = norm.init(keys.root(0), x.astype(np.float32))
    with jax.enable_x64(True):
        found, _ = norm.apply(variables, jnp.asarray(x, jnp.float64), mutable=["batch_stats"])
    mean, var = x.mean(axes, keepdims=True), x.var(axes, keepdims=True)
    np.testing.assert_allclose(found, (x - mean) / np.sqrt(var + epsilon), rtol=1e-6, atol=1e-9)
