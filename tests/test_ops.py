"""Operations against plain loops in float64, and what they must keep under jax's transforms."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numeric import gradient

from jaxdl import ops
from jaxdl.ops.convolution import out_size, receptive_field

# The same few shapes every time: each of them is compiled.
few_shapes = settings(max_examples=8, deadline=None, derandomize=True)
sizes = lambda low, high: st.integers(low, high)


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def in_float64(f, *inputs, **fields):
    with jax.enable_x64(True):
        got = jax.jit(lambda *x: f(*x, **fields))(*(jnp.asarray(x) for x in inputs))
    assert got.dtype == np.float64
    return np.asarray(got)


def conv(x, kernel, stride, pads, groups):
    B, H, W, C = x.shape
    k_h, k_w, per_group, F = kernel.shape
    (top, bottom), (left, right) = pads
    padded = np.zeros((B, H + top + bottom, W + left + right, C))
    padded[:, top : top + H, left : left + W] = x
    h, w = (padded.shape[1] - k_h) // stride + 1, (padded.shape[2] - k_w) // stride + 1
    y = np.zeros((B, h, w, F))
    for b, i, j, f in np.ndindex(*y.shape):
        first = f // (F // groups) * per_group
        for di, dj, c in np.ndindex(k_h, k_w, per_group):
            pixel = padded[b, i * stride + di, j * stride + dj, first + c]
            y[b, i, j, f] += pixel * kernel[di, dj, c, f]
    return y


def pool(x, window, stride, padding, reduce, fill):
    B, H, W, C = x.shape
    h, w = ((n + 2 * padding - window) // stride + 1 for n in (H, W))
    y = np.zeros((B, h, w, C))
    for b, i, j, c in np.ndindex(*y.shape):
        values = []
        for di, dj in np.ndindex(window, window):
            row, column = i * stride + di - padding, j * stride + dj - padding
            inside = 0 <= row < H and 0 <= column < W
            values.append(x[b, row, column, c] if inside else fill)
        y[b, i, j, c] = reduce(values)
    return y


def attention(q, k, v, mask, causal, scale=None):
    B, T, N, D = q.shape
    S = k.shape[1]
    mask = np.broadcast_to(True if mask is None else mask, (B, N, T, S))
    y = np.zeros((B, T, N, v.shape[-1]))
    for b, n, t in np.ndindex(B, N, T):
        seen = [
            s for s in range(S) if mask[b, n, t, s] and (not causal or s <= t + S - T)
        ] or range(S)
        scores = [q[b, t, n] @ k[b, s, n] * (D**-0.5 if scale is None else scale) for s in seen]
        weights = np.exp(np.array(scores) - max(scores))
        for s, weight in zip(seen, weights / weights.sum(), strict=True):
            y[b, t, n] += weight * v[b, s, n]
    return y


def layer_norm(x, scale, bias, epsilon):
    y = np.zeros_like(x)
    for i in np.ndindex(*x.shape[:-1]):
        deviation = np.sqrt(np.mean((x[i] - np.mean(x[i])) ** 2) + epsilon)
        y[i] = (x[i] - np.mean(x[i])) / deviation * scale + bias
    return y


# Convolution.


@few_shapes
@given(
    size=st.tuples(sizes(4, 7), sizes(4, 7)),
    kernel=st.tuples(sizes(1, 4), sizes(1, 4)),
    stride=sizes(1, 3),
    padding=st.sampled_from(["half", 0, 2, ((1, 0), (0, 2))]),
    groups=sizes(1, 2),
)
def test_conv_is_the_loop(size, kernel, stride, padding, groups):
    x, weights = normal(2, *size, 4), normal(*kernel, 4 // groups, 2 * groups, seed=1)
    if padding == "half":
        pads = [(k // 2, k // 2) for k in kernel]
    else:
        pads = [(padding, padding)] * 2 if isinstance(padding, int) else padding
    got = in_float64(ops.conv, x, weights, stride=stride, padding=padding, groups=groups)
    np.testing.assert_allclose(got, conv(x, weights, stride, pads, groups), rtol=0, atol=1e-12)


def test_conv_pads_by_half_the_kernel_unless_told():
    x, weights = normal(1, 5, 6, 1), normal(3, 5, 1, 2, seed=1)
    got = in_float64(ops.conv, x, weights)
    expected = conv(x, weights, 1, ((1, 1), (2, 2)), 1)
    assert got.shape == (1, 5, 6, 2)
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-12)


def test_depthwise_conv_mixes_no_channels():
    x, weights = normal(1, 4, 4, 3), normal(3, 3, 1, 3, seed=1)
    got = in_float64(ops.conv, x, weights, groups=3)
    for c in range(3):
        alone = conv(x[..., c : c + 1], weights[..., c : c + 1], 1, ((1, 1), (1, 1)), 1)
        np.testing.assert_allclose(got[..., c : c + 1], alone, rtol=0, atol=1e-12)


def test_conv_gradients_are_the_loops_central_differences():
    x, weights, g = normal(1, 5, 4, 2), normal(3, 2, 1, 2, seed=1), normal(1, 3, 3, 2, seed=2)
    pads = ((1, 1), (1, 1))
    with jax.enable_x64(True):
        got = jax.jit(
            jax.grad(lambda x, w: (ops.conv(x, w, stride=2, groups=2) * g).sum(), (0, 1))
        )(x, weights)
    loop = lambda x, w: (conv(x, w, 2, pads, 2) * g).sum()
    np.testing.assert_allclose(got[0], gradient(lambda x: loop(x, weights), x), atol=1e-8)
    np.testing.assert_allclose(got[1], gradient(lambda w: loop(x, w), weights), atol=1e-8)


@pytest.mark.parametrize(
    "n, k, s, p, d",
    list(itertools.product([7, 12], [1, 3, 4], [1, 2, 3], [0, 1], [1, 2])),
)
def test_out_size_is_what_comes_out_of_a_convolution(n, k, s, p, d):
    y = jax.eval_shape(
        lambda x, w: jax.lax.conv_general_dilated(x, w, (s,), [(p, p)], rhs_dilation=(d,)),
        jax.ShapeDtypeStruct((1, 1, n), jnp.float32),
        jax.ShapeDtypeStruct((1, 1, k), jnp.float32),
    )
    assert out_size(n, k, stride=s, padding=p, dilation=d) == y.shape[-1]
    if d == 1 and p < k:
        x = jax.ShapeDtypeStruct((1, n, n + 1, 1), jnp.float32)
        pooled = jax.eval_shape(lambda x: ops.max_pool(x, k, s, p), x)
        assert out_size(n, k, stride=s, padding=p) == pooled.shape[1]
        assert out_size(n + 1, k, stride=s, padding=p) == pooled.shape[2]


@pytest.mark.parametrize(
    "layers",
    [
        [],
        [("conv", 5, 1)],
        [("conv", 3, 1), ("conv", 3, 1), ("conv", 3, 1)],
        [("conv", 3, 1), ("pool", 2, 2), ("conv", 3, 1), ("pool", 2, 2)],
        [("conv", 7, 2), ("pool", 3, 2), ("conv", 3, 1), ("conv", 1, 1)],
    ],
)
def test_receptive_field_is_the_extent_of_an_output_pixels_gradient(layers):
    def stack(x):
        for kind, k, s in layers:
            ones = jnp.ones((k, k, 1, 1))
            x = ops.conv(x, ones, stride=s) if kind == "conv" else ops.avg_pool(x, k, s)
        return x

    def centre(x):
        y = stack(x)
        return y[0, y.shape[1] // 2, y.shape[2] // 2, 0]

    slope = np.asarray(jax.jit(jax.grad(centre))(jnp.ones((1, 48, 48, 1))))[0, :, :, 0]
    expected = receptive_field([(k, s) for _, k, s in layers])
    for axis in (0, 1):
        reached = np.flatnonzero(slope.any(axis))
        assert reached[0] > 0  # not cut off by the border
        assert reached[-1] < 47
        assert reached[-1] - reached[0] + 1 == expected


# Matrix product.


@few_shapes
@given(
    leading=st.lists(sizes(1, 3), max_size=3), d=sizes(1, 4), f=sizes(1, 4), with_bias=st.booleans()
)
def test_dense_is_the_loop(leading, d, f, with_bias):
    x, kernel, bias = normal(*leading, d), normal(d, f, seed=1), normal(f, seed=2)
    expected = np.zeros((*leading, f))
    for i in np.ndindex(*leading, f):
        expected[i] = sum(x[(*i[:-1], j)] * kernel[j, i[-1]] for j in range(d))
        expected[i] += bias[i[-1]] if with_bias else 0
    got = in_float64(ops.dense, x, kernel, *([bias] if with_bias else []))
    assert got.shape == expected.shape
    np.testing.assert_allclose(got, expected, rtol=1e-13, atol=1e-13)


def test_wide_dense_is_exact_over_bf16_and_its_gradients_are_bf16_products():
    x, kernel = (
        jnp.asarray(normal(*shape, seed=seed), jnp.bfloat16)
        for seed, shape in enumerate([(2, 5, 7), (7, 3)])
    )
    slope = jnp.asarray(normal(2, 5, 3, seed=2), jnp.float32)
    y, pull = jax.vjp(lambda x, kernel: ops.dense(x, kernel, wide=True), x, kernel)
    wide = lambda a: np.asarray(a.astype(jnp.float32), np.float64)
    assert y.dtype == jnp.float32
    np.testing.assert_allclose(y, wide(x) @ wide(kernel), rtol=1e-5, atol=1e-5)
    dx, dkernel = pull(slope)
    assert dx.dtype == dkernel.dtype == jnp.bfloat16
    rounded = wide(slope.astype(jnp.bfloat16))
    # One rounding to the 8 bits of bf16.
    np.testing.assert_allclose(wide(dx), rounded @ wide(kernel).T, rtol=2**-8, atol=1e-6)
    by_hand = np.einsum("btd,btf->df", wide(x), rounded)
    np.testing.assert_allclose(wide(dkernel), by_hand, rtol=2**-8, atol=1e-6)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
@pytest.mark.parametrize("leading", [(), (1, 1), (3,), (2, 8), (17,), (0,)])
def test_products_with_a_table_and_with_several_kernels(leading, dtype):
    """Of no, one, few and many rows, which are forms of their own."""
    cast = lambda *shape, seed: jnp.asarray(normal(*shape, seed=seed), dtype)
    x, table = cast(*leading, 6, seed=0), cast(9, 6, seed=1)
    kernels, biases = [cast(6, f, seed=f) for f in (2, 5)], [cast(f, seed=-f % 7) for f in (2, 5)]
    wide = lambda a: np.asarray(a.astype(jnp.float32), np.float64)
    found = jax.jit(ops.by_table)(x, table)
    assert found.dtype == jnp.float32
    np.testing.assert_allclose(found, wide(x) @ wide(table).T, rtol=1e-5, atol=1e-5)
    exact = 1e-5 if dtype == jnp.float32 else 2**-6
    for y, kernel, bias in zip(
        jax.jit(ops.dense_each)(x, kernels, biases), kernels, biases, strict=True
    ):
        assert y.dtype == dtype
        np.testing.assert_allclose(
            wide(y), wide(x) @ wide(kernel) + wide(bias), rtol=exact, atol=exact
        )


@pytest.mark.parametrize("leading", [(), (1, 1)])
def test_one_rows_product_with_a_large_kernel(leading):
    """By halves on a CPU; in both modes of derivatives what it is by one product."""
    x, kernel, bias = normal(*leading, 512), normal(512, 256, seed=1), normal(256, seed=2)
    x_dot, kernel_dot = normal(*leading, 512, seed=3), normal(512, 256, seed=4)
    found = in_float64(ops.dense, x, kernel, bias)
    np.testing.assert_allclose(found, x @ kernel + bias, rtol=1e-12, atol=1e-12)
    tangent = lambda *dots: jax.jvp(ops.dense, (x, kernel), dots)[1]
    expected = x_dot @ kernel + x @ kernel_dot
    np.testing.assert_allclose(
        in_float64(tangent, x_dot, kernel_dot), expected, rtol=1e-11, atol=1e-11
    )
    slope = normal(*leading, 256, seed=5)
    pulled = lambda x, kernel, slope: jax.vjp(ops.dense, x, kernel)[1](slope)
    with jax.enable_x64(True):
        bars = jax.jit(pulled)(*map(jnp.asarray, (x, kernel, slope)))
    np.testing.assert_allclose(bars[0], slope @ kernel.T, rtol=1e-11, atol=1e-11)
    outer = x.reshape(512, 1) * slope.reshape(1, 256)
    np.testing.assert_allclose(bars[1], outer, rtol=1e-11, atol=1e-11)
    with ops.references():
        np.testing.assert_allclose(in_float64(ops.dense, x, kernel, bias), found, atol=1e-12)


@pytest.mark.parametrize("operation", ["dense_each", "by_table"])
def test_products_of_an_open_number_of_rows_can_be_exported(operation):
    import jax.export

    kernel = jnp.asarray(normal(4, 5, seed=1), jnp.float32)
    kernels, biases = [kernel, kernel[:, :3]], [jnp.ones(5), jnp.ones(3)]
    run = {
        "dense_each": lambda x: ops.dense_each(x, kernels, biases),
        "by_table": lambda x: ops.by_table(x, kernel.T),
    }[operation]
    # Of one image it would be few rows, of two many.
    open_ = jax.ShapeDtypeStruct(jax.export.symbolic_shape("images, 16, 4"), jnp.float32)
    exported = jax.export.export(jax.jit(run))(open_)
    for images in (1, 2):
        x = jnp.asarray(normal(images, 16, 4), jnp.float32)
        for one, other in zip(*map(jax.tree.leaves, (exported.call(x), run(x))), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


# Layer normalisation.


@few_shapes
@given(leading=st.lists(sizes(1, 3), max_size=2), features=sizes(2, 7))
def test_layer_norm_is_the_loop(leading, features):
    x, scale, bias = normal(*leading, features), normal(features, seed=1), normal(features, seed=2)
    got = in_float64(lambda *a: ops.layer_norm(*a, 1e-5), x, scale, bias)
    np.testing.assert_allclose(got, layer_norm(x, scale, bias, 1e-5), rtol=1e-11, atol=1e-12)


def plain_layer_norm(x, scale, bias, epsilon):
    mean = x.mean(-1, keepdims=True)
    var = jnp.square(x - mean).mean(-1, keepdims=True)
    return (x - mean) / jnp.sqrt(var + epsilon) * scale + bias


@pytest.mark.parametrize("shape", [(5,), (4, 6), (2, 3, 5)])
def test_layer_norm_gradients_by_all_inputs(shape):
    # An ε near the variance: a backward pass that forgot it would be seen.
    inputs = (normal(*shape), normal(shape[-1], seed=1), normal(shape[-1], seed=2))
    g, epsilon = normal(*shape, seed=3), 0.5
    with jax.enable_x64(True):
        total = lambda f: lambda *a: (f(*a, epsilon) * g).sum()
        got = jax.jit(jax.grad(total(ops.layer_norm), (0, 1, 2)))(*inputs)
        autodiff = jax.jit(jax.grad(total(plain_layer_norm), (0, 1, 2)))(*inputs)
    for i, x in enumerate(inputs):
        at = lambda x, i=i: (layer_norm(*inputs[:i], x, *inputs[i + 1 :], epsilon) * g).sum()
        np.testing.assert_allclose(got[i], gradient(at, x), rtol=1e-7, atol=1e-8)
        np.testing.assert_allclose(got[i], autodiff[i], rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("shape", [(5,), (2, 3, 5)])
def test_rms_norm_and_its_gradients_are_the_formulas(shape):
    def formula(x, scale):
        return x / np.sqrt((x**2).mean(-1, keepdims=True) + epsilon) * scale

    inputs, g, epsilon = (normal(*shape), normal(shape[-1], seed=1)), normal(*shape, seed=3), 0.5
    with jax.enable_x64(True):
        total = lambda *a: (ops.rms_norm(*a, epsilon) * g).sum()
        got = jax.jit(jax.grad(total, (0, 1)))(*inputs)
        y = ops.rms_norm(*inputs, epsilon)
    np.testing.assert_allclose(y, formula(*inputs), rtol=1e-11, atol=1e-12)
    for i, x in enumerate(inputs):
        at = lambda x, i=i: (formula(*inputs[:i], x, *inputs[i + 1 :]) * g).sum()
        np.testing.assert_allclose(got[i], gradient(at, x), rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("offset", [0.0, 1000.0, -1000.0])
def test_layer_norm_is_exact_at_a_large_mean(offset):
    # What remains is the rounding of the mean, half an ulp of 1000 (3e-5) over a deviation of 1;
    # E[x²] - E[x]² would be off by some 0.1.
    x = (normal(16, 48) + offset).astype(np.float32)
    ones, zeros = np.ones(48, np.float32), np.zeros(48, np.float32)
    got = jax.jit(lambda *a: ops.layer_norm(*a, 1e-6))(x, ones, zeros)
    expected = layer_norm(x.astype(np.float64), ones, zeros, 1e-6)
    np.testing.assert_allclose(got, expected, rtol=0, atol=2e-4 if offset else 1e-6)


def test_layer_norm_takes_and_gives_bf16_but_computes_wider():
    x = jnp.asarray(normal(4, 64) + 30, jnp.bfloat16)
    scale, bias = normal(64, seed=1).astype(np.float32), normal(64, seed=2).astype(np.float32)
    got = jax.jit(lambda *a: ops.layer_norm(*a, 1e-6))(x, scale, bias)
    assert got.dtype == jnp.bfloat16
    expected = layer_norm(np.asarray(x, np.float64), scale, bias, 1e-6)
    # One rounding at the end.
    np.testing.assert_allclose(np.asarray(got, np.float64), expected, rtol=2**-8, atol=1e-4)


def test_layer_norm_and_its_gradient_hold_under_vmap_and_inside_scan():
    x, scale, bias = normal(3, 2, 5), normal(3, 5, seed=1), normal(3, 5, seed=2)
    loss = lambda f: lambda x, s, b: jnp.sin(f(x, s, b, 1e-3)).sum()

    def scanned(x, scale, bias):
        step = lambda h, sb: (ops.layer_norm(h, *sb, 1e-3) + h, None)
        return jnp.sin(jax.lax.scan(step, x, (scale, bias))[0]).sum()

    def unrolled(x, scale, bias):
        for s, b in zip(scale, bias, strict=True):
            x = x + plain_layer_norm(x, s, b, 1e-3)
        return jnp.sin(x).sum()

    with jax.enable_x64(True):
        mapped = jax.jit(jax.vmap(jax.grad(loss(ops.layer_norm), (0, 1, 2))))(x, scale, bias)
        each = [
            jax.jit(jax.grad(loss(plain_layer_norm), (0, 1, 2)))(x[i], scale[i], bias[i])
            for i in range(3)
        ]
        deep = jax.jit(jax.value_and_grad(scanned, (0, 1, 2)))(x[0], scale, bias)
        expected = jax.jit(jax.value_and_grad(unrolled, (0, 1, 2)))(x[0], scale, bias)
    for got, want in zip(mapped, zip(*each, strict=True), strict=True):
        np.testing.assert_allclose(got, np.stack(want), rtol=1e-11, atol=1e-12)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-10), deep, expected)


# Pooling.


@few_shapes
@given(
    size=st.tuples(sizes(4, 7), sizes(4, 7)),
    window=sizes(1, 3),
    stride=st.sampled_from([None, 1, 2, 3]),
    padding=sizes(0, 1),
)
def test_pools_are_the_loops(size, window, stride, padding):
    padding = min(padding, window - 1)  # a window of padding alone has no maximum
    x = normal(2, *size, 2) - 3  # mostly negative: a padding of zeros would win
    for f, reduce, fill in ((ops.max_pool, max, -np.inf), (ops.avg_pool, np.mean, 0.0)):
        got = in_float64(f, x, window=window, stride=stride, padding=padding)
        expected = pool(x, window, stride or window, padding, reduce, fill)
        np.testing.assert_allclose(got, expected, rtol=1e-14)


def test_max_pool_hands_the_gradient_to_the_largest_of_each_window():
    x, g = np.random.default_rng(0).permutation(32).reshape(1, 4, 8, 1), normal(1, 2, 4, 1)
    got = jax.jit(jax.grad(lambda x: (ops.max_pool(x) * g).sum()))(jnp.asarray(x, jnp.float32))
    expected = np.zeros(x.shape)
    for i, j in np.ndindex(2, 4):
        square = x[0, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2, 0]
        di, dj = np.unravel_index(square.argmax(), (2, 2))
        expected[0, 2 * i + di, 2 * j + dj, 0] = g[0, i, j, 0]
    np.testing.assert_allclose(got, expected, rtol=1e-6)


def test_the_first_of_equal_maxima_takes_the_gradient():
    x = jnp.array([[3.0, 1, 2, 2], [3, 3, 2, 2]]).reshape(1, 2, 4, 1)
    g = jnp.array([5.0, 7.0]).reshape(1, 1, 2, 1)
    got = jax.jit(jax.grad(lambda x: (ops.max_pool(x) * g).sum()))(x).reshape(2, 4)
    np.testing.assert_array_equal(got, [[5, 0, 7, 0], [0, 0, 0, 0]])


def test_avg_pool_spreads_the_gradient_evenly():
    got = jax.jit(jax.grad(lambda x: ops.avg_pool(x, 2).sum()))(jnp.zeros((1, 5, 4, 1)))[0, ..., 0]
    np.testing.assert_allclose(got[:4], 0.25)
    np.testing.assert_array_equal(got[4], 0)  # the remainder at the edge is dropped


def test_pools_and_conv_hold_under_vmap_and_inside_scan():
    x, kernel = normal(3, 2, 4, 4, 2), normal(3, 3, 2, 2, seed=1)

    def net(x, kernel):
        y = ops.conv(x, kernel)
        return ops.max_pool(y) + ops.avg_pool(y)

    def loop(x):
        y = conv(x, kernel, 1, ((1, 1), (1, 1)), 1)
        return pool(y, 2, 2, 0, max, -np.inf) + pool(y, 2, 2, 0, np.mean, 0.0)

    expected = np.stack([loop(image) for image in x])
    mapped = in_float64(jax.vmap(net, in_axes=(0, None)), x, kernel)
    scan = lambda x, k: jax.lax.scan(lambda _, image: (None, net(image, k)), None, x)[1]
    np.testing.assert_allclose(mapped, expected, rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(in_float64(scan, x, kernel), expected, rtol=1e-11, atol=1e-12)


# Attention.


@few_shapes
@given(
    t=sizes(1, 5),
    s=sizes(1, 5),
    heads=sizes(1, 2),
    d=sizes(1, 3),
    causal=st.booleans(),
    mask=st.sampled_from([None, "full", "keys"]),
)
def test_attention_is_the_loop(t, s, heads, d, causal, mask):
    q, k, v = normal(2, t, heads, d), normal(2, s, heads, d, seed=1), normal(2, s, heads, d, seed=2)
    shape = {"full": (2, heads, t, s), "keys": (2, 1, 1, s)}.get(mask)
    mask = None if mask is None else np.random.default_rng(3).random(shape) < 0.6
    got = in_float64(lambda q, k, v: ops.attention(q, k, v, mask=mask, causal=causal), q, k, v)
    np.testing.assert_allclose(got, attention(q, k, v, mask, causal), rtol=1e-11, atol=1e-12)


def test_attention_takes_its_scale_and_values_of_another_width():
    q, k, v = normal(1, 3, 2, 4), normal(1, 5, 2, 4, seed=1), normal(1, 5, 2, 6, seed=2)
    got = in_float64(ops.attention, q, k, v, scale=0.3)
    np.testing.assert_allclose(got, attention(q, k, v, None, False, 0.3), rtol=1e-11, atol=1e-12)


def test_causal_attention_ends_at_the_last_key_whatever_the_lengths():
    # T = 2 queries over S = 5 keys, as in decoding: the first sees 4 keys, the last all 5.
    q, k, v = normal(1, 2, 1, 3), normal(1, 5, 1, 3, seed=1), normal(1, 5, 1, 3, seed=2)
    with jax.enable_x64(True):
        by_value = jax.jit(jax.jacobian(lambda v: ops.attention(q, k, v, causal=True)[0, :, 0, 0]))(
            jnp.asarray(v)
        )[:, 0, :, 0, 0]
    np.testing.assert_array_equal(np.asarray(by_value) > 0, [[1, 1, 1, 1, 0], [1, 1, 1, 1, 1]])


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_an_empty_mask_row_attends_equally_and_has_no_nan(dtype):
    q, k, v = (jnp.asarray(normal(1, 3, 1, 4, seed=i), dtype) for i in range(3))
    mask = np.array([[True, False, True], [False] * 3, [True] * 3])

    def total(q, k, v):
        y = ops.attention(q, k, v, mask=mask)
        return y.astype(jnp.float32).sum(), y

    slopes, y = jax.jit(jax.grad(total, (0, 1, 2), has_aux=True))(q, k, v)
    mean = np.asarray(v, np.float64)[0, :, 0].mean(0)
    tolerance = 2 * float(jnp.finfo(dtype).eps)
    np.testing.assert_allclose(
        np.asarray(y, np.float64)[0, 1, 0], mean, rtol=tolerance, atol=tolerance
    )
    for slope in slopes:
        assert np.isfinite(np.asarray(slope, np.float32)).all()
    np.testing.assert_array_equal(np.asarray(slopes[0], np.float32)[0, 1], 0)


def test_attention_is_right_at_scores_of_1e4():
    q, k = np.full((1, 1, 1, 1), 100.0), np.array([100.0, -100.0, 99.0]).reshape(1, 3, 1, 1)
    v = np.array([2.0, 3.0, 5.0]).reshape(1, 3, 1, 1)
    k, v = jnp.asarray(k, jnp.float32), jnp.asarray(v, jnp.float32)
    slope, y = jax.jit(
        jax.grad(lambda q: (ops.attention(q, k, v).sum(), ops.attention(q, k, v)), has_aux=True)
    )(jnp.asarray(q, jnp.float32))
    np.testing.assert_allclose(y, 2.0, rtol=1e-6)
    np.testing.assert_allclose(slope, 0.0, atol=1e-6)


def test_attention_scores_are_float32_for_bf16_inputs():
    # Scores of 32 + s/16, which bf16 would round to quarters; the values show the weights.
    q, k = np.full((1, 1, 1, 4), 4.0), np.full((1, 16, 1, 4), 4.0)
    k[0, :, 0, 0] += np.arange(16) / 32
    v = np.eye(16).reshape(1, 16, 1, 16)
    # Not jitted: XLA may keep more digits than were asked for between fused operations.
    y = ops.attention(*(jnp.asarray(x, jnp.bfloat16) for x in (q, k, v)))
    assert y.dtype == jnp.bfloat16
    # The weights alone are rounded, once.
    expected = attention(q, k, v, None, False)
    np.testing.assert_allclose(np.asarray(y, np.float64), expected, rtol=2**-8 * 1.001)


def test_attention_gradients_are_the_loops_central_differences():
    inputs = (normal(1, 3, 1, 2), normal(1, 4, 1, 2, seed=1), normal(1, 4, 1, 2, seed=2))
    g = normal(1, 3, 1, 2, seed=3)
    with jax.enable_x64(True):
        got = jax.jit(jax.grad(lambda *a: (ops.attention(*a, causal=True) * g).sum(), (0, 1, 2)))(
            *inputs
        )
    for i, x in enumerate(inputs):
        at = lambda x, i=i: (attention(*inputs[:i], x, *inputs[i + 1 :], None, True) * g).sum()
        np.testing.assert_allclose(got[i], gradient(at, x), rtol=1e-7, atol=1e-8)


def test_attention_holds_under_vmap_and_inside_scan():
    q, k, v = (normal(3, 2, 4, 1, 2, seed=i) for i in range(3))
    expected = np.stack([attention(*qkv, None, True) for qkv in zip(q, k, v, strict=True)])
    f = lambda q, k, v: ops.attention(q, k, v, causal=True)
    scan = lambda *qkv: jax.lax.scan(lambda _, x: (None, f(*x)), None, qkv)[1]
    for g in (jax.vmap(f), scan):
        np.testing.assert_allclose(in_float64(g, q, k, v), expected, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16, jnp.int32])
def test_the_largest_is_where_numpy_finds_it(dtype):
    """Of several the first; what is no number counts as the largest, and -∞ may be it."""
    x = normal(3, 4, 700).round(1)
    if dtype != jnp.int32:
        x[0, 0, [650, 20]] = np.nan
        x[0, 1] = -np.inf
        x[0, 2, [30, 600]] = np.inf
    x[1, 0] = 5.0
    x = np.asarray(jnp.asarray(x, dtype))
    found = jax.jit(ops.argmax)(x)
    assert found.dtype == jnp.int32
    # NumPy takes bfloat16's NaN for a small number.
    np.testing.assert_array_equal(found, x.astype(np.float32).argmax(-1))
    np.testing.assert_array_equal(jax.vmap(ops.argmax)(x), found)
    np.testing.assert_array_equal(ops.argmax(x[..., :9]), x[..., :9].astype(np.float32).argmax(-1))
    with ops.references():
        np.testing.assert_array_equal(jax.jit(ops.argmax)(x), found)


def test_a_long_rows_largest_is_the_last():
    """Its place is a whole number that float32 has."""
    assert ops.argmax(jnp.arange(300_001)) == 300_000
    assert ops.argmax(jnp.zeros(2**24 + 2).at[2**24 + 1].set(1.0)) == 2**24 + 1
