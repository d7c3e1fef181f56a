"""Reductions over segments against loops in float64, and their derivatives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from both_modes import check

from jaxdl import ops
from jaxdl.ops import graph_heads

# Of five segments the second and the last are empty; the last two rows are padding.
IDS, COUNT = np.array([0, 0, 0, 2, 3, 3, 5, 6]), 5


def rows(seed=0):
    x = np.random.default_rng(seed).standard_normal((len(IDS), 2))
    x[1] = x[0]  # ties, as maxima too
    return x


def loops(x):
    """By name, what each is of ``x`` (rows, …)."""
    found = {name: np.zeros((COUNT, *x.shape[1:])) for name in ("sum", "mean", "max")}
    soft = np.zeros_like(x)
    for i in range(COUNT):
        own = [row for row, of in zip(x, IDS, strict=True) if of == i]
        if own:
            found["sum"][i], found["mean"][i] = sum(own), sum(own) / len(own)
            found["max"][i] = np.max(own, axis=0)
        for place in np.flatnonzero(i == IDS):
            soft[place] = np.exp(x[place]) / sum(np.exp(row) for row in own)
    return found | {"softmax": soft}


def everything(x, ids=IDS):
    found = {how: ops.segment_reduction(how)(x, ids, COUNT) for how in ("sum", "mean", "max")}
    return found | {"softmax": ops.segment_softmax(x, ids, COUNT)}


def test_reductions_are_those_of_loops():
    many = np.stack([rows(0), rows(1)])
    for f in (everything, jax.vmap(everything)):
        x = many if f is not everything else many[0]
        found = jax.jit(f)(x.astype(np.float32))
        expected = loops(x) if x.ndim == 2 else [loops(x) for x in many]
        if x.ndim == 3:
            expected = {name: np.stack([each[name] for each in expected]) for name in found}
        for name, value in found.items():
            np.testing.assert_allclose(value, expected[name], atol=1e-6, err_msg=name)


def test_softmax_bears_scores_of_any_size():
    x = np.array([1e4, 1e4, -1e4, -1e4, 3e38, -3e38, 1e4, -1e4], np.float32)
    found, slope = jax.value_and_grad(lambda x: ops.segment_softmax(x, IDS, COUNT)[0])(x)
    assert found == 0.5
    np.testing.assert_allclose(slope, [0.25, -0.25, 0, 0, 0, 0, 0, 0])


def test_sums_of_bf16_are_added_in_more():
    ones = jnp.ones(1000, jnp.bfloat16)
    found = ops.segment_sum(ones, np.zeros(1000, np.int32), 1)
    assert (found.dtype, float(found[0])) == (jnp.bfloat16, 1000)


def test_derivatives_of_any_order():
    """In both modes, to the second order; of maxima apart from ties, where there is none."""
    x = np.random.default_rng(2).standard_normal((3, 2))
    edges = ops.connect([(0, 1), (2, 1), (1, 0), (1, 1)], 3, weight=np.arange(1.0, 5))

    def f(x):
        weights = ops.segment_softmax(x[edges.source], edges.target, 3)
        mean = ops.segment_mean(x[edges.source] * weights, edges.target, 3)
        return mean, ops.aggregate(x * x, edges, "max")

    with jax.enable_x64(True):
        check(f, (jnp.asarray(x),))


@pytest.mark.parametrize("loops", [True, False, None])
def test_edges_are_sorted_and_have_the_loops_asked_for(loops):
    pairs = [(2, 1), (0, 0), (0, 1), (0, 0), (1, 0)]
    weight, features = np.arange(1.0, 6), np.arange(5.0)[:, None]
    found = ops.connect(pairs, 3, loops=loops, weight=weight, features=features)
    told = list(zip(*(np.ravel(column).tolist() for column in found[:4]), strict=True))
    others = [(0, 1, 3, 2), (1, 0, 5, 4), (2, 1, 1, 0)]
    own = {
        True: [(0, 0, 1, 4), (1, 1, 1, 1), (2, 2, 1, 0)],
        False: [],
        None: [(0, 0, 2, 1), (0, 0, 4, 3)],
    }
    assert sorted(told) == sorted(others + own[loops])
    assert (np.diff(found.target) >= 0).all()


def test_edges_both_ways_have_loops_once():
    found = ops.connect([(0, 1), (2, 2)], 3, both_ways=True)
    assert sorted(zip(found.source.tolist(), found.target.tolist(), strict=True)) == [
        *((0, 1), (1, 0), (2, 2)),
    ]


@pytest.mark.parametrize("few", [99, 0])
def test_sums_of_heads_are_those_of_loops_in_parts_or_at_once(few, monkeypatch):
    """Values, and derivatives of both modes; a last part is filled up, padding arrives nowhere."""
    monkeypatch.setattr(graph_heads, "_FEW", few)
    monkeypatch.setattr(graph_heads, "_AT_ONCE", 3)
    rng = np.random.default_rng(3)
    source, target = rng.integers(0, COUNT, len(IDS)), IDS
    x, weights = rng.standard_normal((COUNT, 2, 3)), rng.standard_normal((len(IDS), 2))
    edges = ops.Edges(jnp.asarray(source), jnp.asarray(target), jnp.ones(len(IDS)))
    expected = np.zeros_like(x)
    for place in np.flatnonzero(target < COUNT):
        expected[target[place]] += weights[place][:, None] * x[source[place]]
    with jax.enable_x64(True):
        f = lambda x, weights: ops.sum_of_heads(x, weights, edges)
        np.testing.assert_allclose(jax.jit(f)(x, weights), expected, atol=1e-12)
        check(f, (jnp.asarray(x), jnp.asarray(weights)))
        plain = lambda x, weights: ops.segment_sum(
            x[edges.source] * weights[..., None], edges.target, COUNT
        )
        slopes = [
            jax.jit(jax.grad(lambda *a, f=f: jnp.sin(f(*a)).sum(), (0, 1)))(x, weights)
            for f in (f, plain)
        ]
        for a, b in zip(*slopes, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-12)
    half = jax.jit(f)(x.astype(jnp.bfloat16), weights.astype(np.float32))
    assert half.dtype == jnp.bfloat16
    np.testing.assert_allclose(half.astype(np.float32), expected, atol=0.05)
