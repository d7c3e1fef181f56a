"""Figures of generated features: closed forms, others' own figures, and what rounding may do."""

import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import linalg

from jaxdl.metrics import sample_quality
from jaxdl.metrics.sample_quality import Moments, frechet_distance

GOLDEN = Path(__file__).parent / "golden"
sys.path.insert(0, str(GOLDEN))

import seeded  # noqa: E402


def cloud(seed, n, d, spread=1.0, at=0.0):
    """Correlated features (n, d)."""
    rng = np.random.default_rng(seed)
    return spread * rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) / np.sqrt(d) + at


def golden_features(case, which, shape):
    """As golden/make_sample_quality.py draws them."""
    x = seeded.normal(f"{case}/{which}", shape) @ seeded.normal(
        f"{case}/{which}/mix", shape[1:] * 2
    )
    return np.maximum(x / np.sqrt(shape[1]) + (0.3 if which == "a" else 0.5), 0)


def exactly(mean, variances, count=1000):
    """Moments of a normal distribution with independent features."""
    return Moments(count, np.asarray(mean, float), np.diag(np.asarray(variances) * (count - 1.0)))


# The Fréchet distance


def test_of_independent_features_it_is_the_closed_form():
    rng = np.random.default_rng(0)
    mean, other = rng.normal(size=(2, 7))
    a, b = rng.uniform(0, 4, (2, 7)) ** 3
    a[2] = b[5] = 0
    wanted = np.square(mean - other).sum() + np.square(np.sqrt(a) - np.sqrt(b)).sum()
    assert frechet_distance(exactly(mean, a), exactly(other, b)) == pytest.approx(wanted, rel=1e-13)
    one = frechet_distance(exactly([1], [4]), exactly([3], [9]))  # (1 - 3)² + (2 - 3)²
    assert one == pytest.approx(5, rel=1e-14)


def test_of_well_conditioned_moments_it_is_the_formula_by_matrix_roots():
    a, b = cloud(0, 400, 9), cloud(1, 300, 9, 1.3, 0.2)
    left, right = np.cov(a.T), np.cov(b.T)
    root = linalg.sqrtm(left @ right).real
    wanted = np.square(a.mean(0) - b.mean(0)).sum() + np.trace(left + right - 2 * root)
    assert frechet_distance(a, b) == pytest.approx(wanted, rel=1e-10)
    assert frechet_distance(b, a) == pytest.approx(frechet_distance(a, b), rel=1e-13)
    both = Moments.of(a), Moments.of(b)
    assert frechet_distance(*both) == pytest.approx(wanted, rel=1e-10)


@pytest.mark.parametrize("count, other", [(12, 20), (12, 300), (64, 65), (2, 3)])
def test_of_fewer_examples_than_features_it_is_exact(count, other):
    a, b = cloud(2, count, 64), cloud(3, other, 64, 1.2, 0.1)
    # tr (S T)^½ is the sum of the singular values of X Yᵀ, whatever the ranks.
    x, y = ((z - z.mean(0)) / np.sqrt(len(z) - 1) for z in (a, b))
    shared = np.linalg.svd(x @ y.T, compute_uv=False).sum()
    apart = np.square(a.mean(0) - b.mean(0)).sum()
    wanted = apart + np.square(x).sum() + np.square(y).sum() - 2 * shared
    assert frechet_distance(a, b) == pytest.approx(wanted, rel=1e-12)
    assert frechet_distance(Moments.of(a), Moments.of(b)) == pytest.approx(wanted, rel=1e-10)


@pytest.mark.parametrize("falls", [(1e-4, 1e-4), (1, 1e-6), (1e-6, 1e-2), (1e-2, 1e-6)])
def test_features_of_very_unlike_sizes_lose_nothing(falls):
    # So many that their singular values are found another way.
    size = 160
    turned = lambda seed: np.linalg.qr(np.random.default_rng(seed).normal(size=(size, size)))[0]
    for turns in ((0, 0), (0, 1)):
        a, b = (
            np.random.default_rng(i).normal(size=(4 * size, size))
            * np.geomspace(1, fall, size)
            @ turned(turn)
            for i, (fall, turn) in enumerate(zip(falls, turns, strict=True))
        )
        x, y = ((z - z.mean(0)) / np.sqrt(len(z) - 1) for z in (a, b))
        # Of the factors of the features themselves, which were never squared.
        left, right = (np.linalg.qr(z, mode="r") for z in (x, y))
        shared = np.linalg.svd(left @ right.T, compute_uv=False).sum()
        wanted = np.square(a.mean(0) - b.mean(0)).sum() + np.square(x).sum() + np.square(y).sum()
        wanted -= 2 * shared
        assert frechet_distance(a, b) == pytest.approx(wanted, rel=1e-10)
        assert frechet_distance(b, a) == pytest.approx(wanted, rel=1e-10)
        assert 0 <= frechet_distance(a, a) < 1e-11


@pytest.mark.parametrize("count", [5, 40, 200])
def test_a_set_is_at_no_distance_from_itself(count):
    for spread, at in ((1, 0), (30, 100), (1e-3, 1)):
        a = cloud(4, count, 48, spread, at)
        scale = max(np.square(a - a.mean(0)).sum() / count, 1)
        for of in (lambda x: x, Moments.of):
            assert 0 <= frechet_distance(of(a), of(a)) <= 1e-9
            assert 0 <= frechet_distance(of(a), of(a[::-1])) <= 1e-12 * scale
    # Features that never say anything, and examples that are all the same.
    a[:, ::3] = 0
    assert 0 <= frechet_distance(a, a) <= 1e-9
    assert frechet_distance(a[:1].repeat(4, 0), a[:1].repeat(9, 0)) == pytest.approx(0, abs=1e-20)


def test_it_is_never_negative_however_near_two_sets_are():
    a = cloud(5, 30, 40)
    for i in range(20):
        moved = a + 10.0 ** -(i / 2) * np.random.default_rng(i).normal(size=a.shape)
        assert 0 <= frechet_distance(a, moved) < 200 * 10.0**-i + 1e-12


def test_moments_add_up_however_the_examples_are_cut():
    a = cloud(6, 100, 5)
    for at in (0.0, 1e8):
        whole = Moments.of(a + at)
        parts = [Moments.of(part + at) for part in np.split(a, [1, 2, 40, 41])]
        for order in (parts, parts[::-1]):
            added = Moments.total(order)
            assert added.count == 100
            np.testing.assert_allclose(added.mean - at, a.mean(0), atol=1e-15 * max(at, 1))
            # What lies at 1e8 is itself known to 1e-8 alone.
            np.testing.assert_allclose(
                added.covariance, np.cov(a.T), rtol=0, atol=1e-15 + 1e-16 * at
            )
            np.testing.assert_allclose(added.scatter, whole.scatter, rtol=1e-9, atol=1e-15 * at)
    # Sums of squares, less the square of the sum, would have nothing left.
    sums = np.square(a + 1e8).mean(0) - np.square((a + 1e8).mean(0))
    assert np.abs(sums / a.var(0) - 1).max() > 0.1


def test_moments_of_floats_of_32_bits_are_those_of_their_values():
    a = (cloud(7, 50, 4) + 1000).astype(np.float32)
    assert Moments.of(a).mean.dtype == np.float64
    np.testing.assert_allclose(Moments.of(a).covariance, np.cov(a.T.astype(float)), rtol=1e-12)


def test_what_has_no_distance_is_refused():
    a = cloud(8, 10, 4)
    with pytest.raises(ValueError, match="1 examples have no covariance"):
        frechet_distance(a, a[:1])
    with pytest.raises(ValueError, match="4 features against 3"):
        frechet_distance(a, a[:, :3])
    with pytest.raises(ValueError, match="not finite"):
        frechet_distance(a, np.where(a > 0, a, np.nan))
    with pytest.raises(ValueError, match="n at least 1"):
        Moments.of(a[:0])


# Others' figures


@pytest.fixture(scope="module")
def others():
    with np.load(GOLDEN / "sample_quality.npz") as file:
        return dict(file)


@pytest.mark.parametrize("case", range(3))
def test_figures_are_those_of_pytorch_fid_and_torch_fidelity(case, others):
    n, m, d = others["sizes"][case]
    a, b = golden_features(case, "a", (n, d)), golden_features(case, "b", (m, d))
    assert frechet_distance(a, b) == pytest.approx(others["frechet"][case], rel=1e-8)
    same = min(n, m)
    found = sample_quality.kernel_distance(a[:same], b[:same], subsets=1, size=same)
    assert found.value == pytest.approx(others["kernel"][case], rel=1e-6, abs=1e-7)
    score = sample_quality.inception_score(4 * a, splits=5)
    np.testing.assert_allclose(score, others["score"][case], rtol=1e-6)
    manifold = sample_quality.precision_recall(a, b)
    assert manifold.precision == pytest.approx(others["precision"][case], abs=1e-6)
    assert manifold.recall == pytest.approx(others["recall"][case], abs=1e-6)


# The kernel distance


def test_the_kernel_distance_is_unbiased_and_says_how_sure_it_is():
    # Against all pairs one by one.
    a, b = cloud(9, 6, 3), cloud(10, 5, 3, at=0.5)
    kernel = lambda x, y: (x @ y / 3 + 1) ** 3
    mean = lambda pairs: np.mean([kernel(x, y) for x, y in pairs])
    within = lambda z: mean([(z[i], z[j]) for i in range(5) for j in range(5) if i != j])
    wanted = within(a[:5]) + within(b) - 2 * mean([(x, y) for x in a[:5] for y in b])
    found = sample_quality.kernel_distance(a[:5], b, subsets=3, size=5)
    assert found.value == pytest.approx(wanted, rel=1e-12)
    assert found.error == pytest.approx(0, abs=1e-12)
    # Of one distribution, 0 lies as far from the mean as it says it may.
    many = [
        sample_quality.kernel_distance(cloud(0, 60, 4), np.random.default_rng(i).permutation(
            cloud(0, 60, 4)), subsets=20, seed=i)
        for i in range(5)
    ]  # fmt: skip
    assert all(x.error > 0 for x in many)
    draws = np.random.default_rng(1).normal(size=(60, 2, 40, 4))
    values = [sample_quality.kernel_distance(x, y, subsets=1, size=40).value for x, y in draws]
    assert abs(np.mean(values)) < 3 * np.std(values) / np.sqrt(len(values))
    assert min(values) < 0 < max(values)


def test_kernel_distances_are_the_same_again_and_need_enough():
    a, b = cloud(11, 30, 3), cloud(12, 30, 3)
    assert sample_quality.kernel_distance(a, b) == sample_quality.kernel_distance(a, b)
    assert sample_quality.kernel_distance(a, b, seed=1) != sample_quality.kernel_distance(a, b)
    with pytest.raises(ValueError, match="subsets of 31 of 30"):
        sample_quality.kernel_distance(a, b, size=31)
    with pytest.raises(ValueError, match="subsets of 1 of 3"):
        sample_quality.kernel_distance(a[:3], b)
    with pytest.raises(ValueError, match=r"\(30, 3\) and \(30, 2\)"):
        sample_quality.kernel_distance(a, b[:, :2])


# The inception score


def test_the_inception_score_lies_between_one_and_the_number_of_classes():
    sure = 1000.0 * np.eye(4)[np.arange(40) % 4]
    assert sample_quality.inception_score(sure, splits=1).value == pytest.approx(4)
    # One in ten parts is of four examples, all classes once.
    assert sample_quality.inception_score(sure) == pytest.approx((4, 0))
    assert sample_quality.inception_score(np.zeros((40, 4))) == pytest.approx((1, 0))
    assert sample_quality.inception_score(sure * [1, 0, 0, 0]).value < 2
    logits = np.random.default_rng(0).normal(size=(30, 5))
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    wanted = [
        np.exp((part * np.log(part / part.mean(0))).sum(axis=1).mean()) for part in np.split(p, 3)
    ]
    found = sample_quality.inception_score(logits, splits=3)
    assert found == pytest.approx((np.mean(wanted), np.std(wanted)))
    with pytest.raises(ValueError, match="31 parts"):
        sample_quality.inception_score(logits, splits=31)


# Manifolds


def balls(x, neighbours):
    apart = np.linalg.norm(x[:, None] - x, axis=-1)
    return np.sort(apart, axis=1)[:, neighbours]  # the first is itself


@pytest.mark.parametrize("at", [0.0, 1e6])
def test_manifolds_are_the_balls_of_the_definition(at):
    generated, real = cloud(13, 50, 3) + at, cloud(14, 70, 3, 1.5) + at
    apart = np.linalg.norm(generated[:, None] - real, axis=-1)
    found = sample_quality.precision_recall(generated, real)
    assert found.precision == (apart <= balls(real, 3)).any(axis=1).mean()
    assert found.recall == (apart <= balls(generated, 3)[:, None]).any(axis=0).mean()
    assert 0 < found.recall < found.precision < 1
    found = sample_quality.density_coverage(generated, real)
    assert found.density == pytest.approx((apart <= balls(real, 5)).sum() / (5 * 50))
    assert found.coverage == (apart <= balls(real, 5)).any(axis=0).mean()


def test_manifolds_say_what_is_wrong_with_a_generator():
    real = np.random.default_rng(0).normal(size=(200, 2))
    assert sample_quality.precision_recall(real, real) == (1, 1)
    # One kind of good ones is precise, and recalls little; noise everywhere is the other way round.
    narrow = 0.05 * np.random.default_rng(1).normal(size=(200, 2))
    found = sample_quality.precision_recall(narrow, real)
    assert found.precision > 0.95
    assert found.recall < 0.2
    wide = np.random.default_rng(2).uniform(-20, 20, size=(200, 2))
    found = sample_quality.precision_recall(wide, real)
    assert found.precision < 0.1
    assert found.recall > 0.7
    assert sample_quality.density_coverage(narrow, real).coverage < 0.3
    assert sample_quality.density_coverage(real + 100, real) == (0, 0)
    with pytest.raises(ValueError, match="3 neighbours among 3 examples"):
        sample_quality.precision_recall(real[:3], real)


def test_large_sets_are_gone_through_part_by_part(monkeypatch):
    from jaxdl.metrics.sample_quality import manifold

    generated, real = cloud(13, 50, 3), cloud(14, 70, 3, 1.5)
    whole = sample_quality.precision_recall(generated, real)
    monkeypatch.setattr(manifold, "_ROWS", 7)
    assert sample_quality.precision_recall(generated, real) == whole
