"""Both forms of pooling against plain loops, ties above all."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from jaxdl import ops

# The same few shapes every time: each of them is compiled.
few_shapes = settings(max_examples=12, deadline=None, derandomize=True)
sizes = lambda low, high: st.integers(low, high)


@pytest.fixture(params=["form", "reference"])
def form(request, monkeypatch):
    if request.param == "reference":
        monkeypatch.setenv("JAXDL_OPS", "reference")
    return request.param


def windows(image, window, stride, padding):
    """For each window its pixels inside the image, row by row: {(i, j): [(row, column), …]}."""
    h, w = ((n + 2 * padding - window) // stride + 1 for n in image)
    found = {}
    for i, j in np.ndindex(h, w):
        places = [
            (i * stride + a - padding, j * stride + b - padding)
            for a, b in np.ndindex(window, window)
        ]
        found[i, j] = [(r, c) for r, c in places if 0 <= r < image[0] and 0 <= c < image[1]]
    return found


def max_pool(x, g, window, stride, padding):
    """(y, dx) by loops: the first of equal maxima, row by row, takes the gradient."""
    found = windows(x.shape[1:3], window, stride, padding)
    h, w = (n + 1 for n in max(found))
    y, dx = np.zeros((len(x), h, w, x.shape[-1])), np.zeros(x.shape)
    for b, c in np.ndindex(len(x), x.shape[-1]):
        for (i, j), pixels in found.items():
            values = [x[b, row, column, c] for row, column in pixels]
            first = int(np.argmax(values))
            y[b, i, j, c] = values[first]
            dx[b, *pixels[first], c] += g[b, i, j, c]
    return y, dx


def avg_pool(x, g, window, stride, padding):
    """(y, dx) by loops; padding counts as zeros."""
    found = windows(x.shape[1:3], window, stride, padding)
    h, w = (n + 1 for n in max(found))
    y, dx = np.zeros((len(x), h, w, x.shape[-1])), np.zeros(x.shape)
    for (i, j), pixels in found.items():
        for row, column in pixels:
            y[:, i, j] += x[:, row, column] / window**2
            dx[:, row, column] += g[:, i, j] / window**2
    return y, dx


def value_and_gradient(f, x, g):
    def both(x, g):
        y, back = jax.vjp(f, x)
        return y, back(g)[0]

    return jax.jit(both)(x, g)


def drawn(image, window, stride, padding, channels=2, levels=3):
    """x of few different values, so that most windows have ties, and a cotangent."""
    rng = np.random.default_rng(0)
    h, w = ((n + 2 * padding - window) // stride + 1 for n in image)
    # All below zero: a padding of zeros would win.
    x = rng.integers(-levels, 0, size=(2, *image, channels)).astype(np.float32)
    return x, rng.integers(-9, 9, size=(2, h, w, channels)).astype(np.float32)


def means_are_within_their_rounding(got, x, g, window, stride, padding):
    # Sums of at most window² terms, the factor 1 / window² and a product with it.
    n = window**2 + 2
    bound = n * 2**-24 / (1 - n * 2**-24)
    exact = avg_pool(x, g, window, stride, padding)
    magnitude = avg_pool(np.abs(x), np.abs(g), window, stride, padding)
    for a, b, m in zip(got, exact, magnitude, strict=True):
        assert (np.abs(a - b) <= bound * m).all()


@few_shapes
@given(
    image=st.tuples(sizes(2, 9), sizes(2, 9)),
    window=sizes(1, 4),
    stride=sizes(1, 3),
    padding=sizes(0, 2),
    reference=st.booleans(),
)
def test_pools_and_their_gradients_with_ties(image, window, stride, padding, reference):
    padding = min(padding, window - 1)
    assume(min(image) + 2 * padding >= window)
    x, g = drawn(image, window, stride, padding)
    with pytest.MonkeyPatch.context() as patch:
        if reference:
            patch.setenv("JAXDL_OPS", "reference")
        largest = value_and_gradient(lambda x: ops.max_pool(x, window, stride, padding), x, g)
        mean = value_and_gradient(lambda x: ops.avg_pool(x, window, stride, padding), x, g)
    for a, b in zip(largest, max_pool(x, g, window, stride, padding), strict=True):
        np.testing.assert_array_equal(a, b)
    means_are_within_their_rounding(mean, x, g, window, stride, padding)


@pytest.mark.parametrize("window, stride, padding", [(2, 2, 0), (3, 2, 1), (3, 1, 1)])
def test_all_pixels_equal_and_the_first_of_each_window_wins(window, stride, padding, form):
    x, g = drawn((6, 7), window, stride, padding, levels=1)
    _, dx = value_and_gradient(lambda x: ops.max_pool(x, window, stride, padding), x, g)
    np.testing.assert_array_equal(dx, max_pool(x, g, window, stride, padding)[1])


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_max_pool_keeps_its_dtype_and_is_exact(dtype, form):
    x, g = drawn((7, 6), 3, 2, 1, levels=100)
    x_, g_ = jnp.asarray(x, dtype), jnp.asarray(g, dtype)
    got = value_and_gradient(lambda x: ops.max_pool(x, 3, 2, 1), x_, g_)
    for a, b in zip(got, max_pool(x, g, 3, 2, 1), strict=True):
        assert a.dtype == dtype
        np.testing.assert_array_equal(np.asarray(a, np.float64), b)


def test_max_pool_of_more_than_256_places():
    x, g = drawn((18, 19), 17, 1, 0, levels=1)
    x[:, 16:, 16:] = 5  # a late winner: place 288 of the first window
    got = value_and_gradient(lambda x: ops.max_pool(x, 17, 1), x, g)
    for a, b in zip(got, max_pool(x, g, 17, 1, 0), strict=True):
        np.testing.assert_array_equal(a, b)


def test_not_a_number_is_not_lost(form):
    x = np.zeros((1, 4, 4, 1), np.float32)
    x[0, 1, 0] = np.nan
    y = jax.jit(ops.max_pool)(x)[0, ..., 0]
    np.testing.assert_array_equal(np.isnan(y), [[True, False], [False, False]])


@pytest.mark.parametrize("window, stride, padding", [(2, 2, 0), (3, 2, 1)])
def test_pools_hold_under_vmap_and_inside_scan(window, stride, padding, form):
    cases = [drawn((6, 5), window, stride, padding, levels=i) for i in (1, 2, 50)]
    x, g = (np.stack(parts) for parts in zip(*cases, strict=True))
    where = (window, stride, padding)
    for pool in (ops.max_pool, ops.avg_pool):
        both = lambda x, g, pool=pool: value_and_gradient(lambda x: pool(x, *where), x, g)
        scanned = lambda x, g, both=both: jax.lax.scan(
            lambda _, one: (None, both(*one)), None, (x, g)
        )[1]
        for y, dx in (jax.jit(jax.vmap(both))(x, g), jax.jit(scanned)(x, g)):
            for i, case in enumerate(cases):
                if pool is ops.avg_pool:
                    means_are_within_their_rounding((y[i], dx[i]), *case, *where)
                else:
                    expected = max_pool(*case, *where)
                    np.testing.assert_array_equal(y[i], expected[0])
                    np.testing.assert_array_equal(dx[i], expected[1])


@pytest.mark.parametrize("window, stride, padding", [(2, 2, 0), (3, 2, 1)])
def test_the_gradient_of_a_gradient(window, stride, padding, form):
    # max and mean are linear where the winners stay the same, y = P x: the gradient of
    # |Pᵀ cos(P x)|² / 2 is -Pᵀ (sin(P x) · P Pᵀ cos(P x)), with P and Pᵀ by loops.
    x = np.random.default_rng(0).normal(size=(1, 6, 5, 1))
    for pool, loops in ((ops.max_pool, max_pool), (ops.avg_pool, avg_pool)):
        f = lambda x, pool=pool: jnp.sin(pool(x, window, stride, padding)).sum()
        penalty = lambda x, f=f: jnp.square(jax.grad(f)(x)).sum() / 2
        with jax.enable_x64(True):
            got = np.asarray(jax.jit(jax.grad(penalty))(jnp.asarray(x)))
        h, w = ((n + 2 * padding - window) // stride + 1 for n in (6, 5))
        P = np.stack(
            [
                loops(x, unit.reshape(1, h, w, 1), window, stride, padding)[1].ravel()
                for unit in np.eye(h * w)
            ]
        )
        y = P @ x.ravel()
        expected = -P.T @ (np.sin(y) * (P @ P.T @ np.cos(y)))
        np.testing.assert_allclose(got.ravel(), expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("platform", ["cuda", "tpu"])
def test_other_platforms_run_the_librarys_windows(platform):
    x, g = drawn((6, 6), 3, 2, 1)
    both = lambda x, g: value_and_gradient(lambda x: ops.max_pool(x, 3, 2, 1), x, g)
    text = jax.jit(both).trace(x, g).lower(lowering_platforms=(platform,)).as_text()
    assert "stablehlo.reduce_window" in text
    assert "stablehlo.select_and_scatter" in text


def test_a_cpu_keeps_places_and_not_images_through_a_scan():
    def total(x):
        step = lambda sum_, x: (sum_ + ops.max_pool(2 * x).sum(), None)
        return jax.lax.scan(step, 0.0, x)[0]

    x = jax.ShapeDtypeStruct((16, 1, 64, 64, 16), jnp.float32)
    compiled = jax.jit(jax.grad(total)).lower(x).compile()
    image, places = 4 * 64 * 64 * 16, 32 * 32 * 16
    # The places of all steps, and a few images of the one at work; not 16 of them.
    assert 16 * places <= compiled.memory_analysis().temp_size_in_bytes <= 16 * places + 4 * image


@few_shapes
@given(
    image=st.tuples(sizes(1, 9), sizes(1, 9)),
    window=sizes(1, 4),
    stride=sizes(1, 3),
    padding=sizes(0, 2),
    reference=st.booleans(),
)
def test_a_remainder_has_a_window_of_its_own(image, window, stride, padding, reference):
    # By loops over the windows that begin inside the image or the padding in front of it.
    padding = min(padding, window // 2)
    starts = [
        [i for i in range(-padding, n, stride) if i < n + padding - window + stride] for n in image
    ]
    assume(all(starts))
    rng = np.random.default_rng(0)
    x = rng.integers(-3, 0, size=(1, *image, 2)).astype(np.float32)
    g = rng.integers(-9, 9, size=(1, *map(len, starts), 2)).astype(np.float32)
    y, dx = np.zeros(g.shape), np.zeros(x.shape)
    for (i, row), (j, column), c in itertools.product(*map(enumerate, starts), range(2)):
        rows = range(max(row, 0), min(row + window, image[0]))
        columns = range(max(column, 0), min(column + window, image[1]))
        pixels = list(itertools.product(rows, columns))
        first = pixels[int(np.argmax([x[0, a, b, c] for a, b in pixels]))]
        y[0, i, j, c] = x[0, *first, c]
        dx[0, *first, c] += g[0, i, j, c]
    with pytest.MonkeyPatch.context() as patch:
        if reference:
            patch.setenv("JAXDL_OPS", "reference")
        pool = lambda x: ops.max_pool(x, window, stride, padding, ceil=True)
        found = value_and_gradient(pool, x, g)
    for a, b in zip(found, (y, dx), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("image, size", [((9, 9), 3), ((7, 4), 6), ((5, 13), 4), ((3, 2), 1)])
def test_windows_that_fit_the_image(image, size):
    x = np.random.default_rng(0).normal(size=(2, *image, 3))
    expected = np.empty((2, size, size, 3))
    for i, j in np.ndindex(size, size):
        ends = lambda k, n: slice(math.floor(k * n / size), math.ceil((k + 1) * n / size))
        expected[:, i, j] = x[:, ends(i, image[0]), ends(j, image[1])].mean((1, 2))
    with jax.enable_x64(True):
        found = jax.jit(lambda x: ops.adaptive_avg_pool(x, size))(jnp.asarray(x))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-15)


@pytest.mark.parametrize("size, window, stride, padding", [((5, 4), 3, 1, 1), ((6, 7), 3, 2, 1)])
def test_means_leave_out_the_padding_where_it_is_not_counted(form, size, window, stride, padding):
    x = np.random.default_rng(0).normal(size=(2, *size, 3)).astype(np.float32)
    places = windows(size, window, stride, padding)
    wanted = np.stack([np.mean([x[:, r, c] for r, c in at], axis=0) for at in places.values()], 1)
    pool = lambda x: ops.avg_pool(x, window, stride, padding, count_padding=False)
    found, back = jax.vjp(pool, jnp.asarray(x))
    np.testing.assert_allclose(found.reshape(wanted.shape), wanted, atol=1e-6)
    # Each window hands one to its pixels, in equal shares.
    shares = np.zeros(size)
    for at in places.values():
        for place in at:
            shares[place] += 1 / len(at)
    gradient = np.broadcast_to(shares[..., None], x.shape)
    np.testing.assert_allclose(back(jnp.ones_like(found))[0], gradient, rtol=1e-5)
    whole = ops.avg_pool(jnp.asarray(x), window, stride, padding)
    assert np.abs(whole - found)[:, 1, 1].max() < 1e-6 < np.abs(whole - found)[:, 0].max()
