"""Super-resolution as it is learned, judged and used: losses, tiles without seams, whole runs."""

import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny
from etils import epath
from launching import assert_resumes_to_the_bit, built, learned, made, summary
from PIL import Image

from jaxdl import keys, launch, losses, metrics, pretrained
from jaxdl.data import Arrays, smaller
from jaxdl.errors import UserError
from jaxdl.inference import export, predict, transformed
from jaxdl.metrics import image_quality
from jaxdl.ops import bicubic, colours
from jaxdl.tasks import image_to_image, learner
from jaxdl.tasks.shared import tiling

RNG = np.random.default_rng(0)


@functools.cache
def small(name="edsr", *flags):
    """(experiment, state) of a network that has learned nothing."""
    one = built(name, *flags)
    return one, one.init_state()


def picture(height, width, channels=3):
    return RNG.integers(0, 256, (height, width, channels), np.uint8)


# What is learned


class Nearest:
    """In place of a network: every pixel four times."""

    reach, channels = 0, 3

    def apply(self, variables, x, train=False):
        """(batch, h, w, c) -> (batch, 2 h, 2 w, c)."""
        return jnp.repeat(jnp.repeat(x, 2, 1), 2, 2)


def examples(size, side=16):
    small_ = RNG.integers(0, 256, (size, side, side, 3), np.uint8)
    noise = RNG.integers(-9, 9, (size, 2 * side, 2 * side, 3))
    large = np.clip(small_.repeat(2, 1).repeat(2, 2) + noise, 0, 255)
    return {"image": small_, "target": large.astype(np.uint8)}


def test_the_loss_is_of_pictures_that_are_turned_together():
    batch, key = examples(5), keys.root(3)
    forward = lambda params, model_state, key, x: (params + Nearest().apply({}, x), {})
    for luminance, turns in ((False, True), (True, False)):
        net = image_to_image.Enlarger(Nearest(), 2, luminance)
        seen, wanted = (net.seen(batch[name]) for name in ("image", "target"))
        assert seen.shape == (5, 16, 16, 1 if luminance else 3)
        made_ = 0.125 + np.asarray(seen).repeat(2, 1).repeat(2, 2)
        found = image_to_image.training_loss(
            forward, net, losses.mae, turns, 0.0, 0.125, {}, batch, key
        ).loss
        # Turned together pixels are as far apart.
        expected = np.abs(made_ - wanted).mean()
        assert float(found.total / found.weight) == pytest.approx(expected, rel=1e-5)


def test_each_of_eight_turns_is_as_likely_and_the_same_of_both():
    x = np.arange(9, dtype=np.float32).reshape(1, 3, 3, 1).repeat(400, 0)
    a, b = image_to_image.turned(keys.root(0), x, x.repeat(2, 1).repeat(2, 2))
    np.testing.assert_array_equal(np.asarray(a).repeat(2, 1).repeat(2, 2), b)
    ways = {tuple(each.ravel()) for each in np.asarray(a)}
    turned = [np.rot90(x[0, ..., 0], i) for i in range(4)]
    assert ways == {tuple(t.ravel()) for turn in turned for t in (turn, turn.T)}
    counts = np.unique(np.asarray(a).reshape(400, -1), axis=0, return_counts=True)[1]
    assert counts.min() > 25


def test_tones_are_one_line_for_all_pictures_of_an_example():
    a, b = (np.float32(x) for x in (RNG.random((50, 4, 4, 1)), RNG.random((50, 8, 8, 1))))
    found = image_to_image.toned(keys.root(0), 0.4, a, b)
    lines = [np.polyfit(x.ravel(), np.ravel(y), 1) for x, y in zip(a, found[0], strict=True)]
    factors, shifts = np.array([(line[0], line @ [0.5, 1]) for line in lines]).T
    wanted = factors[:, None, None, None] * (b - 0.5) + shifts[:, None, None, None]
    np.testing.assert_allclose(found[1], wanted, atol=1e-4)
    assert 0.3 < np.abs(np.log(factors)).max() <= 0.4
    assert 0.15 < np.abs(shifts - 0.5).max() <= 0.2


def test_figures_are_of_the_bytes_of_luminance_without_the_edges():
    batch = examples(4)
    batch["target"][0] = batch["image"][0].repeat(2, 0).repeat(2, 1)
    state = learner.Learner({}, {}, ())
    net = image_to_image.Enlarger(Nearest(), 2, False)
    step = jax.jit(functools.partial(image_to_image.evaluate, net, losses.mse))
    padded = {**batch, "is_real": np.array([1, 1, 1, 0], np.float32)}
    found = metrics.divide(step(state, padded, None))
    bright = lambda x: np.float32(colours.luminance(np.float32(x) / 255))[:, 2:-2, 2:-2]
    a, b = bright(batch["image"].repeat(2, 1).repeat(2, 2)), bright(batch["target"])
    decibels = -10 * np.log10(np.square(a[1:3] - b[1:3]).mean((1, 2, 3)))
    # Where nothing differs there is a number, too.
    assert found["tile_psnr"] == pytest.approx((100 + decibels.sum()) / 3, rel=1e-5)
    ssim = jax.jit(image_quality.ssim)(a, b)
    assert found["tile_ssim"] == pytest.approx(float(ssim[:3].mean()), rel=1e-4)
    errors = np.square((padded["image"].repeat(2, 1).repeat(2, 2) - 1.0 * padded["target"]) / 255)
    assert found["loss"] == pytest.approx(errors[:3].mean(), rel=1e-4)


def test_scores_are_of_whole_pictures_beside_bicubic_ones():
    one, state = small("espcn")
    pair = smaller.pair(picture(40, 50), 2)
    split = smaller.Patches([pair], ["x"], [pair.small.shape[:2]], 8, 8)
    found = one.task.score(state, split, one.key)
    theirs = smaller.enlarged(pair.small, 2)
    bright = lambda x: np.asarray(colours.luminance(np.float32(x) / 255))[None, 2:-2, 2:-2]
    wanted = image_quality.psnr(bright(theirs), bright(pair.large))
    assert found["bicubic_psnr"] == pytest.approx(float(wanted[0]), rel=1e-5)
    assert found["gain"] == pytest.approx(found["psnr"] - found["bicubic_psnr"])
    assert set(found) <= set(one.task.directions)
    # Of other data each example is a picture.
    arrays = Arrays({"image": pair.small[None], "target": pair.large[None]})
    assert one.task.score(state, arrays, one.key) == found


def test_colours_are_enlarged_bicubically_and_brightness_by_the_network():
    net = image_to_image.Enlarger(None, 2, True)
    image = np.float32(picture(6, 7)[None]) / 255
    bright = jnp.full((1, 12, 14, 1), 0.5)
    found = jax.jit(net.whole)(bright, 0.4 + 0.1 * image)  # nothing of which is cut off
    ycbcr = jax.jit(colours.to_ycbcr)
    chroma = bicubic.enlarge(ycbcr(0.4 + 0.1 * image), 2)[..., 1:]
    wanted = jnp.concatenate([bright, chroma], axis=-1)
    np.testing.assert_allclose(ycbcr(found), wanted, atol=1e-5)


# Tiles


@pytest.mark.parametrize("size", [1, 8, 40, 41, 59, 200])
@pytest.mark.parametrize("side, margin", [(8, 4), (7, 3), (16, 36)])
def test_parts_keep_every_row_once_and_reach_as_far_as_needed(size, side, margin):
    spans = tiling.spans(size, side, margin)
    kept = [row for span in spans for row in range(span.first, span.last)]
    assert kept == list(range(size))
    for span in spans:
        assert 0 <= span.start <= span.first < span.last <= span.stop <= size
        assert span.start == 0 or span.first - span.start >= margin
        assert span.stop == size or span.stop - span.last >= margin
        assert span.start % 4 == 0


@pytest.mark.parametrize(
    "name, height, width, side",
    [("espcn", 20, 37, 12), ("espcn", 37, 50, 4), ("edsr", 37, 50, 12), ("edsr wide", 50, 41, 4)],
)
def test_tiles_have_the_bits_of_the_whole_picture(name, height, width, side):
    name, _, wide = name.partition(" ")
    one, state = small(name, *("--config.model.width=64", "--config.model.depth=1") * bool(wide))
    net = one.task.predict.args[0]
    image = picture(height, width)
    # Before bytes are made of it.
    seen = lambda state, batch, key: net.whole(
        net.module.apply(state.variables, net.seen(batch["image"])), batch["image"]
    )
    seen = jax.jit(seen)
    exact = seen(state, {"image": image[None]}, None)[0]
    found = tiling.by_tiles(seen, state, image, 2, side, net.module.reach)
    if not wide:
        np.testing.assert_array_equal(found, exact)
        return
    # From 16 channels on Winograd's products are rounded as there are more or fewer of them; a tile
    # without what is around it would be off by hundredths.
    np.testing.assert_allclose(found, exact, atol=5e-6)


# Use


def write(folder, name, mode, size=(9, 7)):
    """A picture in a file."""
    folder.mkdir(exist_ok=True)
    Image.fromarray(picture(size[1], size[0])).convert(mode).save(folder / name)
    return folder / name


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "LA", "P", "1", "CMYK"])
def test_pictures_of_any_kind_are_made_larger(mode, tmp_path):
    one, state = small("espcn")
    name = "x.tif" if mode == "CMYK" else "x.png"
    found = transformed.read(epath.Path(write(tmp_path, name, mode)), 3)
    made_ = transformed._transformed(one, state, "x", found)
    bands = {"RGBA": "RGBA", "LA": "LA", "L": "L", "1": "L"}.get(mode, "RGB")
    assert (made_.made.mode, made_.made.size) == (bands, (18, 14))
    assert made_.said.text == "9 x 7 → 18 x 14"
    if "A" in mode:
        with Image.open(tmp_path / name) as image:
            alpha = image.getchannel("A").resize((18, 14), Image.Resampling.BICUBIC)
        np.testing.assert_array_equal(made_.made.getchannel("A"), alpha)


def test_the_program_takes_any_size(tmp_path):
    for name in ("edsr", "espcn"):
        one, state = small(name)
        shape = one.run.data.train.take(np.arange(1))["image"].shape[1:]
        how = (one.task.predict, state, one.task.describe, {}, predict.Preprocess(size=shape[0]))
        predictor = predict.Predictor(*how, 3, one.layout, any_size=True)
        files = export.write(predictor, epath.Path(tmp_path / name))
        program = jax.export.deserialize(bytearray(files[0].read_bytes()))
        image = picture(19, 14)
        found = program.call(image[None])["image"][0]
        wanted = jax.jit(one.task.predict)(state, image[None])["image"][0]
        np.testing.assert_allclose(found, np.float32(wanted), atol=1)  # of 255
        about = json.loads(files[1].read_text())
        assert about["input"]["shape"] == ["batch", "height", "width", 3]
        assert about["output"]["image"] == ["batch", "2*height", "2*width", 3]


# What cannot be

BAD = {
    "--config.data.name=digits": "learns from 'target', and data set 'digits' has image, label",
    "--config.task.loss=hinge": "unknown loss 'hinge'",
    "--config.task.tile=0": "config.task.tile=0 must be at least 1",
    "--config.model.scale=3": "config.model has no key 'scale'",
    "--config.model.name=deep_cnn": "needs a model that makes pictures larger",
    "--config.augment.flip=true": "uses nothing of config.augment",
}


@pytest.mark.parametrize("argument", BAD)
def test_a_bad_setting_is_one_clear_line(argument):
    with pytest.raises(UserError) as error:
        made("espcn", *argument.split())
    assert "\n" not in str(error.value)
    assert BAD[argument] in str(error.value)


# Whole runs


def test_a_run_that_was_cut_ends_like_one_that_was_not_and_is_of_use(tmp_path, capsys):
    few = ("--config.ema=.9", "--config.checkpoint.every=6", "--config.log.report=true")
    assert_resumes_to_the_bit("edsr", tmp_path, *tiny.FLAGS["edsr"], *few, at=6)
    folder = tmp_path / "whole"
    assert "<h2>Most wrong</h2>" in (folder / "report.html").read_text()
    assert {"psnr", "ssim", "gain", "tile_psnr"} <= set(summary(folder)["final"])
    own = tmp_path / "own"
    for name, mode in (("a.png", "RGBA"), ("b.jpg", "L")):
        write(own, name, mode, (30, 21))
    (own / "c.png").write_bytes(b"\x89PNG nothing")
    capsys.readouterr()
    argv = ["--mode=predict", f"--workdir={folder}", f"--input={own}"]
    assert launch.main(argv) == 2
    said = capsys.readouterr()
    assert "a.png  30 x 21 → 60 x 42" in said.out
    assert "1 of 3 pictures could not be read" in said.err
    assert "c.png" in said.err
    with Image.open(folder / "pictures" / "a.png") as image:
        assert (image.mode, image.size) == ("RGBA", (60, 42))
        made = np.asarray(image)
    assert launch.main([*argv, "--config.task.tile=13"]) == 2
    with Image.open(folder / "pictures" / "a.png") as image:
        np.testing.assert_array_equal(np.asarray(image), made)
    lines = [json.loads(x) for x in (folder / "predictions.jsonl").read_text().splitlines()]
    assert [line["picture"] for line in lines] == ["pictures/a.png", "pictures/b.png"]
    assert lines[0]["made_size"] == [60, 42]
    assert launch.main(["--mode=predict", f"--workdir={folder}", f"--input={tmp_path / 'no'}"]) == 2
    assert "no pictures there" in capsys.readouterr().err
    assert launch.main(["--mode=export", f"--workdir={folder}", "--input_size=32"]) == 2
    assert "takes images of any size" in capsys.readouterr().err


def test_eight_devices_learn_and_measure_as_one_does():
    found = []
    for devices in (1, 8):
        one, state, of_step = learned(2, "espcn", f"--config.parallel.data={devices}")
        scores = one.task.score(state, one.run.data.test, one.key)
        found.append({**of_step, **scores})
    assert found[1] == pytest.approx(found[0], rel=2e-3, abs=1e-4)


# What begins with weights from elsewhere


def test_a_run_begins_with_published_weights_but_for_another_scale(tmp_path):
    one, state = small()
    module = one.task.predict.args[0].module
    file = tmp_path / "x2.safetensors"
    drawn = jax.tree.map(lambda x: np.full(x.shape, 0.25, np.float32), {"params": state.params})
    pretrained.save(module, drawn, file)
    for scale, new in ((2, False), (3, True)):
        again = built("edsr", f"--config.pretrained.source={file}", f"--config.data.scale={scale}")
        params = again.init_state().params
        assert (params["larger_0"]["kernel"] != 0.25).any() == new
        np.testing.assert_allclose(params["last"]["bias"], 0.25, rtol=1e-6)
    with pytest.raises(UserError, match=r"config\.pretrained\.mean"):
        built("edsr", f"--config.pretrained.source={file}", "--config.pretrained.mean=(.5,)")
    with pytest.raises(UserError, match="does not fit the model"):
        built("edsr", f"--config.pretrained.source={file}", "--config.model.width=4")
    gone = built("edsr", "--config.pretrained.source=gone.safetensors")
    with pytest.raises(UserError, match="gone"):
        gone.task.check()
