"""The transformer's block, its cache, its masks and its relative positions."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from numeric import softmax

from jaxdl import keys, layers, ops

EPSILON = 1e-6


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def drawn(module, *inputs, **fields):
    """Parameters in float64, biases too drawn at random: at 0 they would hide mistakes."""
    with jax.enable_x64(True):
        shapes = jax.eval_shape(lambda: module.init(keys.root(0), *inputs, **fields))
    rng = np.random.default_rng(9)
    return jax.tree.map(lambda x: 0.6 * rng.normal(size=x.shape), shapes["params"])


def run(module, params, *inputs, **fields):
    with jax.enable_x64(True):
        f = jax.jit(lambda p, *x: module.apply({"params": p}, *x, **fields))
        return jax.tree.map(np.asarray, f(params, *inputs))


# The block, written out.


def affine(params, x):
    kernel = params["kernel"]
    return x @ kernel.reshape(x.shape[-1], -1) + np.ravel(params.get("bias", 0))


def attention(params, x, context, mask, scale=None):
    heads = params["query"]["kernel"].shape[1]
    split = lambda name, x: affine(params[name], x).reshape(*x.shape[:2], heads, -1)
    q, k, v = split("query", x), split("key", context), split("value", context)
    scores = np.einsum("btnd,bsnd->bnts", q, k) * (scale or q.shape[-1] ** -0.5)
    weights = softmax(np.where(mask, scores, -np.inf) if mask.dtype == bool else scores + mask)
    y = np.einsum("bnts,bsnd->btnd", weights, v).reshape(*x.shape[:2], -1)
    return y @ params["out"]["kernel"].reshape(y.shape[-1], -1) + params["out"].get("bias", 0)


def block(params, x, context=None, *, mask, context_mask=None, pre_norm=True, scale=None):
    def norm(name, x):
        centred = x - x.mean(-1, keepdims=True)
        unit = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + EPSILON)
        return unit * params[f"norm_{name}"]["scale"] + params[f"norm_{name}"]["bias"]

    def residual(name, x, f):
        part = params[name]
        return x + f(part, norm(name, x)) if pre_norm else norm(name, x + f(part, x))

    def feed_forward(part, x):
        return affine(part["down"], np.maximum(affine(part["up"], x), 0))

    x = residual("attention", x, lambda part, x: attention(part, x, x, mask, scale))
    if context is not None:
        x = residual(
            "cross_attention",
            x,
            lambda part, x: attention(part, x, context, context_mask, scale),
        )
    return residual("feed_forward", x, feed_forward)


small = functools.partial(layers.Block, 2, mlp_ratio=1.5, activation="relu", norm_epsilon=EPSILON)
CAUSAL = np.tril(np.ones((4, 4), bool))


@pytest.mark.parametrize("pre_norm", [True, False])
@pytest.mark.parametrize("cross", [False, True])
def test_block_is_what_its_parameters_say(pre_norm, cross):
    module, x = small(pre_norm=pre_norm, head_dim=2), normal(2, 4, 6)
    more = [normal(2, 3, 5, seed=1)] if cross else []
    seen = np.array([True, False, True]) if cross else None
    how = dict(train=False, causal=True, context_mask=seen)
    params = drawn(module, x, *more, **how)
    assert ("cross_attention" in params) == cross
    got = run(module, params, x, *more, **how)
    expected = block(params, x, *more, mask=CAUSAL, context_mask=seen, pre_norm=pre_norm)
    np.testing.assert_allclose(got, expected, rtol=1e-10, atol=1e-11)


def test_block_of_t5_has_no_biases_and_no_scale_but_relative_positions():
    module, x = small(use_bias=False, scale=1.0), normal(2, 4, 6)
    relative = np.where(CAUSAL, normal(1, 2, 4, 4, seed=2), -np.inf)
    params = drawn(module, x, train=False)
    biased = [k for k, _ in jax.tree.leaves_with_path(params) if "bias" in str(k[-1])]
    assert all("norm" in str(k[0]) for k in biased)
    got = run(module, params, x, train=False, mask=relative)
    expected = block(params, x, mask=relative, scale=1.0)
    np.testing.assert_allclose(got, expected, rtol=1e-10, atol=1e-11)


def test_a_gated_feed_forward_is_a_product():
    module, x = layers.FeedForward(5, activation="relu", gated=True), normal(2, 4, 6)
    params = drawn(module, x, train=False)
    got = run(module, params, x, train=False)
    hidden = np.maximum(affine(params["gate"], x), 0) * affine(params["up"], x)
    np.testing.assert_allclose(got, affine(params["down"], hidden), rtol=1e-10, atol=1e-11)


def test_a_bias_of_the_keys_changes_nothing():
    x = normal(2, 4, 6)
    params = drawn(small(), x, train=False)
    expected = run(small(), params, x, train=False)
    del params["attention"]["key"]["bias"]
    got = run(small(key_bias=False), params, x, train=False)
    np.testing.assert_allclose(got, expected, rtol=1e-10, atol=1e-11)


def test_padding_changes_no_token_and_gets_no_gradient():
    module, x = small(), normal(2, 4, 6)
    params = drawn(module, x, train=False)
    longer = np.concatenate([x, 100 * normal(2, 3, 6, seed=1)], axis=1)
    mask = (np.arange(7) < 4)[None, None, None]
    with jax.enable_x64(True):
        f = lambda x: module.apply({"params": params}, x, train=False, mask=mask)[:, :4]
        got, pull = jax.vjp(jax.jit(f), longer)
        (slope,) = pull(jnp.asarray(normal(2, 4, 6, seed=2)))
    expected = run(module, params, x, train=False)
    np.testing.assert_allclose(got, expected, rtol=1e-10, atol=1e-11)
    np.testing.assert_array_equal(slope[:, 4:], 0)
    assert np.abs(slope[:, :4]).min() > 0


def test_rematerialised_block_has_the_same_gradient_and_dropout():
    x, weights = normal(2, 4, 6), normal(2, 4, 6, seed=1)
    blocks = [small(attention_dropout=0.3, remat=remat) for remat in (False, True)]
    params = drawn(blocks[0], x, train=False)

    def loss(module, params):
        rngs = {"dropout": keys.root(1)}
        y = module.apply({"params": params}, x, train=True, causal=True, rngs=rngs)
        return (y * weights).sum()

    with jax.enable_x64(True):
        slopes = [jax.jit(jax.grad(functools.partial(loss, module))) for module in blocks]
        traced = [slope.trace(params) for slope in slopes]
        one, other = (trace.lower().compile()(params) for trace in traced)
    # One computes its softmax twice: the comparison is not of a thing with itself.
    exps = [str(trace.jaxpr).count(" exp ") for trace in traced]
    assert exps[1] == 2 * exps[0] > 0
    for a, b in zip(*map(jax.tree.leaves, (one, other)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-11)


def test_dropout_falls_where_it_is_asked_for():
    def rates(**fields):
        module, x = small(**fields), jnp.ones((2, 4, 6))
        found = {}

        def note(call, args, kwargs, context):
            if isinstance(context.module, layers.Dropout) and context.module.rate:
                found["/".join(context.module.path)] = context.module.rate
            return call(*args, **kwargs)

        def go(key):
            variables = module.init(key, x, x, train=False)
            with nn.intercept_methods(note):
                return module.apply(variables, x, x, train=True, rngs={"dropout": key})

        jax.eval_shape(go, keys.root(0))
        return found

    branches = {"Dropout_0": 0.1, "Dropout_1": 0.1, "feed_forward/Dropout_1": 0.1}
    assert rates(dropout=0.1, activation_dropout=0.0) == branches
    assert rates(dropout=0.1) == branches | {"feed_forward/Dropout_0": 0.1}
    assert rates(attention_dropout=0.2) == {
        "attention/drop_weights": 0.2,
        "cross_attention/drop_weights": 0.2,
    }


# The cache.


def test_cached_cross_attention_projects_its_context_once_and_sees_the_same():
    module, x, context = small(head_dim=3), normal(2, 5, 6), normal(2, 3, 7, seed=1)
    seen = np.array([[1, 1, 0], [1, 1, 1]], bool)[:, None, None]
    how = dict(train=False, causal=True, context_mask=seen)
    params = drawn(module, x, context, **how)
    expected = run(module, params, x, context, **how)
    with jax.enable_x64(True):
        empty = functools.partial(layers.Cache.empty, 1, 2, heads=2, head_dim=3, dtype=jnp.float64)
        cache = empty(length=6)._replace(context=empty(length=3))
        step = jax.jit(
            lambda x, c, cache: module.apply({"params": params}, x, c, cache=cache, **how)
        )
        parts = []
        for start, stop in ((0, 2), (2, 3), (3, 5)):
            given = context[:, : 3 if start == 0 else 0]
            y, cache = step(x[:, start:stop], given, cache)
            cache = cache.advance(stop - start, given.shape[1])
            parts.append(y)
    np.testing.assert_allclose(np.concatenate(parts, 1), expected, rtol=1e-10, atol=1e-11)
    assert (int(cache.filled), int(cache.context.filled)) == (5, 3)


# Masks and weights.


def test_weights_are_the_softmax_of_the_scores():
    q, k = normal(2, 3, 2, 4), normal(2, 5, 2, 4, seed=1)
    mask = np.array([True, True, False, True, True])
    with jax.enable_x64(True):
        got = ops.attention_weights(q, k, mask=mask, causal=True, scale=0.3)
    scores = np.einsum("btnd,bsnd->bnts", q, k) * 0.3
    expected = softmax(np.where(np.tril(np.ones((3, 5)), 2) * mask > 0, scores, -np.inf))
    np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-14)


def test_dropout_of_weights_comes_behind_the_softmax():
    q, k, v = (normal(2, 3, 2, 4, seed=i) for i in range(3))
    factor = normal(2, 2, 3, 3, seed=3)
    with jax.enable_x64(True):
        got = ops.attention(q, k, v, causal=True, drop=lambda w: w * factor)
        weights = np.asarray(ops.attention_weights(q, k, causal=True))
    expected = np.einsum("bnts,bsnd->btnd", weights * factor, v)
    np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-14)


def test_joined_masks_do_what_each_does():
    keys, causal = np.array([1, 1, 0, 1]), CAUSAL
    bias = normal(2, 4, 4).astype(np.float32)
    assert ops.join_masks(None, None) is None
    np.testing.assert_array_equal(ops.join_masks(keys, None, causal), causal & (keys > 0))
    np.testing.assert_array_equal(ops.join_masks(bias, bias), bias + bias)
    got = ops.join_masks(causal, bias, keys)
    np.testing.assert_array_equal(got, np.where(causal & (keys > 0), bias, -np.inf))


# Relative positions.


def published_bucket(distance, buckets, longest, bidirectional):
    """T5's rule in whole numbers: log(n / e) / log(L / e) · m ≥ k is n^m ≥ e^(m - k) L^k."""
    count, first = (buckets // 2, buckets // 2 * (distance > 0)) if bidirectional else (buckets, 0)
    n = abs(distance) if bidirectional else max(-distance, 0)
    e = count // 2
    if n < e:
        return first + n
    m = count - e
    steps = sum(n**m >= e ** (m - k) * longest**k for k in range(1, m))
    return first + e + steps


@pytest.mark.parametrize("buckets, longest", [(32, 128), (8, 20)])
@pytest.mark.parametrize("bidirectional", [True, False])
def test_buckets_are_t5s(buckets, longest, bidirectional):
    distance = np.arange(-200, 201)
    got = layers.relative_buckets(distance, buckets, longest, bidirectional)
    expected = [published_bucket(int(d), buckets, longest, bidirectional) for d in distance]
    np.testing.assert_array_equal(got, expected)
    assert max(expected) == buckets - 1


def test_relative_positions_depend_on_the_distance_only():
    module = layers.RelativePositions(3, bidirectional=False)
    at = lambda *p: module.apply(variables, *map(jnp.asarray, p))
    variables = module.init(keys.root(0), jnp.arange(4), jnp.arange(4))
    bias = at(np.arange(4), np.arange(4))
    assert bias.shape == (1, 3, 4, 4)
    # A cached query, the third of four, sees what it would see among the others.
    np.testing.assert_array_equal(at([2], np.arange(4)), bias[:, :, 2:3])
    np.testing.assert_array_equal(at(np.arange(4) + 9, np.arange(4) + 9), bias)
    table = variables["params"]["embedding"]
    np.testing.assert_array_equal(bias[0, :, 3, 1], table[2])


# jax 0.10 makes more copies of this, and of a Whisper's whole program (23 MB) none either way.
@pytest.mark.skipif(jax.__version_info__ < (0, 12), reason="XLA of jax 0.10 lays out otherwise")
def test_what_attends_to_an_encoder_lays_its_keys_out_once():
    """Whoever reads them, of a prompt or of the tokens behind it, reads the same memory."""
    S, N, D, depth = 1500, 6, 64, 4

    def attend(query, cache):
        for layer in range(depth):
            query += ops.attention(query, *cache.read(layer))
        return query

    def texts(encoded, kernels, query):
        cache = layers.Cache.empty(depth, 1, S, N, D, encoded.dtype)
        for layer in range(depth):
            new = ops.dense_each(encoded, kernels[layer], jnp.zeros((2, N * D)))
            cache = cache.write(layer, *(x.reshape(1, S, N, D) for x in new))
        prompt = attend(jnp.repeat(query, 3, 1), cache)[:, -1:]
        step = lambda _, carried: (attend(*carried), carried[1])
        return jax.lax.fori_loop(0, 9, step, (prompt, cache))[0]

    shapes = [(1, S, N * D), (depth, 2, N * D, N * D), (1, 1, N, D)]
    arguments = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes]
    memory = jax.jit(texts).lower(*arguments).compile().memory_analysis()
    kept = depth * 2 * S * N * D * 4
    # Besides, one layer's as they come from the products and as they are to lie.
    assert kept <= memory.temp_size_in_bytes <= kept * (1 + 2 / depth)
