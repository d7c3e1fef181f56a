"""Dropout: its meaning, and whether its cheap bits are random enough for masks."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from jax.sharding import NamedSharding, PartitionSpec
from scipy import stats

from jaxdl import keys
from jaxdl.errors import UserError
from jaxdl.layers.dropout import Dropout
from jaxdl.ops.dropout import dropout, hash_bits

KEY = keys.at_step(keys.root(0), 3)
# All limits are of five deviations: a right generator fails one of 2 million such checks.
SIGMAS = 5
LIMIT = 2 * stats.norm.sf(SIGMAS)

kept = jax.jit(
    lambda key, shape, rate: dropout(key, jnp.ones(shape), rate) > 0, static_argnums=(1, 2)
)
bits = jax.jit(lambda key, shape: hash_bits(jax.random.bits(key, (2,)), shape), static_argnums=1)


def correlation(a, b):
    """In deviations of what independent draws would give."""
    return np.corrcoef(np.ravel(a), np.ravel(b))[0, 1] * np.sqrt(np.size(a))


# Meaning.


def test_what_is_kept_is_scaled_and_the_rest_is_zero():
    x = np.random.default_rng(0).normal(size=(64, 33)).astype(np.float32)
    y = np.asarray(jax.jit(dropout, static_argnums=2)(KEY, x, 0.25))
    alive = y != 0
    np.testing.assert_allclose(y[alive], (x / 0.75)[alive], rtol=1e-6)
    assert abs(alive.mean() - 0.75) < SIGMAS * np.sqrt(0.25 * 0.75 / x.size)


@pytest.mark.parametrize("rate", [0.001, 0.1, 0.5, 0.9, 1 - 2**-16])
def test_the_rate_is_honoured(rate):
    n = 2**22
    lost = n - int(kept(KEY, (n,), rate).sum())
    assert abs(lost - n * rate) < SIGMAS * np.sqrt(n * rate * (1 - rate))


def test_the_rate_is_not_rounded_to_what_few_bits_hold():
    # 4e-4 above a multiple of 1/256, 14 deviations away from it at 2²⁶ draws of p = ½.
    n, rate = 2**24, 0.5 + 4e-4
    lost = sum(int((~kept(key, (n,), rate)).sum()) for key in jax.random.split(KEY, 4))
    assert abs(lost - 4 * n * rate) < SIGMAS * np.sqrt(n)
    assert abs(lost - 4 * n * 0.5) > SIGMAS * np.sqrt(n)


def test_rates_of_0_and_1_and_no_rates():
    x = jnp.array([1.0, jnp.inf, -2.0])
    np.testing.assert_array_equal(dropout(KEY, x, 0.0), x)
    np.testing.assert_array_equal(dropout(KEY, x, 1.0), 0)
    for rate in (-0.1, 1.1, np.nan):
        with pytest.raises(UserError, match="at least 0"):
            dropout(KEY, x, rate)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_the_gradient_has_the_same_mask_and_scale(dtype):
    x = jnp.asarray(np.random.default_rng(0).normal(size=(7, 130)), dtype)
    y, pull = jax.vjp(jax.jit(lambda x: dropout(KEY, x, 0.4)), x)
    (slope,) = pull(jnp.ones_like(y))
    assert y.dtype == slope.dtype == dtype
    scale = jnp.asarray(1 / 0.6, dtype)
    np.testing.assert_array_equal(slope, jnp.where(y != 0, scale, 0))


def test_only_two_words_are_kept_for_the_backward_pass():
    x = jnp.ones((64, 64))
    _, pull = jax.vjp(lambda x: dropout(KEY, x, 0.5), x)
    assert sum(np.size(leaf) for leaf in jax.tree.leaves(pull)) < 8


def test_gradients_hold_under_jit_vmap_scan_and_twice():
    x = jnp.asarray(np.random.default_rng(0).normal(size=(3, 4, 5)), jnp.float32)
    many = jax.random.split(KEY, 3)
    mask = lambda key: dropout(key, jnp.ones((4, 5)), 0.5)
    masks = np.stack([mask(key) for key in many])
    loss = lambda key, x: (dropout(key, x, 0.5) ** 3).sum()
    slope = 3 * np.asarray(x) ** 2 * masks**3
    mapped = jax.jit(jax.vmap(jax.grad(loss, 1)))(many, x)
    np.testing.assert_allclose(mapped, slope, rtol=1e-6)
    scanned = lambda x: jax.lax.scan(lambda t, kx: (t + loss(*kx), None), 0.0, (many, x))[0]
    np.testing.assert_allclose(jax.jit(jax.grad(scanned))(x), slope, rtol=1e-6)
    twice = jax.grad(lambda x: jnp.square(jax.grad(loss, 1)(KEY, x)).sum())(x[0])
    single = np.asarray(mask(KEY))
    np.testing.assert_allclose(twice, 36 * np.asarray(x[0]) ** 3 * single**6, rtol=1e-5)


def test_the_mask_does_not_depend_on_devices():
    shape = (16, 6, 40)
    expected = kept(KEY, shape, 0.3)
    mesh = jax.make_mesh((4, 2), ("data", "tensor"), axis_types=(jax.sharding.AxisType.Auto,) * 2)
    for spec in (
        ("data",),
        ("data", None, "tensor"),
        (None, "tensor"),
        (None, None, ("data", "tensor")),
    ):
        where = NamedSharding(mesh, PartitionSpec(*spec))
        f = jax.jit(lambda x: dropout(KEY, x, 0.3) > 0, out_shardings=where)
        x = jax.device_put(jnp.ones(shape), where)
        np.testing.assert_array_equal(f(x), expected)
        text = f.lower(x).compile().as_text()
        assert not any(kind in text for kind in ("all-gather", "all-reduce", "collective-permute"))


def test_the_layer_draws_from_its_stream_and_only_in_training():
    x = jnp.ones((8, 16))

    class Two(nn.Module):
        @nn.compact
        def __call__(self, x, train):
            drop = lambda: Dropout(0.5)(x, train=train)
            return drop(), drop()

    run = lambda key, train: Two().apply({}, x, train, rngs={"dropout": key})
    a, b = run(KEY, True)
    assert (a != b).any()  # two layers, two masks
    np.testing.assert_array_equal(a, run(KEY, True)[0])
    assert (a != run(keys.at_step(KEY, 1), True)[0]).any()
    np.testing.assert_array_equal(Two().apply({}, x, False)[0], x)  # needs no key
    assert Dropout(0.5).init(KEY, x, train=False) == {}


# Quality of the bits.


def test_bits_are_uniform_in_each_byte():
    draws = np.asarray(bits(KEY, (1024, 1024)))
    for shift in (0, 8, 16, 24):
        counts = np.bincount(((draws >> shift) & 255).ravel(), minlength=256)
        p = stats.chisquare(counts).pvalue
        assert LIMIT < p < 1 - LIMIT, (shift, p)


def test_mean_and_variance_are_the_uniform_ones():
    n = 2**20
    u = np.asarray(bits(KEY, (n,)), np.float64) / 2**32
    assert abs(u.mean() - 0.5) < SIGMAS * np.sqrt(1 / 12 / n)
    # The variance of (u - ½)² is 1/180.
    assert abs(((u - 0.5) ** 2).mean() - 1 / 12) < SIGMAS * np.sqrt(1 / 180 / n)


def test_every_bit_is_fair_and_independent_of_the_others():
    draws = np.asarray(bits(KEY, (2**18,)))
    columns = (draws[:, None] >> np.arange(32)) & 1
    signs = 2.0 * columns - 1
    assert np.abs(signs.mean(0)).max() < SIGMAS / np.sqrt(len(draws))
    pairs = signs.T @ signs / np.sqrt(len(draws))
    assert np.abs(pairs - np.diag(np.diag(pairs))).max() < SIGMAS


@pytest.mark.parametrize("shape", [(512, 512), (700, 300), (4096, 64)])
def test_neighbours_rows_and_powers_of_two_apart_are_uncorrelated(shape):
    for rate in (0.1, 0.5):
        mask = np.asarray(kept(KEY, shape, rate))
        assert abs(correlation(mask[:, 1:], mask[:, :-1])) < SIGMAS
        assert abs(correlation(mask[1:], mask[:-1])) < SIGMAS
        flat = mask.ravel()
        for lag in 2 ** np.arange(1, 17):
            assert abs(correlation(flat[lag:], flat[:-lag])) < SIGMAS, lag


def test_rows_and_columns_drop_as_many_as_they_should():
    # Of sums over rows and columns the variance is that of independent draws: no stripes.
    rate, shape = 0.3, (1024, 1024)
    mask = np.asarray(kept(KEY, shape, rate))
    for axis in (0, 1):
        counts = mask.sum(axis=axis)
        spread = ((counts - 1024 * (1 - rate)) ** 2).sum() / (1024 * rate * (1 - rate))
        assert LIMIT < stats.chi2.cdf(spread, 1024) < 1 - LIMIT


def test_masks_of_consecutive_steps_streams_and_seeds_are_uncorrelated():
    shape = (2**16,)
    root = keys.root(0)
    many = [keys.at_step(root, i) for i in range(12)]
    many += [keys.named(KEY, name) for name in ("dropout", "dropout_1", "noise")]
    many += [keys.root(seed) for seed in range(1, 6)]
    masks = np.stack([np.asarray(kept(key, shape, 0.5)) for key in many])
    for a, b in itertools.combinations(masks, 2):
        assert abs(correlation(a, b)) < SIGMAS
        # Nor is one the other's, moved by one.
        assert abs(correlation(a[1:], b[:-1])) < SIGMAS


@pytest.mark.parametrize("which", [0, 1])
def test_words_that_differ_in_one_bit_give_unrelated_bits(which):
    # Stronger than keys ever ask: words as of threefry differ in half their bits.
    n = 2**16
    words = np.array([0x12345678, 0x9ABCDEF0], np.uint32)
    first = np.asarray(hash_bits(jnp.asarray(words), (n,)))
    draw = jax.jit(lambda words: hash_bits(words, (n,)))
    for bit in range(32):
        other = words.copy()
        other[which] ^= np.uint32(1 << bit)
        differing = np.bitwise_count(first ^ np.asarray(draw(other))).mean()
        assert abs(differing - 16) < 0.5, bit


def test_two_keys_share_no_stretch_of_their_sequences():
    # With a single word xored to the counter, one key's numbers would be the other's, rearranged.
    n = 2**16
    a, b = (set(np.asarray(bits(keys.at_step(KEY, i), (n,))).tolist()) for i in (0, 1))
    # Chance meetings: n² / 2³² = 1.
    assert len(a) == len(b) == n  # a bijection of the counter
    assert len(a & b) < 12
