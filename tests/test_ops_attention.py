"""Attention's forms: each against the reference, in float64 to rounding and in float32 bounded."""

import functools
import importlib
import importlib.util

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from jax.sharding import AxisType, NamedSharding, PartitionSpec
from numeric import gradient, softmax

from jaxdl import ops
from jaxdl.ops import attention_cpu, attention_tpu
from jaxdl.plan import topology

# `ops.attention` is the function; this is its module.
module = importlib.import_module("jaxdl.ops.attention")

few_shapes = settings(max_examples=5, deadline=None, derandomize=True)
sizes = lambda low, high: st.integers(low, high)
needs_libtpu = pytest.mark.skipif(
    not importlib.util.find_spec("libtpu"), reason="libtpu is not installed (extra tpu)"
)


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def inputs(T, S=None, B=2, N=2, D=3, dtype=np.float64):
    S = T if S is None else S
    shapes = ((B, T, N, D), (B, S, N, D), (B, S, N, D))
    return [normal(*shape, seed=i).astype(dtype) for i, shape in enumerate(shapes)]


@pytest.fixture(autouse=True)
def short_blocks(monkeypatch):
    """Blocks of two queries and more, so that small shapes have several, or a loop over heads."""
    monkeypatch.setattr(attention_cpu, "SHORTEST_BLOCK", 2)
    monkeypatch.setattr(attention_cpu, "FEWEST_SCORES", 1)
    monkeypatch.setattr(attention_cpu, "MANY_QUERIES", 2)


def both(f, g, *arrays):
    """(output, gradients of ``Σ f · g`` by all floating arrays), jitted."""
    by = tuple(i for i, x in enumerate(arrays) if jnp.issubdtype(x.dtype, jnp.floating))

    def total(*arrays):
        y = f(*arrays)
        return (y.astype(jnp.promote_types(y.dtype, jnp.float32)) * g).sum(), y

    slopes, y = jax.jit(jax.grad(total, by, has_aux=True))(*map(jnp.asarray, arrays))
    return [y, *slopes]


@few_shapes
@given(
    T=sizes(1, 9),
    S=sizes(1, 9),
    causal=st.booleans(),
    mask=st.sampled_from([None, "full", "keys", "bias"]),
)
@example(T=7, S=5, causal=True, mask=None)  # the first two queries see nothing
@example(T=7, S=7, causal=True, mask="full")
@example(T=5, S=9, causal=True, mask="bias")
@example(T=9, S=9, causal=True, mask=None)
def test_the_cpus_form_is_the_reference(T, S, causal, mask):
    q, k, v = inputs(T, S)
    rng = np.random.default_rng(3)
    masks = {
        None: [],
        "full": [rng.random((2, 2, T, S)) < 0.5],  # with rows that see nothing
        "keys": [rng.random((2, 1, 1, S)) < 0.5],
        "bias": [np.where(rng.random((1, 2, T, S)) < 0.3, -np.inf, rng.normal(size=(1, 2, T, S)))],
    }
    given_ = (q, k, v, *masks[mask])
    g = normal(2, T, 2, 3, seed=4)
    with jax.enable_x64(True):
        one, other = (
            both(lambda q, k, v, mask=None, f=f: f(q, k, v, mask, causal), g, *given_)
            for f in (attention_cpu.attention, module._reference)
        )
    for got, expected in zip(one, other, strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("causal, masked", [(False, True), (True, False)])
def test_the_cpus_form_in_float32_is_within_a_few_roundings_of_float64(causal, masked):
    q, k, v = inputs(12, D=8)
    mask = (np.random.default_rng(3).random((2, 1, 1, 12)) < 0.7) if masked else None
    g = normal(2, 12, 2, 8, seed=4)
    f = lambda q, k, v: ops.attention(q, k, v, mask=mask, causal=causal)
    with jax.enable_x64(True):
        exact = both(f, g, q, k, v)
    narrow = both(f, g.astype(np.float32), *(x.astype(np.float32) for x in (q, k, v)))
    # Scores of up to about 3 sum 8 products; an ulp of 3 is 2.4e-7, and a gradient sums 12 terms.
    for got, expected in zip(narrow, exact, strict=True):
        assert got.dtype == np.float32
        bound = 32 * np.finfo(np.float32).eps * np.abs(expected).max()
        np.testing.assert_allclose(got, expected, rtol=0, atol=bound)


@pytest.mark.parametrize("causal", [False, True])
def test_bf16_is_widened_once_and_rounded_once(causal):
    q, k, v = (jnp.asarray(x, jnp.bfloat16) for x in inputs(8, D=4))
    g = jnp.asarray(normal(2, 8, 2, 4, seed=4), jnp.bfloat16).astype(jnp.float32)
    f = lambda q, k, v: ops.attention(q, k, v, causal=causal, scale=0.5)
    got = both(f, g, q, k, v)
    with jax.enable_x64(True):
        wide = [np.asarray(x, np.float64) for x in (q, k, v)]
        exact = both(f, np.asarray(g, np.float64), *wide)
    for x, expected in zip(got, exact, strict=True):
        assert x.dtype == jnp.bfloat16
        # Half an ulp of bf16, which has 8 digits, is 2⁻⁸ of a value at most; then float32's loss.
        np.testing.assert_allclose(np.asarray(x, np.float64), expected, rtol=2**-8, atol=1e-5)


def test_a_mask_of_floats_is_added_and_learns():
    q, k, v = inputs(3, 4, B=1, N=1, D=2)
    bias, g = normal(1, 1, 3, 4, seed=5), normal(1, 3, 1, 2, seed=6)

    def plain(bias):
        scores = np.einsum("btnd,bsnd->bnts", q, k) * 0.7 + bias
        return (np.einsum("bnts,bsnd->btnd", softmax(scores), v) * g).sum()

    with jax.enable_x64(True):
        f = lambda bias: (ops.attention(q, k, v, mask=bias, scale=0.7) * g).sum()
        got, slope = jax.jit(jax.value_and_grad(f))(jnp.asarray(bias))
    np.testing.assert_allclose(got, plain(bias), rtol=1e-12)
    np.testing.assert_allclose(slope, gradient(plain, bias), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("shape", [(2, 2, 4, 4), (1, 2, 4, 4), (2, 1, 1, 4), (4, 1), (4,)])
def test_a_shared_bias_sums_its_gradient(shape):
    q, k, v = inputs(4)
    bias, g = normal(*shape, seed=5), normal(2, 4, 2, 3, seed=6)
    f = lambda bias: (ops.attention(q, k, v, mask=bias, causal=True) * g).sum()
    with jax.enable_x64(True):
        slope = jax.jit(jax.grad(f))(jnp.asarray(bias))
        whole = jax.jit(jax.grad(f))(jnp.broadcast_to(bias, (2, 2, 4, 4)))
        _, pull = jax.vjp(lambda b: jnp.broadcast_to(b, (2, 2, 4, 4)), jnp.asarray(bias))
        (expected,) = pull(whole)
    np.testing.assert_allclose(slope, expected, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("lowest", [-np.inf, np.finfo(np.float32).min])
def test_a_row_of_the_lowest_numbers_is_an_empty_row(lowest):
    q, k, v = inputs(3, dtype=np.float32)
    seen = np.array([[True, False, True], [False] * 3, [True] * 3])
    bias, g = np.where(seen, 0, lowest).astype(np.float32), normal(2, 3, 2, 3, seed=6)
    one, other = (
        both(lambda q, k, v, m=m: ops.attention(q, k, v, mask=m), g, q, k, v) for m in (seen, bias)
    )
    for got, expected in zip(other, one, strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(one[0][:, 1], v.mean(1), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("T, S", [(8, 8), (5, 9)])
def test_no_query_sees_a_later_key(T, S):
    q, k, v = inputs(T, S, B=1, N=1)
    blocks = attention_cpu._blocks(T, S, False, True)
    assert len(blocks) > 1
    assert [keys for _, keys in blocks] == [queries.stop + S - T for queries, _ in blocks]
    with jax.enable_x64(True):
        f = lambda k, v: ops.attention(q, k, v, causal=True)[0, :, 0].sum(-1)
        by_key, by_value = jax.jit(jax.jacobian(f, (0, 1)))(jnp.asarray(k), jnp.asarray(v))
    seen = np.arange(T)[:, None] + S - T >= np.arange(S)
    for slope in (by_key, by_value):
        touched = np.abs(np.asarray(slope)[:, 0, :, 0]).sum(-1) > 0
        np.testing.assert_array_equal(touched & ~seen, False)
    np.testing.assert_array_equal(np.abs(by_value[:, 0, :, 0]).sum(-1) > 0, seen)


def test_padding_changes_nothing():
    q, k, v = inputs(5)
    longer = [np.concatenate([x, 100 * normal(2, 3, 2, 3, seed=9)], axis=1) for x in (q, k, v)]
    mask = np.arange(8) < 5
    g = normal(2, 5, 2, 3, seed=4)
    f = lambda *qkv: ops.attention(*qkv)
    padded = lambda *qkv: ops.attention(*qkv, mask=mask)[:, :5]
    with jax.enable_x64(True):
        expected, got = both(f, g, q, k, v), both(padded, g, *longer)
    np.testing.assert_allclose(got[0], expected[0], rtol=1e-11)
    for slope, short in zip(got[1:], expected[1:], strict=True):
        np.testing.assert_allclose(slope[:, :5], short, rtol=1e-10, atol=1e-13)
        np.testing.assert_array_equal(slope[:, 5:], 0)


def test_gradients_hold_under_vmap_inside_scan_and_twice():
    stacked = [np.stack([x, 2 * x, -x]) for x in inputs(6)]
    loss = lambda f: lambda q, k, v: jnp.sin(f(q, k, v, None, True)).sum()
    fast, slow = loss(attention_cpu.attention), loss(module._reference)
    own = lambda q, k, v: jnp.sin(ops.attention(q, k, v, causal=True, scale=1.0)).sum()

    def deep(f):
        step = lambda total, x: (total + f(*x), None)
        return lambda *x: jax.lax.scan(step, 0.0, x)[0]

    twice = lambda f: lambda *x: jnp.square(jax.grad(f)(*x)).sum()
    with jax.enable_x64(True):
        first = [x[0] for x in stacked]
        one = [
            jax.jit(jax.vmap(jax.grad(own)))(*stacked),
            jax.jit(jax.grad(deep(own), 1))(*stacked),
            jax.jit(jax.grad(twice(fast), (0, 1, 2)))(*first),
        ]
        other = [
            jax.jit(jax.vmap(jax.grad(slow)))(*stacked),
            jax.jit(jax.grad(deep(slow), 1))(*stacked),
            jax.jit(jax.grad(twice(slow), (0, 1, 2)))(*first),
        ]
    for got, expected in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-12)


def test_short_sequences_stay_with_the_reference(monkeypatch):
    monkeypatch.undo()
    shape = lambda T: jax.ShapeDtypeStruct((1, T, 2, 8), jnp.float32)
    assert attention_cpu.form(shape(16), shape(16), False) is None
    assert attention_cpu.form(shape(65), shape(64), False) is not None


def test_inside_a_scan_nothing_is_kept_for_other_platforms():
    x = jax.ShapeDtypeStruct((2, 64, 2, 8), jnp.float32)

    def memory(f):
        layers = lambda x: jax.lax.scan(lambda x, _: (x + f(x, x, x), None), x, None, 16)[0].sum()
        return jax.jit(jax.grad(layers)).lower(x).compile().memory_analysis().temp_size_in_bytes

    alone = memory(lambda q, k, v: attention_cpu.attention(q * 8**-0.5, k, v, None, False))
    assert memory(ops.attention) <= 1.05 * alone


# The kernel of the TPU.


@pytest.mark.parametrize("causal", [False, True])
def test_the_tpus_kernel_is_the_reference(monkeypatch, causal):
    from jax.experimental.pallas import tpu as pltpu

    monkeypatch.setattr(attention_tpu, "BLOCKS", (128,))
    q, k, v = inputs(256, B=1, N=1, D=32, dtype=np.float32)
    q *= 32**-0.5
    g = normal(1, 256, 1, 32, seed=4)
    with pltpu.force_tpu_interpret_mode():
        got = both(functools.partial(attention_tpu._kernel, causal=causal), g, q, k, v)
    expected = both(lambda q, k, v: module._reference(q, k, v, None, causal), g, q, k, v)
    for x, y in zip(got, expected, strict=True):
        # Sums of 256 terms, in blocks: rounding grows with their number's square root.
        bound = 64 * np.finfo(np.float32).eps * np.abs(y).max()
        np.testing.assert_allclose(x, y, rtol=0, atol=bound)


AXES = ("data", "fsdp", "tensor")


def mesh_of(devices, shape):
    return jax.make_mesh(shape, AXES, devices=devices, axis_types=(AxisType.Auto,) * 3)


def test_the_kernel_is_given_each_devices_part(monkeypatch):
    # What the kernel does is not the question here: the reference stands in for it.
    seen = []

    def kernel(q, k, v, causal):
        seen.append((q.shape, causal))
        return module._reference(q, k, v, None, causal)

    monkeypatch.setattr(attention_tpu, "_kernel", kernel)
    q, k, v = inputs(4, B=4, N=2, dtype=np.float32)
    with jax.set_mesh(mesh_of(jax.devices()[:8], (2, 2, 2))):
        split = functools.partial(
            attention_tpu._sharded, causal=True, mesh=jax.sharding.get_abstract_mesh()
        )
        got = jax.jit(lambda q, k, v: split(q, k, v, None))(q, k, v)
        jax.jit(lambda q, k, v: split(q, k, v, None))(q[:3, :, :1], k[:3, :, :1], v[:3, :, :1])
    np.testing.assert_allclose(got, module._reference(q, k, v, None, True), rtol=1e-5, atol=1e-6)
    # Three examples and one head do not divide: every device has all of them.
    assert seen == [((1, 4, 1, 3), True), ((3, 4, 1, 3), True)]


@needs_libtpu
def test_attention_compiles_for_tpus_as_a_kernel():
    mesh = mesh_of(topology.devices("v5e:2x2"), (2, 1, 2))
    where = NamedSharding(mesh, PartitionSpec(("data", "fsdp"), None, "tensor"))
    x = jax.ShapeDtypeStruct((4, 512, 4, 64), jnp.bfloat16, sharding=where)
    loss = lambda q, k, v: ops.attention(q, k, v, causal=True).astype(jnp.float32).sum()
    with jax.set_mesh(mesh):
        lowered = jax.jit(jax.value_and_grad(loss, (0, 1, 2))).lower(x, x, x)
    text = lowered.compile().as_text()
    # Forward, by keys and values, by queries.
    assert text.count('custom_call_target="tpu_custom_call"') == 3
    assert "all-gather" not in text


@needs_libtpu
def test_the_kernel_is_offered_where_it_fits():
    q = jax.ShapeDtypeStruct((2, 512, 4, 64), jnp.bfloat16)
    resized = lambda T, D=64, dtype=jnp.bfloat16: jax.ShapeDtypeStruct((2, T, 4, D), dtype)
    form = attention_tpu.form
    assert form(q, q, q, None, True) is None  # this is a CPU
    with jax.set_mesh(mesh_of(topology.devices("v5e:2x2"), (4, 1, 1))):
        assert form(q, q, q, None, True)
        assert form(q, resized(640), resized(640), None, False)
        for other in (resized(256), resized(520), resized(512, 24), resized(512, 64, jnp.float32)):
            assert form(other, other, other, None, True) is None
        assert form(q, resized(640), resized(640), None, True) is None
        assert form(q, q, resized(512, 128), None, True) is None
        mask = jax.ShapeDtypeStruct((1, 1, 1, 512), bool)
        assert form(q, q, q, mask, False) is None


def test_cudnn_is_not_asked_for_without_a_gpu():
    q = jax.ShapeDtypeStruct((2, 16, 2, 64), jnp.bfloat16)
    assert jax.default_backend() != "gpu"
    assert module._cudnn(q, q, q, None, True) is None
