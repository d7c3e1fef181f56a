"""Augmentations, seen from outside: a ramp of grey values shows where each pixel was read."""

import functools

import jax
import numpy as np
import pytest

import jaxdl.config
from jaxdl import keys
from jaxdl.data import augment
from jaxdl.data.augment import geometry
from jaxdl.errors import UserError

B = 64


def images(*shape, seed=0):
    """Noise in [0, 1]: no two images, pixels or shifts of it are alike."""
    return np.random.default_rng(seed).random(shape, np.float32)


def ramps(size):
    """(batch, size, size, 2): channel 0 is each pixel's row, channel 1 its column."""
    grid = np.stack(np.mgrid[:size, :size], axis=-1).astype(np.float32)
    return np.broadcast_to(grid, (B, size, size, 2))


def slopes(y):
    """At the centre of what became of `ramps`: ∂(row, column) read / ∂ row, and / ∂ column."""
    y, c = np.asarray(y, np.float64), y.shape[1] // 2
    return y[:, c][:, c] - y[:, c - 1][:, c], y[:, c][:, c] - y[:, c][:, c - 1]


# The others' settings may be traced: one compilation then serves every strength.
STATIC = {
    "random_shift": ("pixels",),
    "color_jitter": ("brightness", "contrast", "saturation"),
}


@functools.cache
def compiled(name):
    return jax.jit(getattr(augment, name), static_argnames=STATIC.get(name, ()))


def moved(name, seed, batch, **fields):
    return jax.tree.map(np.asarray, compiled(name)(keys.root(seed), batch, **fields))


def run(name, seed, *arrays, **fields):
    """The image, or image and label, of a batch of these."""
    batch = dict(zip(("image", "label"), arrays, strict=False))
    found = tuple(moved(name, seed, batch, **fields).values())
    return found if len(arrays) > 1 else found[0]


AFFINE = dict(rotate=20.0, zoom=0.2, shear=0.2, shift=1.5)
JITTER = dict(brightness=0.6, contrast=0.6, saturation=0.6)
EVERY = pytest.mark.parametrize(
    "name, fields",
    [
        ("random_shift", dict(pixels=2)),
        ("random_affine", AFFINE),
        ("random_resized_crop", dict(smallest=0.3)),
        ("random_flip", {}),
        ("color_jitter", JITTER),
        ("mixup", dict(alpha=0.4)),
        ("cutmix", dict(alpha=1.0)),
    ],
)


def inputs(name):
    x = images(B, 6, 5, 3)
    return (x, np.eye(B, dtype=np.float32)) if name in ("mixup", "cutmix") else (x,)


@EVERY
def test_the_same_key_gives_the_same_and_another_key_another(name, fields):
    first, again, other = (run(name, seed, *inputs(name), **fields) for seed in (0, 0, 1))
    for a, b, c in zip(*map(jax.tree.leaves, (first, again, other)), strict=True):
        np.testing.assert_array_equal(a, b)
        assert (a != c).any()


@EVERY
def test_values_stay_in_0_to_1_and_shapes_and_dtypes_stay(name, fields):
    # The extremes themselves, where rounding could step over.
    given = inputs(name)
    for x in (given[0], np.round(given[0]), np.ones_like(given[0])):
        for got, was in zip(
            jax.tree.leaves(run(name, 2, x, *given[1:], **fields)), (x, *given[1:]), strict=True
        ):
            assert got.shape == was.shape
            assert got.dtype == was.dtype
            assert got.min() >= 0
            assert got.max() <= 1 + 3e-7  # weights that sum to 1 do so to 2 ulp


@EVERY
def test_every_example_draws_its_own(name, fields):
    x = np.broadcast_to(images(1, 6, 5, 3), (B, 6, 5, 3))
    if name in ("mixup", "cutmix"):
        _, labels = run(name, 3, x, np.eye(B, dtype=np.float32), **fields)
        drawn = {round(float(share), 5) for share in labels.max(1)}
    else:
        drawn = {row.tobytes() for row in run(name, 3, x, **fields)}
    least = 2 if name == "random_flip" else 8
    assert len(drawn) >= least


# Where pixels come from.


def test_random_shift_gives_each_of_the_shifted_images_and_no_other():
    p, x = 1, images(256, 4, 5, 2)
    got = run("random_shift", 0, x, pixels=p)
    padded = np.pad(x, ((0, 0), (p, p), (p, p), (0, 0)))
    shifted = np.stack(
        [padded[:, i : i + 4, j : j + 5] for i in range(2 * p + 1) for j in range(2 * p + 1)]
    )
    matches = (shifted == got).all((2, 3, 4))  # ((2p + 1)², batch)
    np.testing.assert_array_equal(matches.sum(0), 1)
    # 256/9 = 28 of each, give or take 5 standard deviations.
    assert (np.abs(matches.sum(1) - 256 / 9) < 5 * np.sqrt(256 * 8 / 81)).all()


def test_random_affine_of_no_strength_is_the_identity():
    x = images(B, 5, 6, 3)
    np.testing.assert_array_equal(run("random_affine", 0, x), x)


def test_reading_at_whole_pixels_moves_the_image_and_brings_zeros_in():
    x = images(2, 4, 5, 3)
    y, column = (np.broadcast_to(g.ravel(), (2, 20)) for g in np.mgrid[:4, :5].astype(np.float32))
    got = np.asarray(jax.jit(geometry._bilinear)(x, y + 1, column - 2))
    expected = np.zeros_like(x)
    expected[:, :3, 2:] = x[:, 1:, :3]
    np.testing.assert_array_equal(got, expected)


def test_reading_between_pixels_weighs_the_four_around_and_zeros_outside():
    x = images(1, 3, 3, 1)
    at = np.array([[0.25, 0.5], [1.75, 0.0], [-0.25, 1.0], [2.5, 2.5], [-1.5, 0.0]] + [[0, 0]] * 4)
    got = np.asarray(jax.jit(geometry._bilinear)(x, *at.T[:, None].astype(np.float32))).ravel()[:5]
    v = x[0, :, :, 0].astype(np.float64)
    expected = [
        0.75 * (v[0, 0] + v[0, 1]) / 2 + 0.25 * (v[1, 0] + v[1, 1]) / 2,
        0.25 * v[1, 0] + 0.75 * v[2, 0],
        0.75 * v[0, 1],
        0.25 * v[2, 2],
        0,
    ]
    np.testing.assert_allclose(got, expected, rtol=1e-6)


def test_rotation_turns_by_up_to_its_angle_about_the_centre():
    y = run("random_affine", 0, ramps(9), rotate=20.0)
    by_row, by_column = slopes(y)
    np.testing.assert_allclose(y[:, 4, 4], 4, rtol=1e-5)
    # Columns of a rotation: unit, orthogonal, right-handed.
    np.testing.assert_allclose((by_row**2).sum(1), 1, rtol=1e-5)
    np.testing.assert_allclose(by_row[:, 0], by_column[:, 1], atol=1e-5)
    np.testing.assert_allclose(by_row[:, 1], -by_column[:, 0], atol=1e-5)
    angle = np.rad2deg(np.arctan2(by_row[:, 1], by_row[:, 0]))
    assert np.abs(angle).max() <= 20 + 1e-3
    # Uniform in ±20: of 64 draws some lie in each outer quarter, but for one case in 10⁷.
    assert angle.max() > 10
    assert angle.min() < -10


def test_zoom_changes_the_size_within_its_factor_about_the_centre():
    y = run("random_affine", 0, ramps(9), zoom=0.3)
    by_row, by_column = slopes(y)
    np.testing.assert_allclose(y[:, 4, 4], 4, rtol=1e-5)
    np.testing.assert_allclose(by_row[:, 0], by_column[:, 1], rtol=1e-5)
    np.testing.assert_allclose(by_row[:, 1], 0, atol=1e-5)
    log_size = -np.log(by_row[:, 0])
    assert np.abs(log_size).max() <= 0.3 + 1e-5
    assert log_size.max() > 0.15
    assert log_size.min() < -0.15


def test_shear_moves_columns_by_row_about_the_centre():
    y = run("random_affine", 0, ramps(9), shear=0.3)
    by_row, by_column = slopes(y)
    np.testing.assert_allclose(y[:, 4, 4], 4, rtol=1e-5)
    np.testing.assert_allclose(by_column, [[0, 1]] * B, atol=1e-5)
    np.testing.assert_allclose(by_row[:, 0], 1, rtol=1e-5)
    assert np.abs(by_row[:, 1]).max() <= 0.3 + 1e-5
    assert by_row[:, 1].max() > 0.15
    assert by_row[:, 1].min() < -0.15


def test_affine_shift_moves_by_up_to_its_pixels_either_way_fractions_included():
    y = run("random_affine", 0, ramps(9), shift=2.0)
    moved = y[:, 4, 4] - 4
    assert np.abs(moved).max() <= 2 + 1e-5
    assert (moved.max(0) > 1).all()
    assert (moved.min(0) < -1).all()
    assert np.abs(moved - np.round(moved)).max() > 0.2
    assert abs(np.corrcoef(moved.T)[0, 1]) < 0.5  # down and across are drawn apart


def test_a_tiny_rotation_stays_close():
    x = images(B, 7, 7, 1)
    y = run("random_affine", 0, x, rotate=0.1)
    # A corner 4.3 pixels out moves by .0075 pixels; the values there differ by at most 1.
    assert 0 < np.abs(y - x).max() < 0.02


# Crops.


@pytest.mark.parametrize("smallest", [0.1, 1.0])
def test_a_crop_of_a_constant_image_is_that_image(smallest):
    x = np.broadcast_to(images(B, 1, 1, 3), (B, 6, 5, 3))
    y = run("random_resized_crop", 0, x, smallest=smallest)
    np.testing.assert_allclose(y, x, rtol=1e-5)


@pytest.mark.parametrize("smallest", [0.1, 0.5, 0.9, 1.0])
def test_a_crop_keeps_its_least_share_of_the_area_and_its_aspect(smallest):
    size = 16
    y = run("random_resized_crop", 0, ramps(size), smallest=smallest)
    by_row, by_column = slopes(y)
    height, width = by_row[:, 0], by_column[:, 1]  # shares of the image's own
    np.testing.assert_allclose(by_row[:, 1], 0, atol=1e-5)
    np.testing.assert_allclose(by_column[:, 0], 0, atol=1e-5)
    assert max(height.max(), width.max()) <= 1 + 1e-4
    aspect, area = width / height, width * height
    assert aspect.max() <= 4 / 3 + 1e-3
    assert aspect.min() >= 3 / 4 - 1e-3
    assert area.min() >= smallest - 1e-3
    # What is read lies inside the image: the crop's edges half a pixel out from its first and
    # last, up to the half pixel where the image itself ends.
    centre = y[:, size // 2, size // 2] - np.stack([height, width], 1) / 2
    half = np.stack([height, width], 1) * size / 2
    assert (centre - half).min() >= -0.5 - 1e-3
    assert (centre + half).max() <= size - 0.5 + 1e-3


def test_small_crops_take_all_sizes_and_places():
    y = run("random_resized_crop", 0, ramps(16), smallest=0.1)
    by_row, by_column = slopes(y)
    area = by_row[:, 0] * by_column[:, 1]
    # Uniform in [.1, 1], a little less where a side is cut to the image's.
    assert area.min() < 0.2
    assert area.max() > 0.8
    centre = y[:, 8, 8]
    assert (centre.min(0) < 6).all()
    assert (centre.max(0) > 10).all()


# Flips and colours.


def test_flip_mirrors_about_half_left_to_right_and_leaves_the_rest():
    x = images(400, 3, 4, 2)
    y = run("random_flip", 0, x)
    same, mirrored = ((y == z).all((1, 2, 3)) for z in (x, x[:, :, ::-1]))
    np.testing.assert_array_equal(same.astype(int) + mirrored, 1)
    assert abs(mirrored.mean() - 0.5) < 5 * 0.5 / np.sqrt(400)


def test_color_jitter_of_no_strength_is_the_identity():
    x = images(B, 4, 4, 3)
    np.testing.assert_array_equal(run("color_jitter", 0, x), x)


LUMA = np.array([0.299, 0.587, 0.114])


def test_brightness_multiplies_each_image_by_one_factor():
    x = 0.05 + 0.4 * images(B, 4, 4, 3)  # so that nothing is clipped
    factor = run("color_jitter", 0, x, brightness=0.5) / x
    np.testing.assert_allclose(factor, np.broadcast_to(factor[:, :1, :1, :1], x.shape), rtol=1e-5)
    factor = factor[:, 0, 0, 0]
    assert 0.5 <= factor.min() < 0.75
    assert 1.25 < factor.max() <= 1.5


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_contrast_stretches_each_image_about_its_mean_grey(channels):
    luma = LUMA if channels == 3 else np.full(channels, 1 / channels)
    x = 0.4 + 0.2 * images(B, 4, 4, channels)
    y = run("color_jitter", 0, x, contrast=0.5)
    mean = (x.astype(np.float64) @ luma).mean((1, 2))[:, None, None, None]
    factor = ((y - mean) * (x - mean)).sum((1, 2, 3)) / ((x - mean) ** 2).sum((1, 2, 3))
    np.testing.assert_allclose(y, mean + factor[:, None, None, None] * (x - mean), atol=1e-6)
    assert 0.5 - 1e-5 <= factor.min() < 0.75
    assert 1.25 < factor.max() <= 1.5 + 1e-5


def test_saturation_stretches_each_pixel_about_its_grey():
    x = 0.4 + 0.2 * images(B, 4, 4, 3)
    y = run("color_jitter", 0, x, saturation=0.5)
    grey = (x.astype(np.float64) @ LUMA)[..., None]
    factor = ((y - grey) * (x - grey)).sum((1, 2, 3)) / ((x - grey) ** 2).sum((1, 2, 3))
    np.testing.assert_allclose(y, grey + factor[:, None, None, None] * (x - grey), atol=1e-6)
    assert 0.5 - 1e-5 <= factor.min() < 0.75
    assert 1.25 < factor.max() <= 1.5 + 1e-5


def test_saturation_leaves_grey_images_alone():
    x = images(B, 4, 4, 1)
    np.testing.assert_array_equal(run("color_jitter", 0, x, saturation=0.9), x)


# Mixing. With one class an example, the labels say which examples went in, and how much of each.


def shares(labels):
    """λ of each example, from labels that began as the identity."""
    return labels[np.arange(B), np.arange(B)]


@pytest.mark.parametrize("alpha", [0.1, 1.0])
@pytest.mark.parametrize("name", ["mixup", "cutmix"])
def test_mixed_labels_are_distributions_over_two_examples(name, alpha):
    x = images(B, 6, 5, 3)
    mixed, labels = run(name, 0, x, np.eye(B, dtype=np.float32), alpha=alpha)
    np.testing.assert_allclose(labels.sum(1), 1, rtol=1e-6)
    assert labels.min() >= 0
    assert ((labels > 0).sum(1) <= 2).all()
    assert np.isfinite(mixed).all()


def test_mixup_blends_images_as_it_blends_labels():
    x = images(B, 6, 5, 3)
    mixed, labels = run("mixup", 0, x, np.eye(B, dtype=np.float32), alpha=1.0)
    expected = np.einsum("bk,khwc->bhwc", labels.astype(np.float64), x)
    np.testing.assert_allclose(mixed, expected, atol=1e-6)


def test_mixup_shares_follow_the_beta_distribution():
    x, labels = images(B, 6, 5, 3), np.eye(B, dtype=np.float32)
    for alpha in (0.2, 1.0, 4.0):
        many = np.stack([run("mixup", seed, x, labels, alpha=alpha)[1] for seed in range(40)])
        # An example that meets itself shows nothing of its λ; neither do λ of 0 and 1, to which
        # float32 rounds some at α = .2.
        drawn = np.concatenate([shares(one)[(one > 0).sum(1) == 2] for one in many])
        variance = 1 / (4 * (2 * alpha + 1))
        assert len(drawn) > 2000
        assert abs(drawn.mean() - 0.5) < 5 * np.sqrt(variance / len(drawn))
        # Relative error of the squares: below 1.5/√n, for no Beta(α, α) has a normal's tails;
        # .02 for the λ left out.
        off = ((drawn - 0.5) ** 2).mean() / variance - 1
        assert abs(off) < 5 * 1.5 / np.sqrt(len(drawn)) + 0.02


def test_cutmix_labels_are_the_share_of_pixels_that_each_example_has():
    # Image k is the number k: every pixel says where it came from.
    x = np.broadcast_to(np.arange(B, dtype=np.float32)[:, None, None, None], (B, 6, 5, 3))
    mixed, labels = run("cutmix", 0, x, np.eye(B, dtype=np.float32), alpha=1.0)
    counted = (mixed[..., 0].reshape(B, -1, 1) == np.arange(B)).mean(1)
    np.testing.assert_allclose(labels, counted, atol=1e-6)
    np.testing.assert_array_equal(mixed[..., :2], mixed[..., 1:])
    # Many kinds of boxes, not always all or nothing.
    assert len(set(np.round(shares(labels), 4))) > 10


def test_cutmix_pastes_one_box_in_place():
    x = images(B, 6, 5, 3)
    mixed, labels = run("cutmix", 0, x, np.eye(B, dtype=np.float32), alpha=1.0)
    for b in range(B):
        pasted = (mixed[b] != x[b]).any(-1)
        rows, columns = pasted.any(1), pasted.any(0)
        np.testing.assert_array_equal(pasted, rows[:, None] & columns)
        for side in (rows, columns):
            at = np.flatnonzero(side)
            assert at.size == 0 or at[-1] - at[0] + 1 == at.size
        if pasted.any():
            (source,) = set(np.flatnonzero(labels[b])) - {b}
            np.testing.assert_array_equal(mixed[b][pasted], x[source][pasted])


def test_mixing_pairs_distributions_too():
    soft = np.random.default_rng(0).dirichlet(np.full(B, 0.05), B).astype(np.float32)
    for name in ("mixup", "cutmix"):
        _, labels = run(name, 0, images(B, 6, 5, 3), soft, alpha=1.0)
        np.testing.assert_allclose(labels.sum(1), 1, rtol=1e-6)
        assert np.abs(labels - soft).max() > 0.1


# Composition by settings.


def created(num_classes=B, **changes):
    settings = jaxdl.config.default().augment
    for name, value in changes.items():
        settings[name] = value
    f = jax.jit(augment.create(settings, num_classes))

    def run(seed, x, labels):
        found = jax.tree.map(np.asarray, f(keys.root(seed), {"image": x, "label": labels}))
        return found["image"], found["label"]

    return run


LABELS = np.arange(B, dtype=np.int32)


def test_the_default_settings_change_nothing():
    x = images(B, 5, 5, 3)
    got, labels = created()(0, x, LABELS)
    np.testing.assert_array_equal(got, x)
    np.testing.assert_array_equal(labels, LABELS)
    assert labels.dtype == np.int32


def test_shift_alone_moves_by_whole_pixels():
    x = images(B, 5, 5, 3)
    got, labels = created(shift=1)(0, x, LABELS)
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    places = [padded[:, i : i + 5, j : j + 5] for i in range(3) for j in range(3)]
    assert np.any([(place == got).all((1, 2, 3)) for place in places], axis=0).all()
    assert (got != x).any()
    np.testing.assert_array_equal(labels, LABELS)


def test_flip_alone_mirrors():
    x = images(B, 5, 5, 3)
    got, _ = created(flip=True)(0, x, LABELS)
    same, mirrored = ((got == z).all((1, 2, 3)) for z in (x, x[:, :, ::-1]))
    assert (same ^ mirrored).all()
    assert same.any()
    assert mirrored.any()


@pytest.mark.parametrize(
    "change", [dict(rotate=20.0), dict(zoom=0.3), dict(shear=0.3), dict(crop=0.5)]
)
def test_each_geometric_setting_reaches_its_own_transformation(change):
    got, labels = created(**change)(0, ramps(9), LABELS)
    by_row, by_column = slopes(got)
    spread = {
        "turned": np.ptp(by_column[:, 0]),
        "sheared": np.ptp(by_row[:, 1]),
        "scaled": np.ptp(by_row[:, 0] / by_column[:, 1]) + np.ptp(by_column[:, 1]),
    }
    seen = {name for name, value in spread.items() if value > 0.1}
    expected = {
        "rotate": {"turned", "sheared"},
        "zoom": {"scaled"},
        "shear": {"sheared"},
        "crop": {"scaled"},
    }
    assert seen == expected[next(iter(change))]
    np.testing.assert_array_equal(labels, LABELS)


def test_with_an_affine_setting_shift_goes_by_fractions():
    got, _ = created(zoom=1e-6, shift=2)(0, ramps(9), LABELS)
    moved = got[:, 4, 4] - 4
    assert 1 < np.abs(moved).max() <= 2 + 1e-4
    assert np.abs(moved - np.round(moved)).max() > 0.2


@pytest.mark.parametrize("name", ["brightness", "contrast", "saturation"])
def test_each_colour_setting_reaches_its_own_change(name):
    x = 0.4 + 0.2 * images(B, 4, 4, 3)
    got, _ = created(**{name: 0.5})(0, x, LABELS)
    grey, was = got @ LUMA, x @ LUMA
    keeps_mean_grey = np.abs(grey.mean((1, 2)) - was.mean((1, 2))).max() < 1e-5
    keeps_each_grey = np.abs(grey - was).max() < 1e-5
    assert (got != x).any()
    assert (keeps_mean_grey, keeps_each_grey) == {
        "brightness": (False, False),
        "contrast": (True, False),
        "saturation": (True, True),
    }[name]


@pytest.mark.parametrize("name", ["mixup", "cutmix"])
def test_mixing_makes_labels_distributions(name):
    x = images(B, 6, 5, 3)
    got, labels = created(**{name: 1.0}, num_classes=B + 3)(0, x, LABELS)
    assert labels.shape == (B, B + 3)
    assert labels.dtype == np.float32
    np.testing.assert_allclose(labels.sum(1), 1, rtol=1e-6)
    assert kind_of_mix(got, x, labels) == name


def kind_of_mix(got, x, labels):
    blend = np.einsum("bk,khwc->bhwc", labels[:, :B].astype(np.float64), x)
    if np.abs(blend - got).max() < 1e-5:
        return "mixup"
    sources = [set(np.flatnonzero(row)) for row in labels]
    for b in range(B):
        if not np.any([got[b] == x[k] for k in sources[b]], axis=0).all():
            return "neither"
    return "cutmix"


def test_with_both_each_batch_gets_one_of_the_two():
    x = images(B, 6, 5, 3)
    f = created(mixup=1.0, cutmix=1.0)
    kinds = [
        kind_of_mix(got, x, labels) for got, labels in (f(seed, x, LABELS) for seed in range(20))
    ]
    assert set(kinds) == {"mixup", "cutmix"}  # all alike: one case in 2¹⁹


def test_all_of_it_together_stays_in_range_and_repeats_itself():
    x = images(B, 6, 5, 3)
    f = created(crop=0.5, flip=True, mixup=0.4, cutmix=1.0, **{**AFFINE, "shift": 1}, **JITTER)
    first, again, other = (f(seed, x, LABELS) for seed in (0, 0, 1))
    for a, b, c in zip(first, again, other, strict=True):
        np.testing.assert_array_equal(a, b)
        assert (a != c).any()
    assert first[0].shape == x.shape
    assert first[0].min() >= 0
    assert first[0].max() <= 1 + 1e-6
    np.testing.assert_allclose(first[1].sum(1), 1, rtol=1e-6)


def test_crop_and_brightness_are_drawn_apart():
    # One key for two draws would tie them: each stage has its own.
    f = created(crop=0.3, brightness=0.6)
    x = np.concatenate([ramps(16) / 16, np.full((B, 16, 16, 1), 0.2, np.float32)], axis=-1)
    got, _ = f(0, x, LABELS)
    factor = got[:, 8, 8, 2] / 0.2
    height = (got[:, 8, 8, 0] - got[:, 7, 8, 0]) / factor
    assert abs(np.corrcoef(factor, height)[0, 1]) < 0.5  # 4 standard errors of 64 pairs


# Masks and boxes. A bright rectangle is in the image, in the mask and in the box: whatever moves
# one of them must move all.

GEOMETRY = [
    ("random_shift", dict(pixels=4)),
    ("random_flip", {}),
    ("random_resized_crop", dict(smallest=0.4)),
    ("random_affine", dict(zoom=0.3, shift=3.0)),
    ("random_affine", dict(rotate=25.0, shear=0.2)),
]
H, W = 40, 48


def rectangles():
    """Images (B, H, W, 1), masks (B, H, W) and boxes (B, 1, 4) of one rectangle each."""
    draws = np.random.default_rng(0)
    x0, y0 = draws.integers(12, 20, (2, B))
    x1, y1 = x0 + draws.integers(8, 14, B), y0 + draws.integers(6, 10, B)
    y, x = np.mgrid[:H, :W][:, None]
    at = lambda v: v[:, None, None]
    mask = ((x >= at(x0)) & (x < at(x1)) & (y >= at(y0)) & (y < at(y1))).astype(np.int32)
    boxes = np.stack([x0, y0, x1, y1], -1).astype(np.float32)[:, None]
    return {"image": mask[..., None].astype(np.float32), "mask": mask, "boxes": boxes}


@pytest.mark.parametrize("name, fields", GEOMETRY)
def test_masks_and_boxes_go_where_the_image_goes(name, fields):
    batch = rectangles()
    got = moved(name, 0, batch, **fields)
    assert {k: (x.shape, x.dtype) for k, x in got.items()} == {
        k: (x.shape, x.dtype) for k, x in batch.items()
    }
    assert (got["mask"] != batch["mask"]).any()
    # The nearest pixel of a mask is 1 where the bilinear image is above a half, but at edges.
    bright = got["image"][..., 0] > 0.5
    assert (bright != got["mask"].astype(bool)).mean() < 0.01
    for mask, (x0, y0, x1, y1) in zip(got["mask"], got["boxes"][:, 0], strict=True):
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        ends = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
        # Of whole pixels one is lost at most, and of a turned one's sharp corner some more.
        slack = 2.5 if "rotate" in fields else 1.0
        np.testing.assert_allclose([x0, y0, x1, y1], ends, atol=slack)


def test_a_transform_says_what_it_moves_and_moves_nothing_else():
    batch = {**rectangles(), "label": np.eye(B, dtype=np.float32), "name": np.arange(B)}
    for name, fields in (*GEOMETRY, ("color_jitter", JITTER)):
        got, says = moved(name, 1, batch, **fields), getattr(augment, name).moves
        assert set(says) <= {*augment.SPATIAL, "label"}
        assert {k for k in batch if not np.array_equal(got[k], batch[k])} == set(says) & set(batch)
    mixed = {"image": batch["image"], "label": batch["label"], "name": batch["name"]}
    for name in ("mixup", "cutmix"):
        got, says = moved(name, 1, mixed, alpha=1.0), getattr(augment, name).moves
        assert {k for k in mixed if not np.array_equal(got[k], mixed[k])} == set(says)
        for array in ("mask", "boxes"):
            with pytest.raises(UserError, match=f"{name} is not for examples with '{array}'"):
                getattr(augment, name)(keys.root(0), {**mixed, array: batch[array]}, alpha=1.0)


def test_boxes_are_cut_off_at_the_edges_and_masks_may_have_channels():
    batch = rectangles()
    batch["boxes"] = np.array([[0, 0, 3, 3], [45, 37, 48, 40], [0, 0, W, H]], np.float32)
    batch["boxes"] = np.broadcast_to(batch["boxes"], (B, 3, 4))
    batch["visible"] = np.ones((B, 3), np.float32)
    batch["mask"] = np.stack([batch["mask"], 2 * batch["mask"]], axis=-1).astype(np.uint8)
    for name, fields in GEOMETRY:
        got = moved(name, 2, batch, **fields)
        boxes = got["boxes"]
        if name in ("random_shift", "random_flip"):  # sizes stay
            area = lambda x: (x[..., 2:] - x[..., :2]).prod(-1)
            np.testing.assert_allclose(got["visible"], area(boxes) / area(batch["boxes"]))
        assert (got["visible"] <= 1).all()
        assert boxes.min() >= 0
        assert (boxes <= [W, H, W, H]).all()
        assert (boxes[..., 2:] >= boxes[..., :2]).all()
        np.testing.assert_array_equal(got["mask"][..., 1], 2 * got["mask"][..., 0])
