"""PSNR and SSIM are scikit-image's, and have derivatives; colours and enlargement are Pillow's."""

import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from jaxdl import metrics
from jaxdl.metrics import image_quality
from jaxdl.ops import bicubic, colours, pixel_shuffle

GOLDEN = Path(__file__).parent / "golden"
sys.path.insert(0, str(GOLDEN))

import seeded  # noqa: E402

CASES = {
    "grey": ((16, 23, 1), 0.1, 1.0),
    "colour": ((24, 17, 3), 0.03, 1.0),
    "bytes": ((20, 20, 3), 0.2, 255.0),
    "smallest": ((11, 11, 1), 0.05, 1.0),
    "flat": ((14, 14, 1), 0.001, 1.0),
}
FIGURES = {"psnr": image_quality.psnr, "ssim": image_quality.ssim}


@pytest.fixture(scope="module")
def wanted():
    with np.load(GOLDEN / "image_quality.npz") as file:
        return dict(file)


@pytest.mark.parametrize("name", CASES)
def test_figures_are_those_of_scikit_image(name, wanted):
    peak = CASES[name][2]
    x, y = (jnp.asarray(a[None], jnp.float32) for a in seeded.pictures(name, *CASES[name]))
    for figure, of in FIGURES.items():
        found = jax.jit(of)(x, y, peak=peak)
        assert found.shape == (1,)
        # Of what is nearly flat, float32 loses the variance's last digits.
        np.testing.assert_allclose(found[0], wanted[f"{name}/{figure}"], rtol=2e-5)


def test_each_picture_has_its_own_and_they_add_up(wanted):
    x, y = (np.float32(a)[None] for a in seeded.pictures("grey", *CASES["grey"]))
    all_ = np.concatenate([x, y, 1 - y]), np.concatenate([y, y, y])
    for figure, best in (("psnr", np.inf), ("ssim", 1.0)):
        found = jax.jit(FIGURES[figure])(*all_)
        assert found[0] == pytest.approx(float(wanted[f"grey/{figure}"]), rel=2e-5)
        assert found[1] == pytest.approx(best)
        weights = jnp.array([1.0, 0.0, 0.0])  # of padding
        mean = metrics.divide({figure: metrics.Mean.of(found, weights)})[figure]
        assert mean == pytest.approx(float(found[0]), rel=1e-6)
        assert metrics.direction(figure, image_quality.DIRECTIONS) == metrics.HIGH
    assert found[2] < 0  # SSIM of the negative
    with pytest.raises(ValueError, match="smaller than a window of 11"):
        image_quality.ssim(x[:, :10], y[:, :10])


@pytest.mark.parametrize("figure", FIGURES)
def test_derivatives_are_those_of_differences(figure):
    with jax.enable_x64(True):
        x, y = (jnp.asarray(a[None, :12, :12]) for a in seeded.pictures("grey", *CASES["grey"]))
        along = jnp.asarray(seeded.normal("along", x.shape))
        of = jax.jit(lambda t: FIGURES[figure](x + t * along, y)[0])
        slope, h = jax.jit(jax.grad(of)), 1e-5
        step = lambda f: (f(h) - f(-h)) / (2 * h)
        assert float(slope(0.0)) == pytest.approx(float(step(of)), rel=1e-6)
        second = jax.jit(lambda t: jax.jvp(jax.grad(of), (t,), (1.0,))[1])
        assert float(second(0.0)) == pytest.approx(float(step(slope)), rel=1e-5)


def test_luminance_is_that_of_bt_601():
    """As MATLAB's rgb2ycbcr has it, whose table is rounded to thousandths of a byte."""
    picture = np.random.default_rng(0).random((2, 3, 4, 3))
    wanted = (picture @ np.array([65.481, 128.553, 24.966]) + 16) / 255
    np.testing.assert_allclose(colours.luminance(picture)[..., 0], wanted, atol=1e-5)
    rows = np.array([[-37.797, -74.203, 112.0], [112.0, -93.786, -18.214]])
    found = colours.to_ycbcr(picture)
    np.testing.assert_allclose(found[..., 1:], (picture @ rows.T + 128) / 255, atol=1e-5)
    np.testing.assert_allclose(colours.from_ycbcr(found), picture, atol=1e-6)
    grey = jnp.asarray(picture[..., :1])
    assert colours.luminance(grey) is grey
    assert image_quality.shaved(picture, 1).shape == (2, 1, 2, 3)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_enlargement_is_pillows_and_jaxs(scale):
    picture = np.random.default_rng(1).random((6, 5), np.float32)
    size = (5 * scale, 6 * scale)
    enlarge = jax.jit(lambda x: bicubic.enlarge(x[None, ..., None], scale)[0, ..., 0])
    found = enlarge(picture)
    theirs = Image.fromarray(picture).resize(size, Image.Resampling.BICUBIC)
    np.testing.assert_allclose(found, np.asarray(theirs), atol=2e-6)
    jaxs = jax.image.resize(picture, size[::-1], "cubic", antialias=True)
    np.testing.assert_allclose(found, jaxs, atol=2e-6)
    # Of bytes Pillow makes whole numbers, twice; and cuts, of which there is nothing to do here.
    levels = np.rint(64 + 127 * picture).astype(np.uint8)
    theirs = Image.fromarray(levels).resize(size, Image.Resampling.BICUBIC)
    ours = enlarge(np.float32(levels))
    assert np.abs(np.asarray(theirs, np.float32) - np.rint(ours)).max() == 1


def test_a_part_of_an_enlargement_has_the_bits_of_the_whole():
    picture = np.random.default_rng(2).random((1, 9, 12, 2), np.float32)
    by_3 = jax.jit(lambda x: bicubic.enlarge(x, 3))
    whole, part = by_3(picture), by_3(picture[:, 1:, 3:])
    np.testing.assert_array_equal(whole[:, 9:, 15:], part[:, 6:, 6:])


def test_channels_become_pixels_row_by_row():
    x = np.arange(2 * 2 * 3 * 8).reshape(2, 2, 3, 8)
    found = pixel_shuffle(x, 2)
    assert found.shape == (2, 4, 6, 2)
    for y, at, c, i, j in np.ndindex(2, 3, 2, 2, 2):
        assert (found[:, 2 * y + i, 2 * at + j, c] == x[:, y, at, 4 * c + 2 * i + j]).all()
