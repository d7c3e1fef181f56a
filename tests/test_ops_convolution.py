"""Every form of convolution against sums over the window's places in float64, and in each other."""

import time
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from jaxdl import ops
from jaxdl.ops import convolution, winograd
from jaxdl.ops.geometry import Geometry
from jaxdl.ops.transposed import conv_transpose

# The same few shapes every time: each of them is compiled.
few_shapes = settings(max_examples=10, deadline=None, derandomize=True)
sizes = lambda low, high: st.integers(low, high)
both = lambda p: ((p, p), (p, p))

# One of each form, and of each of its limits: (image, kernel, further fields of Geometry).
FORMS = {
    "1x1": ((5, 4), (1, 1, 3, 4), {}),
    "1x1 stride 2": ((5, 6), (1, 1, 3, 4), dict(stride=2)),
    "patches": ((6, 4), (2, 2, 3, 5), dict(stride=2)),
    "patches with a rest": ((7, 4), (2, 2, 3, 5), dict(stride=2)),
    "few channels": ((7, 6), (3, 3, 2, 5), dict(padding=both(1))),
    "few channels, stride and dilation": (
        (9, 8),
        (3, 2, 3, 4),
        dict(stride=2, dilation=2, padding=((2, 1), (0, 3))),
    ),
    "one channel": ((11, 10), (3, 3, 1, 8), dict(padding=both(1))),
    "three channels come out": ((9, 8), (3, 3, 6, 3), dict(stride=2, padding=((0, 1), (1, 1)))),
    "many channels": ((7, 8), (3, 3, 18, 5), dict(stride=2, padding=both(1))),
    "many channels, dilation": ((9, 8), (2, 3, 17, 4), dict(dilation=2, padding=((1, 2), (0, 1)))),
    "few that come out": ((7, 6), (3, 2, 18, 3), dict(padding=((3, 1), (0, 1)))),
    "one window": ((2, 3), (4, 4, 3, 5), dict(stride=2, padding=both(1))),
    "few windows": ((4, 5), (3, 2, 2, 48), dict(stride=2, padding=((1, 1), (0, 1)))),
    "groups": ((6, 7), (3, 3, 2, 9), dict(groups=3, stride=2, padding=both(1))),
    "depthwise, small image": ((4, 5), (7, 7, 1, 6), dict(groups=6, padding=both(3))),
    "depthwise, small image, stride": (
        (5, 4),
        (4, 3, 1, 6),
        dict(groups=6, stride=2, dilation=2, padding=((3, 2), (2, 2))),
    ),
    "depthwise": ((11, 10), (3, 3, 1, 6), dict(groups=6, padding=both(1))),
    "depthwise, stride": (
        (13, 12),
        (5, 3, 1, 4),
        dict(groups=4, stride=2, dilation=2, padding=((4, 3), (2, 1))),
    ),
    "winograd, tiles of 2": ((2, 18), (3, 3, 64, 65), dict(padding=both(1))),
    "winograd, cells": ((14, 13), (4, 4, 64, 65), dict(stride=2, padding=((1, 1), (2, 1)))),
    "winograd, tiles of 4": ((9, 15), (3, 3, 65, 64), dict(padding=((0, 1), (2, 1)))),
}


def described(name):
    image, kernel, fields = FORMS[name]
    return Geometry(image, kernel[:2], **fields), kernel


def drawn(geometry, kernel, batch=2, seed=0):
    """x, kernel and a cotangent of the output."""
    rng = np.random.default_rng(seed)
    per_group, F = kernel[2:]
    return (
        rng.normal(size=(batch, *geometry.image, per_group * geometry.groups)),
        rng.normal(size=kernel),
        rng.normal(size=(batch, *geometry.out, F)),
    )


def by_places(x, kernel, g, geometry):
    """(y, dx, dkernel) as sums over the places of the window, in float64."""
    x, kernel, g = (np.asarray(a, np.float64) for a in (x, kernel, g))
    s, d, n = geometry.stride, geometry.dilation, geometry.groups
    per_group, F = kernel.shape[2:]
    padded = np.pad(x, ((0, 0), *geometry.padding, (0, 0)))
    y, d_padded, d_kernel = np.zeros(g.shape), np.zeros(padded.shape), np.zeros(kernel.shape)
    h, w = geometry.out
    for i, j in np.ndindex(*geometry.window):
        rows = slice(d * i, d * i + s * (h - 1) + 1, s)
        columns = slice(d * j, d * j + s * (w - 1) + 1, s)
        for group in range(n):
            c = slice(group * per_group, (group + 1) * per_group)
            f = slice(group * F // n, (group + 1) * F // n)
            y[..., f] += padded[:, rows, columns, c] @ kernel[i, j, :, f]
            d_padded[:, rows, columns, c] += g[..., f] @ kernel[i, j, :, f].T
            d_kernel[i, j, :, f] += np.einsum(
                "bhwc,bhwf->cf", padded[:, rows, columns, c], g[..., f]
            )
    (top, _), (left, _) = geometry.padding
    H, W = geometry.image
    return y, d_padded[:, top : top + H, left : left + W], d_kernel


def conv(x, kernel, geometry):
    return ops.conv(
        x,
        kernel,
        stride=geometry.stride,
        padding=geometry.padding,
        dilation=geometry.dilation,
        groups=geometry.groups,
    )


def value_and_gradients(f, x, kernel, g):
    def all_three(x, kernel, g):
        y, back = jax.vjp(f, x, kernel)
        return y, *back(g)

    return jax.jit(all_three)(x, kernel, g)


def terms(geometry, kernel, batch):
    """The most terms in the sums of y, dx and dkernel."""
    window = int(np.prod(geometry.window))
    per_group, F = kernel[2:]
    pixels = batch * int(np.prod(geometry.out))
    return window * per_group, window * F // geometry.groups, pixels


def accumulated(n, dtype=np.float32):
    """n u / (1 - n u): what n roundings in a row can grow to (Higham, 2002, lemma 3.1)."""
    u = float(jnp.finfo(dtype).eps) / 2
    return n * u / (1 - n * u)


# Values and gradients.


@few_shapes
@given(
    image=st.tuples(sizes(3, 9), sizes(3, 9)),
    window=st.tuples(sizes(1, 4), sizes(1, 4)),
    stride=sizes(1, 3),
    padding=st.tuples(*[st.tuples(sizes(0, 3), sizes(0, 3))] * 2),
    dilation=sizes(1, 2),
    channels=st.sampled_from(
        [(1, 3, 1), (3, 2, 1), (17, 2, 1), (2, 4, 2), (3, 3, 3), (1, 4, 4), (1, 3, 3), (1, 6, 3)]
    ),
    batch=sizes(1, 3),
)
def test_any_convolution_and_its_gradients(
    image, window, stride, padding, dilation, channels, batch
):
    per_group, F, groups = channels
    geometry = Geometry(image, window, stride, padding, dilation, groups)
    assume(min(geometry.out) > 0)
    x, kernel, g = drawn(geometry, (*window, per_group, F), batch)
    with jax.enable_x64(True):
        got = value_and_gradients(lambda x, k: conv(x, k, geometry), x, kernel, g)
    for a, b in zip(got, by_places(x, kernel, g, geometry), strict=True):
        assert a.dtype == np.float64
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-11)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
@pytest.mark.parametrize("name", [name for name in FORMS if "winograd" not in name])
def test_every_form_is_within_the_rounding_of_its_sums(name, dtype):
    # Sums of n products are off by at most γ(n) of the same sums of magnitudes; what was
    # computed in float32 for bf16 is rounded once more.
    geometry, kernel = described(name)
    inputs = [jnp.asarray(a, dtype) for a in drawn(geometry, kernel)]
    got = value_and_gradients(lambda x, k: conv(x, k, geometry), *inputs)
    exact = by_places(*inputs, geometry)
    magnitude = by_places(*(np.abs(np.asarray(a, np.float64)) for a in inputs), geometry)
    last = 0 if dtype == jnp.float32 else accumulated(1, dtype)
    for a, b, m, n in zip(got, exact, magnitude, terms(geometry, kernel, 2), strict=True):
        assert a.dtype == dtype
        bound = accumulated(n) * m * (1 + last) + last * np.abs(b)
        assert (np.abs(np.asarray(a, np.float64) - b) <= bound).all()
        assert bound.max() < 0.1 * np.abs(b).max()  # it says something


@settings(few_shapes, max_examples=6)
@given(
    image=st.tuples(sizes(2, 11), sizes(2, 11)),
    padding=st.tuples(*[st.tuples(sizes(0, 2), sizes(0, 2))] * 2),
    channels=st.sampled_from([(64, 64), (65, 72)]),
    batch=sizes(1, 3),
    r=st.sampled_from([3, 4]),
)
def test_winograd_is_within_its_stated_bound(image, padding, channels, batch, r):
    geometry = Geometry(image, (r, r), padding=padding)
    assume(min(geometry.out) > 0)
    C, F = channels
    x, kernel, g = (a.astype(np.float32) for a in drawn(geometry, (r, r, C, F), batch))
    with (
        mock.patch.object(winograd, "conv", wraps=winograd.conv) as used,
        mock.patch.object(winograd, "pays", return_value=True),
    ):
        y, dx, dk = value_and_gradients(lambda x, k: conv(x, k, geometry), x, kernel, g)
    assert used.call_count == 2  # the convolution and its gradient by the image
    turned = kernel[::-1, ::-1].transpose(0, 1, 3, 2)
    with jax.enable_x64(True), absolute_transforms():
        x_, k_, g_, t_ = (np.abs(a).astype(np.float64) for a in (x, kernel, g, turned))
        y_bound, dx_bound, dk_bound = jax.jit(
            lambda x, k, g, t: (
                winograd.conv(x, k, padding),
                winograd.conv(g, t, geometry.transposed_padding),
                winograd.kernel_gradient(x, g, padding, r),
            )
        )(x_, k_, g_, t_)
    m, m_back = (winograd.tile_size(size, r) for size in (geometry.out, geometry.image))
    tiles = batch * np.prod([-(-n // m) for n in geometry.out])
    n_y = C + 2 * (m + r - 1) ** 2 + r**2 + 1
    n_dx = F + 2 * (m_back + r - 1) ** 2 + r**2 + 1
    n_dk = tiles + 2 * (m + r - 1) ** 2 + m**2 + 1
    bounds = (y_bound, n_y), (dx_bound, n_dx), (dk_bound, n_dk)
    exact = by_places(x, kernel, g, geometry)
    for a, b, (bound, n) in zip((y, dx, dk), exact, bounds, strict=True):
        assert (np.abs(a - b) <= accumulated(int(n)) * np.asarray(bound)).all()


@pytest.mark.parametrize(
    "batch, channels, taken, of_kernels",
    [(3, 64, 0, 0), (4, 64, 2, 1), (15, 32, 0, 0), (16, 32, 2, 0), (64, 16, 2, 0), (99, 15, 0, 0)],
)
def test_of_few_tiles_or_channels_the_definition_is_taken(batch, channels, taken, of_kernels):
    x = jax.ShapeDtypeStruct((batch, 7, 7, channels), jnp.float32)
    kernel = jax.ShapeDtypeStruct((3, 3, channels, channels), jnp.float32)
    with (
        mock.patch.object(winograd, "conv", wraps=winograd.conv) as used,
        mock.patch.object(
            winograd, "kernel_gradient", wraps=winograd.kernel_gradient
        ) as for_kernels,
    ):
        jax.eval_shape(jax.grad(lambda x, k: ops.conv(x, k).sum(), (0, 1)), x, kernel)
    assert (used.call_count, for_kernels.call_count) == (taken, of_kernels)


@pytest.mark.parametrize(
    "side, r, expected",
    [(1, 3, False), (2, 3, True), (1, 4, False), (7, 4, True), (4, 2, False), (8, 2, True)],
)
def test_winograd_pays_where_it_has_fewer_products(side, r, expected):
    assert winograd.pays(64, (side, side), r, 16) == expected


def absolute_transforms():
    magnitudes = {
        of: tuple(np.abs(matrix) for matrix in matrices)
        for of, matrices in winograd.TRANSFORMS.items()
    }
    return mock.patch.dict(winograd.TRANSFORMS, magnitudes)


@pytest.mark.parametrize(
    "m, r, rms, most",
    [(3, 2, 6e-7, 5e-6), (2, 3, 5e-7, 5e-6), (4, 3, 3e-6, 5e-5), (3, 4, 3e-6, 5e-5)],
)
@pytest.mark.parametrize("channels", [64, 96])
def test_winograds_error_on_normal_data(channels, m, r, rms, most, monkeypatch):
    side, stride = (4, 2) if r == 2 else (r, 1)  # of cells
    geometry = Geometry((14, 14), (side, side), stride, both(1))
    kernel = (side, side, channels, channels)
    x, kernel, g = (a.astype(np.float32) for a in drawn(geometry, kernel))
    monkeypatch.setattr(winograd, "tile_size", lambda out, r: m)
    got = value_and_gradients(lambda x, k: conv(x, k, geometry), x, kernel, g)
    for a, b in zip(got, by_places(x, kernel, g, geometry), strict=True):
        error = np.abs(a - b) / b.std()
        assert np.sqrt(np.mean(error**2)) < rms
        assert error.max() < most


@pytest.mark.parametrize("m, r", winograd.TRANSFORMS)
def test_winograds_transforms_are_exact_in_one_direction(m, r):
    # Aᵀ [(G w) ⊙ (Bᵀ d)] is the filter for every pair of unit vectors, hence for all.
    B_t, G, A_t = winograd.TRANSFORMS[m, r]
    for i, j in np.ndindex(r, m + r - 1):
        w, d = np.eye(r)[i], np.eye(m + r - 1)[j]
        expected = np.correlate(d, w, "valid")
        np.testing.assert_allclose(A_t @ ((G @ w) * (B_t @ d)), expected, atol=1e-14)


def test_winograd_in_blocks_of_any_size_is_exact_in_float64(monkeypatch):
    geometry = Geometry((9, 8), (3, 3), padding=both(1))
    x, kernel, g = drawn(geometry, (3, 3, 3, 2), batch=6)
    y, _, dk = by_places(x, kernel, g, geometry)
    monkeypatch.setattr(jax, "device_count", lambda platform: 1)
    image = 4 * 36 * 3 * 6  # bytes of an image's tiles; the kernel takes a third of that
    for size, expected in ((6 * image, 1), (5 * image, 2), (2 * image, 3), (image, 6)):
        monkeypatch.setattr(winograd, "BLOCK_BYTES", size)
        assert winograd._block_count(x.shape, (36, 3, 2), 4, (9, 8)) == expected
        with jax.enable_x64(True):
            got = jax.jit(
                lambda x, k, g: (
                    winograd.conv(x, k, geometry.padding),
                    winograd.kernel_gradient(x, g, geometry.padding, 3),
                )
            )(x, kernel, g)
        np.testing.assert_allclose(got[0], y, rtol=0, atol=1e-12)
        np.testing.assert_allclose(got[1], dk, rtol=0, atol=1e-11)


@pytest.mark.parametrize(
    "name", ["1x1", "depthwise", "many channels", "winograd, cells", "winograd, tiles of 4"]
)
def test_a_batch_over_several_devices_stays_there(name):
    geometry, kernel = described(name)
    x, kernel, _ = drawn(geometry, kernel, batch=8)
    mesh = jax.make_mesh((4,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    at = lambda *axes: jax.NamedSharding(mesh, jax.P(*axes))
    loss = lambda k, x: jnp.square(conv(x, k, geometry)).sum()
    step = jax.jit(jax.grad(loss, (0, 1)), in_shardings=(at(), at("data")))
    inputs = (jnp.asarray(a, jnp.float32) for a in (kernel, x))
    text = step.lower(*inputs).compile().as_text()
    assert "all-reduce" in text
    assert "all-gather" not in text
    assert "all-to-all" not in text


# Derivatives of derivatives, and transformations.


def penalty(f):
    """As a gradient penalty: the gradient of what was itself made of a gradient."""
    once = jax.grad(lambda x, k: jnp.sin(f(x, k)).sum(), (0, 1))

    def total(x, k):
        dx, dk = once(x, k)
        return jnp.square(dx).sum() + jnp.sin(dk).sum()

    return jax.jit(jax.grad(total, (0, 1)))


@pytest.mark.parametrize(
    "name", ["1x1 stride 2", "few channels", "many channels", "groups", "depthwise, stride"]
)
def test_the_gradient_of_a_gradient(name):
    geometry, kernel = described(name)
    x, kernel, _ = drawn(geometry, kernel)
    with jax.enable_x64(True):
        got = penalty(lambda x, k: conv(x, k, geometry))(x, kernel)
        expected = penalty(lambda x, k: reference(x, k, geometry))(x, kernel)
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-12 * np.abs(b).max())


def test_the_gradient_of_a_gradient_through_winograd():
    geometry = Geometry((5, 14), (3, 3), padding=both(1))
    x, kernel, _ = drawn(geometry, (3, 3, 64, 64))
    kernel /= 3 * 64**0.5  # outputs of deviation 1, where the sine bends
    got = penalty(lambda x, k: conv(x, k, geometry))(x.astype(np.float32), kernel.astype("f4"))
    with jax.enable_x64(True):
        expected = penalty(lambda x, k: reference(x, k, geometry))(x, kernel)
        expected = [np.asarray(b) for b in expected]
    # Five convolutions in a row, each 5e-5 off at most (above), on normal data.
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=5 * 5e-5 * b.std())


def reference(x, kernel, geometry):
    return jax.lax.conv_general_dilated(
        x,
        kernel,
        (geometry.stride,) * 2,
        geometry.padding,
        rhs_dilation=(geometry.dilation,) * 2,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=geometry.groups,
    )


@pytest.mark.parametrize("name", ["patches", "many channels", "groups", "depthwise, small image"])
def test_forms_hold_under_vmap_and_inside_scan(name):
    geometry, kernel = described(name)
    cases = [drawn(geometry, kernel, seed=i) for i in range(3)]
    x, kernels, g = (np.stack(parts) for parts in zip(*cases, strict=True))
    expected = [by_places(*case, geometry) for case in cases]

    def all_three(x, kernel, g):
        y, back = jax.vjp(lambda x, k: conv(x, k, geometry), x, kernel)
        return y, *back(g)

    def scanned(x, kernels, g):
        return jax.lax.scan(lambda _, one: (None, all_three(*one)), None, (x, kernels, g))[1]

    with jax.enable_x64(True):
        results = [
            jax.jit(jax.vmap(all_three))(x, kernels, g),
            jax.jit(scanned)(x, kernels, g),
        ]
        shared = jax.jit(jax.vmap(all_three, in_axes=(0, None, 0)))(x, kernels[0], g)
    for got in results:
        for a, b in zip(got, zip(*expected, strict=True), strict=True):
            np.testing.assert_allclose(a, np.stack(b), rtol=0, atol=1e-11)
    np.testing.assert_allclose(shared[0][0], expected[0][0], rtol=0, atol=1e-11)
    np.testing.assert_allclose(
        shared[1][2], by_places(x[2], kernels[0], g[2], geometry)[1], rtol=0, atol=1e-11
    )


def test_winograd_holds_under_vmap_and_inside_scan():
    geometry = Geometry((6, 13), (3, 3), padding=both(1))
    cases = [drawn(geometry, (3, 3, 64, 64), seed=i) for i in range(2)]
    x, kernels, g = (np.stack(parts).astype(np.float32) for parts in zip(*cases, strict=True))

    def all_three(x, kernel, g):
        y, back = jax.vjp(lambda x, k: conv(x, k, geometry), x, kernel)
        return y, *back(g)

    def scanned(x, kernels, g):
        return jax.lax.scan(lambda _, one: (None, all_three(*one)), None, (x, kernels, g))[1]

    expected = zip(*(by_places(*case, geometry) for case in cases), strict=True)
    mapped, looped = jax.jit(jax.vmap(all_three))(x, kernels, g), jax.jit(scanned)(x, kernels, g)
    for a, b, c in zip(mapped, looped, expected, strict=True):
        for got in (a, b):
            np.testing.assert_allclose(got, np.stack(c), rtol=0, atol=5e-5 * np.std(c))


# Transposed convolution.


@few_shapes
@given(
    image=st.tuples(sizes(1, 5), sizes(1, 5)),
    window=st.tuples(sizes(1, 4), sizes(1, 4)),
    stride=sizes(1, 3),
    padding=sizes(0, 1),
    output_padding=sizes(0, 2),
    dilation=sizes(1, 2),
    groups=sizes(1, 2),
)
def test_a_transposed_convolution_adds_up_windows(
    image, window, stride, padding, output_padding, dilation, groups
):
    output_padding = min(output_padding, stride - 1)
    reach = [dilation * (k - 1) + 1 for k in window]
    full = [(n - 1) * stride + r for n, r in zip(image, reach, strict=True)]
    out = [n - 2 * padding + output_padding for n in full]
    assume(min(out) > 0)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, *image, 2 * groups))
    kernel = rng.normal(size=(*window, 3, 2 * groups))
    g = rng.normal(size=(2, *out, 3 * groups))
    # Every pixel puts the kernel, times itself, where it stands; then the padding is cut off.
    y = np.zeros((2, *(n + output_padding for n in full), 3 * groups))
    for i, j, group in np.ndindex(*image, groups):
        rows, columns = (
            slice(n * stride, n * stride + r, dilation) for n, r in zip((i, j), reach, strict=True)
        )
        ins, outs = slice(2 * group, 2 * group + 2), slice(3 * group, 3 * group + 3)
        y[:, rows, columns, outs] += np.einsum("bi,hwoi->bhwo", x[:, i, j, ins], kernel[..., ins])
    expected = y[:, padding : padding + out[0], padding : padding + out[1]]
    fields = dict(
        stride=stride,
        padding=padding,
        output_padding=output_padding,
        dilation=dilation,
        groups=groups,
    )
    with jax.enable_x64(True):
        got, dx, dk = value_and_gradients(lambda *a: conv_transpose(*a, **fields), x, kernel, g)
    assert got.shape == expected.shape
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-12)
    geometry = Geometry(tuple(out), window, stride, both(padding), dilation, groups)
    y, _, d_kernel = by_places(g, kernel, x, geometry)
    np.testing.assert_allclose(dx, y, rtol=0, atol=1e-11)
    np.testing.assert_allclose(dk, d_kernel, rtol=0, atol=1e-11)


def test_output_padding_stays_below_the_stride():
    with pytest.raises(ValueError, match="output_padding 2 must be from 0 to below stride 2"):
        conv_transpose(np.ones((1, 2, 2, 1)), np.ones((3, 3, 1, 1)), stride=2, output_padding=2)


# Which form runs.


def lowered(platform, geometry, kernel):
    x, kernel, g = drawn(geometry, kernel)

    def all_three(x, kernel, g):
        y, back = jax.vjp(lambda x, k: conv(x, k, geometry), x, kernel)
        return y, *back(g)

    inputs = (jnp.asarray(a, jnp.float32) for a in (x, kernel, g))
    return jax.jit(all_three).trace(*inputs).lower(lowering_platforms=(platform,)).as_text()


@pytest.mark.parametrize("name", ["1x1", "depthwise", "winograd, tiles of 4"])
def test_other_platforms_and_references_run_the_librarys_convolution(name, monkeypatch):
    here = lowered("cpu", *described(name))
    assert "stablehlo.convolution" not in here
    elsewhere = [lowered(platform, *described(name)) for platform in ("cuda", "tpu")]
    monkeypatch.setenv("JAXDL_OPS", "reference")
    for text in (*elsewhere, lowered("cpu", *described(name))):
        assert text.count("stablehlo.convolution") == 3
        assert "stablehlo.dot_general" not in text


def test_steps_in_a_scan_are_about_as_fast_as_one_after_the_other():
    # XLA's own gradients take some 20 times longer in a loop, jax issue 12868.
    geometry = Geometry((14, 14), (3, 3), stride=2, padding=both(1))
    x, kernel, _ = drawn(geometry, (3, 3, 48, 48), batch=16)
    x, kernel = jnp.asarray(x, jnp.float32), jnp.asarray(kernel, jnp.float32)

    def step(kernel, _):
        return kernel - 1e-6 * jax.grad(lambda k: jnp.square(conv(x, k, geometry)).sum())(kernel), 0

    def unrolled(kernel):
        for _ in range(3):
            kernel = step(kernel, 0)[0]
        return kernel

    programs = [jax.jit(lambda k: jax.lax.scan(step, k, None, 3)[0]), jax.jit(unrolled)]
    seconds = ([], [])
    for _ in range(11):
        for times, program in zip(seconds, programs, strict=True):
            began = time.process_time()
            jax.block_until_ready(program(kernel))
            times.append(time.process_time() - began)
    # Of all but the first, which compiles: a single one may be booked with the call behind it.
    scanned, one_by_one = (sum(times[1:]) for times in seconds)
    assert scanned < 3 * one_by_one, seconds


def test_geometry_names_the_transposed_padding():
    geometry = Geometry((7, 8), (3, 2), 2, ((1, 0), (2, 1)), 2, 1)
    assert geometry.reach == (5, 3)
    assert geometry.out == (2, 5)
    x, kernel, g = drawn(geometry, (3, 2, 1, 1))
    with jax.enable_x64(True):
        got = jax.jit(lambda g: convolution.image_gradient(g, kernel, geometry))(g)
    np.testing.assert_allclose(got, by_places(x, kernel, g, geometry)[1], atol=1e-12)
