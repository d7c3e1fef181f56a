"""Judges see what they should, and tasks that generate have figures by their features."""

import re
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny
from launching import ROOT, built, run
from PIL import Image

from jaxdl import config, data, parallel
from jaxdl.data import Arrays, Data
from jaxdl.errors import UserError
from jaxdl.metrics import HIGH, LOW, sample_quality
from jaxdl.pretrained import judges
from jaxdl.tasks import Run
from jaxdl.tasks.shared import judging


@pytest.fixture(scope="module")
def parts():
    """{"train", "test": images and labels of digits}."""
    found = data.load(config.default().data)
    return {name: getattr(found, name).arrays for name in ("train", "test")}


def judged(channels=1, inception="", name="digits", shape=(8, 8), most=1000, classes=()):
    images = np.zeros((3, *shape, channels), np.float32)
    own = SimpleNamespace(data=SimpleNamespace(name=name))
    data = Data(Arrays({"image": images}), class_names=classes)
    return judging.Judging(Run(own, data, 1, 1.0), inception, most, bool(classes))


@pytest.mark.parametrize("shape", [(5, 9), (40, 3), (12, 12), (1, 24)])
def test_images_are_resized_between_two_pixels_and_not_antialiased(shape):
    images = np.random.default_rng(0).uniform(size=(2, *shape, 3)).astype(np.float32)
    # A line between pixels' middles, in float64; beyond the outer ones it goes on level.
    places = lambda n: (np.arange(12) + 0.5) * n / 12 - 0.5
    along = lambda row: np.interp(places(len(row)), np.arange(len(row)), row)
    wanted = np.apply_along_axis(along, 2, np.apply_along_axis(along, 1, images))
    found = judges.bilinear(images, 12)
    assert isinstance(found, np.ndarray)
    np.testing.assert_allclose(found, wanted, atol=1e-6)
    np.testing.assert_allclose(judges.bilinear(jnp.asarray(images), 12), found, atol=1e-6)


def test_the_digits_judge_names_digits_and_sees_them_at_any_multiple_of_their_size(parts):
    judge, test = judges.digits(), parts["test"]
    look = jax.jit(judge.of)
    seen = look(judge.variables, test["image"])
    assert (np.argmax(seen.logits, axis=1) == test["label"]).mean() > 0.97
    assert seen.features.shape == (len(test["label"]), 32)
    large = test["image"].repeat(3, axis=1).repeat(3, axis=2)
    np.testing.assert_allclose(look(judge.variables, large).features, seen.features, atol=1e-4)
    whole = np.round(255 * test["image"]).astype(np.uint8)
    np.testing.assert_allclose(look(judge.variables, whole).features, seen.features, atol=0.2)
    assert not judges.sees_digits((8, 8, 3))
    with pytest.raises(UserError, match="side is a multiple of 8"):
        judge.of(judge.variables, jnp.zeros((1, 12, 12, 1)))


def test_a_folders_pictures_are_seen_as_they_are(tmp_path, parts):
    judge = judges.digits()
    images = np.round(255 * parts["test"]["image"][:5]).astype(np.uint8)
    for i, image in enumerate(images):
        (tmp_path / f"{i % 2}").mkdir(exist_ok=True)
        Image.fromarray(image[..., 0]).save(tmp_path / f"{i % 2}" / f"{i}.png")
    (tmp_path / "notes.txt").write_text("no picture")
    seen = judge.of_folder(tmp_path, at_once=3)
    wanted = judge.of(judge.variables, images[[0, 2, 4, 1, 3]])
    np.testing.assert_allclose(seen.features, wanted.features, atol=1e-4)
    np.testing.assert_allclose(seen.logits, wanted.logits, atol=1e-4)
    (tmp_path / "none").mkdir()
    with pytest.raises(UserError, match="holds no pictures"):
        judge.of_folder(tmp_path / "none")
    (tmp_path / "0" / "5.png").write_bytes(b"no picture")
    with pytest.raises(UserError, match=r"5\.png"):
        judge.of_folder(tmp_path)


def test_figures_tell_digits_from_noise_and_name_the_judge(parts):
    made = judged()
    names = {f"{x}/digits" for x in ("fid", "kid", "precision", "recall", "inception_score")}
    assert made.directions == {
        f"{figure}/digits": which for figure, which in sample_quality.BY_FEATURES.items()
    }
    test, images = Arrays(parts["test"]), parts["train"]["image"][:400]
    real = made.figures(images, test, None)
    rng = np.random.default_rng(0)
    noisy = made.figures(np.clip(images + rng.normal(size=images.shape), 0, 1), test, None)
    one = made.figures(images[parts["train"]["label"][:400] == 3].repeat(12, 0), test, None)
    assert real.keys() == noisy.keys() == names
    assert min(noisy["fid/digits"], one["fid/digits"]) > 5 * real["fid/digits"] > 0
    assert noisy["kid/digits"] > 10 * abs(real["kid/digits"])
    assert real["precision/digits"] > 0.8 > noisy["precision/digits"]
    assert real["recall/digits"] > 0.8 > one["recall/digits"]
    assert real["inception_score/digits"] > 5 > 2 * noisy["inception_score/digits"]
    assert 1 < one["inception_score/digits"] < 1.5
    # As many count as there are real ones.
    assert real == made.figures(np.concatenate([images[:360], 0 * images]), test, None)
    assert np.isnan(list(made.figures(images * np.nan, test, None).values())).all()
    few = Arrays({"image": parts["test"]["image"][:4]})
    assert np.isnan(list(made.figures(images, few, None).values())).all()


def test_what_was_asked_for_is_told_by_the_classes_names(parts):
    test, part = Arrays(parts["test"]), parts["train"]
    images, labels = part["image"][:400], part["label"][:400]
    told = lambda made, labels: made.figures(images, test, None, labels)["named_right/digits"]
    made = judged(classes=tuple("0123456789"))
    assert made.directions["named_right/digits"] == HIGH
    assert told(made, labels) > 0.95  # the first 360 of them
    assert told(made, (labels + 1) % 10) < 0.05
    # Classes of a run may stand in another order, and need not be all.
    assert told(judged(classes=tuple("9876543210")), 9 - labels) == told(made, labels)
    assert "named_right/digits" not in judged(classes=("3", "3 turned")).directions


def test_figures_are_the_same_on_any_devices_and_say_how_far_they_are(parts, capsys, monkeypatch):
    monkeypatch.setattr(judging, "SECONDS_A_LINE", 0.0)
    test, images = Arrays(parts["test"]), parts["train"]["image"][:120]
    layout = parallel.create(dict(strategy="jit", data=8, fsdp=1, tensor=1, fsdp_min_size=1), 8)
    state = jax.device_put(np.zeros(3), layout.replicated)
    found = [judged(most=120).figures(images, test, where) for where in (None, state)]
    assert found[0] == pytest.approx(found[1], rel=1e-4, abs=1e-5)
    said = capsys.readouterr().out.splitlines()
    assert said[:3] == [f"digits has seen {n} of 120 real images" for n in (50, 100, 120)]
    assert said[5] == "digits has seen 120 of 120 generated images"
    assert "digits has seen 56 of 120 real images" in said  # a multiple of eight devices


def test_other_images_have_no_figures_of_digits():
    assert not judged(name="folder").directions
    assert not judged(shape=(12, 12)).directions
    assert not judged(channels=3).directions
    assert "fid/inception" in judged(channels=3, name="folder", inception="there").directions
    with pytest.raises(UserError, match="images of 1 or 3 channels, not 2"):
        judged(channels=2, inception="there")


@pytest.mark.parametrize("experiment", ["wgan", "ddpm"])
def test_tasks_that_generate_look_for_the_weights(experiment):
    flags = ("--config.task.inception=none.pth", "--config.eval.best=fid/inception")
    task = built(experiment, *flags).task
    assert task.directions["fid/digits"] == task.directions["fid/inception"] == LOW
    with pytest.raises(UserError, match=r"none\.pth is no folder and no file"):
        task.check()


def test_weights_that_are_not_there_are_told_before_anything_is_learned(tmp_path, capsys):
    flags = (*tiny.FLAGS["dcgan"], "--config.task.inception=none.pth")
    assert run("dcgan", tmp_path / "run", *flags) == 2
    said = capsys.readouterr().err.strip()
    assert said.startswith("error: ")
    assert "none.pth is no folder and no file" in said
    assert "\n" not in said
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_the_page_measures_two_folders(tmp_path, monkeypatch, capsys, parts):
    page = (ROOT / "docs" / "using.md").read_text()
    (code,) = (x for x in re.findall(r"```python\n(.*?)```", page, re.S) if "of_folder" in x)
    folders = {"real": parts["test"]["image"][:40], "made": parts["train"]["image"][:50]}
    for name, images in folders.items():
        (tmp_path / name).mkdir()
        for i, image in enumerate(images):
            Image.fromarray(np.round(255 * image[..., 0]).astype(np.uint8)).save(
                tmp_path / name / f"{i:02}.png"
            )
    # The weights are nobody's here; what else the page says is as it stands.
    monkeypatch.setattr(judges, "inception", lambda path: judges.digits())
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "using.md", "exec"), {})
    judge = judges.digits()
    real, made = (judge.of(judge.variables, x).features for x in folders.values())
    wanted = sample_quality.frechet_distance(np.asarray(real), np.asarray(made))
    assert float(capsys.readouterr().out) == pytest.approx(wanted, rel=0.02)
