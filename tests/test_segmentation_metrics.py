"""Figures of masks, against NumPy's and scipy's own."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from jaxdl.metrics import segmentation

pytestmark = pytest.mark.usefixtures("explicit")


def masks(seed=0, shape=(4, 13, 17), classes=5, least=0):
    """Blocks of classes, and the same with a tenth of it drawn anew."""
    rng = np.random.default_rng(seed)
    true = rng.integers(least, classes, (shape[0], 4, 5)).repeat(4, 1).repeat(4, 2)
    true = true[:, : shape[1], : shape[2]].astype(np.int32)
    found = np.where(rng.random(shape) < 0.1, rng.integers(least, classes, shape), true)
    return true, np.roll(found, 1, axis=2).astype(np.int32)


def test_matrices_count_each_pixel_once_and_add_up():
    true, found = masks()
    count = jax.jit(lambda a, b: segmentation.confusion(a, b, 5))
    whole = count(true, found)
    expected = [[np.sum((true == i) & (found == j)) for j in range(5)] for i in range(5)]
    assert whole.dtype == jnp.int32
    np.testing.assert_array_equal(whole, expected)
    np.testing.assert_array_equal(whole, sum(count(true[i], found[i]) for i in range(4)))
    np.testing.assert_array_equal(whole, jax.vmap(count)(true, found).sum(0))


@pytest.mark.parametrize("ignored", [255, -1, 2])
def test_what_is_ignored_or_padded_does_not_count(ignored):
    true, found = masks()
    true[:, 3:6] = ignored
    weights = jnp.array([1.0, 0, 1, 0])
    got = segmentation.confusion(jnp.asarray(true), jnp.asarray(found), 5, ignored, weights)
    keep = (true != ignored) & (np.arange(4) % 2 == 0)[:, None, None]
    expected = segmentation.confusion(jnp.asarray(true[keep]), jnp.asarray(found[keep]), 5)
    np.testing.assert_array_equal(got, expected)
    assert got.sum() == keep.sum()


def test_masks_of_bytes_are_counted_as_well():
    true, found = masks(classes=20)
    got = segmentation.confusion(jnp.asarray(true, np.uint8), jnp.asarray(found, np.uint8), 20)
    np.testing.assert_array_equal(
        got, segmentation.confusion(jnp.array(true), jnp.array(found), 20)
    )


def test_figures_are_those_of_sets_of_pixels():
    true, found = masks(least=1)  # class 0 is in neither
    matrix = segmentation.confusion(jnp.asarray(true), jnp.asarray(found), 5)
    a, b = (np.stack([mask == i for i in range(1, 5)]) for mask in (true, found))
    both, either, true_, found_ = ((m.sum((1, 2, 3))) for m in (a & b, a | b, a, b))
    for figure, expected in {
        "iou": both / either,
        "dice": 2 * both / (true_ + found_),
        "recall": both / true_,
        "precision": both / found_,
    }.items():
        got = getattr(segmentation, figure)(matrix)
        assert np.isnan(got[0])
        np.testing.assert_allclose(got[1:], expected, rtol=1e-15)
    assert segmentation.mean_iou(matrix) == pytest.approx(np.mean(both / either), rel=1e-15)
    dice = 2 * both / (true_ + found_)
    assert segmentation.mean_dice(matrix) == pytest.approx(np.mean(dice), rel=1e-15)
    assert segmentation.mean_accuracy(matrix) == pytest.approx(np.mean(both / true_), rel=1e-15)
    assert segmentation.pixel_accuracy(matrix) == pytest.approx(np.mean(true == found), rel=1e-15)
    weighed = np.sum(true_ / true.size * both / either)
    assert segmentation.frequency_weighted_iou(matrix) == pytest.approx(weighed, rel=1e-14)


def test_a_figure_of_each_image_or_of_nothing():
    count = jax.vmap(lambda a, b: segmentation.confusion(a, b, 5))
    matrices = count(*map(jnp.asarray, masks()))
    each = segmentation.mean_iou(matrices)
    np.testing.assert_array_equal(each, [segmentation.mean_iou(m) for m in np.asarray(matrices)])
    nothing = np.zeros((3, 3), int)
    for figure in set(segmentation.DIRECTIONS) - {"boundary_f1"}:
        assert np.isnan(getattr(segmentation, figure)(nothing))


def boundary_f1(true, found, valid, tolerance):
    """Of one class in one image: boundaries by erosion, distances by scipy."""
    cross = ndimage.generate_binary_structure(2, 1)
    edge = lambda m: m & valid & ndimage.binary_dilation(~m & valid, cross)
    a, b = edge(true), edge(found)
    if not a.any() or not b.any():
        return 0.0 if a.any() or b.any() else np.nan
    near = lambda m, to: np.mean(ndimage.distance_transform_edt(~to)[m] <= tolerance)
    p, r = near(b, a), near(a, b)
    return 2 * p * r / (p + r) if p + r else 0.0


@pytest.mark.parametrize("tolerance, ignored", [(0, None), (1, None), (2.3, 2), (None, None)])
def test_boundaries_are_as_near_as_scipy_measures(tolerance, ignored):
    true, found = masks(classes=4)
    true[0], found[0], found[1] = 1, 1, 3  # no boundary at all, and in one alone
    got = segmentation.boundary_f1(jnp.asarray(true), jnp.asarray(found), 5, ignored, tolerance)
    reach = 0.0075 * np.hypot(13, 17) if tolerance is None else tolerance
    expected = [
        [boundary_f1(t == i, f == i, t != (-1 if ignored is None else ignored), reach)
         for i in range(5)]
        for t, f in zip(true, found, strict=True)
    ]  # fmt: skip
    assert np.isnan(expected[0]).all()
    np.testing.assert_allclose(got, expected, atol=1e-6)


def test_a_tolerance_below_0_is_refused():
    with pytest.raises(ValueError, match="tolerance=-1"):
        segmentation.boundary_f1(jnp.zeros((1, 4, 4), int), jnp.zeros((1, 4, 4), int), 2, None, -1)
