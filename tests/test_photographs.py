"""Pictures that are to become larger: scikit-learn's photographs, and folders of one's own."""

import numpy as np
import pytest
from launching import run
from PIL import Image
from sklearn.datasets import load_sample_image

from jaxdl import config, data
from jaxdl.data import smaller
from jaxdl.errors import UserError


def load(name="photographs", **settings):
    return data.load({**config.default().data, "name": name, **settings})


@pytest.mark.parametrize("scale, size", [(2, (426, 640)), (3, (426, 639)), (4, (424, 640))])
def test_photographs_are_made_smaller_by_pillow(scale, size):
    found = load(scale=scale, patch=32)
    (pair,) = found.test.pictures
    flower = load_sample_image("flower.jpg")
    np.testing.assert_array_equal(pair.large, flower[: size[0], : size[1]])
    small = Image.fromarray(pair.large).resize(
        (size[1] // scale, size[0] // scale), Image.Resampling.BICUBIC
    )
    np.testing.assert_array_equal(pair.small, small)
    # Squares cover the picture, each of its own place.
    batch = found.test.take(np.arange(len(found.test)))
    assert batch["image"].shape[1:] == (32, 32, 3)
    assert batch["target"].shape[1:] == (32 * scale, 32 * scale, 3)
    np.testing.assert_array_equal(batch["image"][0], pair.small[:32, :32])
    np.testing.assert_array_equal(batch["target"][-1], pair.large[-32 * scale :, -32 * scale :])


def test_one_photograph_is_learned_from_and_the_other_measured_or_its_own_right_part():
    china = load_sample_image("china.jpg")
    found = load(patch=16)
    np.testing.assert_array_equal(found.train.pictures[0].large, china[:426])
    assert len(found.train) == (213 - 15) * (320 - 15)
    assert found.mean.shape == (3,)
    assert found.validation is None
    chosen = load(patch=16, eval_on="validation")
    np.testing.assert_array_equal(chosen.train.pictures[0].large, china[:426, :512])
    np.testing.assert_array_equal(chosen.test.pictures[0].large, china[:426, 512:])
    turned = load(patch=16, test="china", stride=0, channels=1)
    assert turned.test.pictures[0].large.shape == (426, 640, 1)
    assert len(turned.train) == 14 * 20


def test_bicubic_enlargement_is_pillows():
    pair = load(patch=16).test.pictures[0]
    made = smaller.enlarged(pair.small, 2)
    theirs = Image.fromarray(pair.small).resize((640, 426), Image.Resampling.BICUBIC)
    np.testing.assert_array_equal(made, theirs)
    assert smaller.enlarged(pair.small[..., :1], 3).shape == (639, 960, 1)


def draw(folder, name, width, height, mode="RGB"):
    folder.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(width).integers(0, 256, (height, width, 3), np.uint8)
    Image.fromarray(pixels).convert(mode).save(folder / name)


def test_a_folder_of_pictures_of_any_sizes(tmp_path, monkeypatch):
    draw(tmp_path / "train", "a.png", 41, 33)
    draw(tmp_path / "train" / "deep", "b.jpg", 32, 50, "L")
    draw(tmp_path / "valid", "c.bmp", 37, 32)
    draw(tmp_path / "test", "d.png", 34, 32)
    of = lambda **how: load("picture_folder", path=str(tmp_path), patch=16, **how)
    found = of()
    sizes = [pair.large.shape[:2] for pair in found.train.pictures]
    assert sizes == [(32, 40), (50, 32)]
    assert [len(part) for part in (found.train, found.validation, found.test)] == [4, 2, 2]
    assert len(of(stride=1).train) == 5 + 10
    # The same from the files, which are read when they are asked for.
    monkeypatch.setattr("jaxdl.data.picture_folder.IN_MEMORY", 0)
    lazy = of()
    assert isinstance(lazy.train.pictures, smaller.Files)
    batches = [part.train.take(np.array([3, 0])) for part in (found, lazy)]
    for name, array in batches[0].items():
        np.testing.assert_array_equal(array, batches[1][name])
    assert lazy.train.fingerprint() == of().train.fingerprint()
    draw(tmp_path / "train", "a.png", 40, 33)  # other pixels
    assert lazy.train.fingerprint() != of().train.fingerprint()


def test_whole_pictures_are_divided(tmp_path):
    for i in range(5):
        draw(tmp_path, f"{i}.png", 36 + i, 32)
    found = load("picture_folder", path=str(tmp_path), patch=8)
    assert (len(found.train.pictures), len(found.test.pictures)) == (4, 1)
    widths = {p.large.shape[1] for part in (found.train, found.test) for p in part.pictures}
    assert widths == {36, 38, 40}


WRONG = {
    "test=dog": "unknown photograph in data.test 'dog'",
    "scale=5": "data.scale=5 must be 2, 3 or 4",
    "channels=2": "must be 1 (grey) or 3 (colour)",
    "patch=300": "data.patch to 213 or less",
    "patch=0": "data.patch=0 must be at least 1",
    "stride=-1": "data.stride=-1 must be at least 1",
    "validation_fraction=1.": "must be between 0 and 1",
    "path=x": "data set 'photographs' takes none",
    "patch=7": "leave no window of SSIM",
}


@pytest.mark.parametrize("setting", WRONG)
def test_what_cannot_be_is_one_line(setting, tmp_path, capsys):
    assert run("espcn", tmp_path / "run", f"--config.data.{setting}") == 2
    message = capsys.readouterr().err
    assert WRONG[setting] in message
    assert message.count("\n") == 1


def test_folders_that_are_of_no_use_are_one_line(tmp_path):
    of = lambda folder, **how: load("picture_folder", path=str(folder), **how)
    with pytest.raises(UserError, match="is no folder"):
        of(tmp_path / "gone")
    with pytest.raises(UserError, match="holds no pictures"):
        of(tmp_path)
    draw(tmp_path, "a.png", 64, 64)
    with pytest.raises(UserError, match="cannot be split"):
        of(tmp_path)
    draw(tmp_path, "b.png", 64, 40)
    with pytest.raises(UserError, match=r"32 x 20 pixels when it is made smaller.* to 20 or less"):
        of(tmp_path)
    (tmp_path / "b.png").write_bytes((tmp_path / "a.png").read_bytes()[:200])
    with pytest.raises(UserError, match="broken image") as error:
        of(tmp_path)
    assert "\n" not in str(error.value)
