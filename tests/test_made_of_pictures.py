"""Diffusion completes pictures and shows what is between two: in closed form, and a user's own."""

import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny
from launching import built, run
from PIL import Image

from jaxdl import keys
from jaxdl.errors import UserError
from jaxdl.generate import diffusion, inpainting, interpolation
from jaxdl.tasks.shared import own_pictures

KEY = keys.root(0)
SIGNAL = diffusion.signal_shares("cosine", 100)
WHOLE = tiny.of_finished("ddpm")


# The process, of data of which the best answer is known: x is in two parts, that are the same but
# for a little noise, and normal.

DEVIATION, APART = 0.3, 0.05
COVARIANCE = DEVIATION**2 * np.ones((2, 2)) + APART**2 * np.eye(2)


def best_answer(noisy, t):
    """x₀'s mean given x_t (n, 2), x₀ being normal with COVARIANCE."""
    left = jnp.asarray(SIGNAL, noisy.dtype)[t][:, None, None]
    gain = jnp.sqrt(left) * jnp.linalg.solve(
        left * COVARIANCE + (1 - left) * np.eye(2), jnp.broadcast_to(COVARIANCE, (len(t), 2, 2))
    )
    return (noisy[:, None] @ gain)[:, 0]


@functools.cache
def completed(resamplings):
    known = jnp.full((3000, 2), 0.4)
    missing = jnp.array([False, True])
    return np.asarray(
        inpainting.inpainted(
            best_answer, KEY, known, missing, SIGNAL,
            steps=50, resamplings=resamplings, prediction="x0",
        )
    )  # fmt: skip


def test_what_is_known_stays_and_the_rest_comes_to_fit_it():
    # Of the second part, given the first, the mean is .389 and the deviation .070.
    share = COVARIANCE[0, 1] / COVARIANCE[0, 0]
    mean, deviation = 0.4 * share, np.sqrt(COVARIANCE[0, 0] * (1 - share**2))
    for resamplings in (1, 10):
        np.testing.assert_array_equal(completed(resamplings)[:, 0], np.float32(0.4))
    found = {r: completed(r)[:, 1] for r in (1, 10)}
    off = {r: abs(x.mean() - mean) for r, x in found.items()}
    # Going back again and again is what makes it fit (Lugmayr et al., section 4.2).
    assert off[10] < 0.025 < 0.08 < off[1]
    assert found[10].std() == pytest.approx(deviation, rel=0.1)
    assert found[1].std() > 1.3 * deviation


def test_what_is_known_has_no_say_where_all_is_missing():
    images = jnp.full((4000, 2), 0.9)
    found = inpainting.inpainted(
        best_answer, KEY, images, True, SIGNAL, steps=50, resamplings=1, prediction="x0"
    )
    assert abs(found.mean()) < 0.02
    np.testing.assert_allclose(np.std(found), np.sqrt(COVARIANCE[0, 0]), rtol=0.06)


def test_between_two_images_noise_is_mixed_and_taken_off():
    # Against the formulas, in float64: two draws, one for each image, the same for all shares.
    with jax.enable_x64(True):
        rng = np.random.default_rng(0)
        first, second = (jnp.asarray(x) for x in rng.uniform(-1, 1, (2, 3, 3, 1)))
        network = lambda x, t: 0.3 * jnp.sin(x)
        shares = jnp.array([0.0, 0.25, 1.0])
        mix = functools.partial(
            interpolation.interpolated, network, KEY, first, second, shares, SIGNAL,
            timesteps=40, prediction="epsilon",
        )  # fmt: skip
        found = mix(steps=10, eta=0.0)
        stream = keys.named(KEY, "noise")
        noise = np.asarray(jax.random.normal(stream, (2, 3, 3, 1), jnp.float64))
        ends = [np.sqrt(SIGNAL[39]) * x + np.sqrt(1 - SIGNAL[39]) * e
                for x, e in zip((first, second), noise, strict=True)]  # fmt: skip
        x = np.stack([(1 - s) * ends[0] + s * ends[1] for s in np.asarray(shares)])
        for t in range(39, -1, -4):
            here, after = SIGNAL[t], SIGNAL[t - 4] if t > 3 else 1.0
            image = np.clip((x - np.sqrt(1 - here) * 0.3 * np.sin(x)) / np.sqrt(here), -1, 1)
            old = np.sqrt((1 - after) / (1 - here))
            x = np.sqrt(after) * image + old * (x - np.sqrt(here) * image)
        np.testing.assert_allclose(found, x, atol=1e-9)
        # All of one share is the same on the way back too, where noise is added.
        mix = functools.partial(interpolation.interpolated, network, KEY, first, second)
        same = mix(jnp.array([0.5, 0.5]), SIGNAL, timesteps=40, steps=10, eta=1.0)
        np.testing.assert_array_equal(same[0], same[1])


def test_with_little_noise_the_ends_are_the_images_themselves():
    first, second = jnp.full((2, 2, 1), 0.5), jnp.full((2, 2, 1), -0.5)
    network = lambda x, t: jnp.zeros_like(x)
    found = interpolation.interpolated(
        network, KEY, first, second, jnp.array([0.0, 1.0]), SIGNAL, timesteps=1, steps=1
    )
    np.testing.assert_allclose(found, [first, second], atol=0.1)


# Masks and pictures


def save(file, picture):
    Image.fromarray(np.asarray(picture, np.uint8)).save(file)
    return str(file)


def test_masks_are_sides_or_files():
    def of(name):
        return own_pictures.missing(name, (4, 6, 1)).astype(int).tolist()

    assert of("left") == [[1, 1, 1, 0, 0, 0]] * 4
    assert of("right") == [[0, 0, 0, 1, 1, 1]] * 4
    assert of("upper") == [[1] * 6] * 2 + [[0] * 6] * 2
    assert of("lower") == [[0] * 6] * 2 + [[1] * 6] * 2
    assert of("middle") == [[0] * 6, [0, 1, 1, 1, 0, 0], [0, 1, 1, 1, 0, 0], [0] * 6]


def test_a_masks_white_is_missing_at_any_size(tmp_path):
    mask = np.zeros((8, 8))
    mask[:4, 4:] = 255
    file = save(tmp_path / "mask.png", mask)
    assert (
        own_pictures.missing(file, (4, 4, 1)).tolist()
        == [[False, False, True, True]] * 2 + [[False] * 4] * 2
    )
    for grey, word in ((0, "black"), (255, "white")):
        file = save(tmp_path / "mask.png", np.full((8, 8), grey))
        with pytest.raises(UserError, match=f"is {word} all over: white is what is to be filled"):
            own_pictures.missing(file, (4, 4, 1))
    with pytest.raises(UserError, match="is no file, nor one of left, right"):
        own_pictures.missing("leftmost", (4, 4, 1))


# Runs


def digit(file, size=8):
    picture = np.zeros((size, size))
    picture[size // 8 : -size // 8, size // 3 : size // 2 + 1] = 255
    return save(file, picture)


def predicted(folder):
    return [json.loads(line) for line in (folder / "predictions.jsonl").read_text().splitlines()]


def test_pictures_are_completed_where_they_are_masked(finished, tmp_path, capsys):
    folder = finished("ddpm")
    files = [digit(tmp_path / "a.png"), digit(tmp_path / "b.png", 24)]
    ask = ("--config.task.mask=right", "--config.task.jump=2", "--config.task.resamplings=2")
    flags = ("--mode=predict", f"--input={tmp_path / '*.png'}", *ask)
    assert run("ddpm", folder, *WHOLE, *flags) == 0
    assert "a.png  8 x 8 → 8 x 8" in capsys.readouterr().out
    records = predicted(folder)
    assert [record["file"] for record in records] == files
    assert records[1]["made_size"] == [8, 8]
    made = np.asarray(Image.open(folder / records[0]["picture"]))
    true = np.asarray(Image.open(files[0]))
    np.testing.assert_array_equal(made[:, :4], true[:, :4])
    assert (made[:, 4:] != true[:, 4:]).any()
    # The same again, and another of another class.
    assert run("ddpm", folder, *WHOLE, *flags) == 0
    np.testing.assert_array_equal(np.asarray(Image.open(folder / records[0]["picture"])), made)


def test_what_is_between_two_pictures_is_shown(finished, tmp_path, capsys):
    folder, pair = finished("ddpm"), [digit(tmp_path / f"{name}.png") for name in "ab"]
    flags = ("--mode=sample", f"--config.task.between={','.join(pair)}", "--config.task.asked=3")
    assert run("ddpm", folder, *WHOLE, *flags) == 0
    assert f"sample {folder / 'samples' / 'between.png'}" in capsys.readouterr().out
    width, height = Image.open(folder / "samples" / "between.png").size
    assert width > 2 * height


def test_classes_are_asked_for_and_the_run_stays_as_it_is(finished, capsys):
    folder = finished("ddpm")
    settings, images = (folder / "config.json").read_bytes(), {}
    for asked in ("3", "3,7"):
        flags = ("--mode=sample", f"--config.task.asked={asked}")
        assert run("ddpm", folder, *WHOLE, *flags) == 0
        images[asked] = Image.open(folder / "samples" / "samples.png").size
    assert images["3,7"][1] > 1.5 * images["3"][1]
    assert (folder / "config.json").read_bytes() == settings
    capsys.readouterr()
    # What changes the run is refused as ever.
    assert run("ddpm", folder, *WHOLE, "--mode=sample", "--config.task.drop_label=.5") == 2
    assert "another config (task.drop_label" in capsys.readouterr().err


REFUSED = {
    ("--config.task.between=a.png",): "between=a.png must name two files",
    ("--config.task.asked=11",): "unknown class in config.task.asked '11'",
    ("--config.task.level=1.5",): "config.task.level=1.5 must be at least 0 and at most 1",
    ("--config.task.jump=0",): "config.task.jump=0 must be at least 1",
    ("--config.task.mask=left", "--config.task.jump=4"):
        "config.task.jump=4 must be below the 4 steps",
    ("--config.task.asked=3", "--config.task.classes=false", "--config.task.guidance=0"):
        "config.task.asked=3 needs a model that knows classes",
}  # fmt: skip


@pytest.mark.parametrize("arguments", REFUSED)
def test_bad_setting_is_one_clear_line(arguments):
    with pytest.raises(UserError) as caught:
        built("ddpm", *arguments)
    assert REFUSED[arguments] in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_cannot_be_used_is_one_clear_line(finished, tmp_path, capsys):
    folder, file = finished("ddpm"), digit(tmp_path / "a.png")
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    refused = {
        ("--mode=predict", f"--input={file}"): "config.task.mask must say what of a picture",
        ("--mode=sample", f"--config.task.between={file},{tmp_path}/none.png"): "is no file",
        ("--mode=sample", f"--config.task.between={file},{broken}"): "broken.png is a broken image",
    }
    for flags, words in refused.items():
        capsys.readouterr()
        assert run("ddpm", folder, *WHOLE, *flags) == 2
        said = capsys.readouterr().err.strip()
        assert said.startswith("error: ")
        assert words in said
        assert "\n" not in said


def test_a_picture_is_of_one_class_or_of_none():
    settings = ("drop_label=0", "guidance=0", "mask=left", "jump=1")
    for asked, words in {
        "()": "asked must name a class: this",
        "1,2": "asked=1,2: what is",
    }.items():
        flags = [f"--config.task.{setting}" for setting in (*settings, f"asked={asked}")]
        with pytest.raises(UserError, match=words):
            built("ddpm", *flags).task.transform(None, np.zeros((8, 8, 1), np.uint8))
