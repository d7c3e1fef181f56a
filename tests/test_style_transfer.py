"""Style transfer as it is learned, measured and used: pictures, networks, data, whole runs."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny
from launching import ROOT, assert_resumes_to_the_bit, built, learned, made, run, summary
from PIL import Image

from jaxdl import config, data, keys, launch, metrics
from jaxdl.data import photographs
from jaxdl.errors import UserError
from jaxdl.losses import perceptual
from jaxdl.tasks.shared import styling

RNG = np.random.default_rng(0)


def config_of(name):
    return f"--config={ROOT / 'experiments' / name}.py"


@functools.cache
def small(name, *flags):
    """(experiment, state) of what has learned nothing."""
    one = built(name, *flags)
    return one, one.init_state()


def load(**settings):
    return data.load({**config.default().data, "name": "photograph_tiles", **settings})


# Data


def test_tiles_are_of_parts_and_none_that_is_measured_on_shares_a_pixel_with_those_learned_from():
    found = load(image_size=40, stride=16)
    assert len(found.class_names) == 24
    assert found.class_names[13] == "flower 1.2"
    pictures = {name: photographs.read(name, 3) for name in ("china", "flower")}
    height, width = 427 // 3, 640 // 4
    for split, learns in ((found.train, True), (found.test, False)):
        batch = split.take(np.arange(len(split)))
        assert np.bincount(batch["label"]).min() == np.bincount(batch["label"]).max() > 0
        for i in range(0, len(split), 101):
            label = batch["label"][i]
            part = pictures["china" if label < 12 else "flower"]
            y, x = divmod(label % 12, 4)
            part = part[y * height : (y + 1) * height, x * width : (x + 1) * width]
            part = part[:, : width - 40] if learns else part[:, width - 40 :]
            assert any(
                (part[top : top + 40, left : left + 40] == batch["image"][i]).all()
                for top in range(part.shape[0] - 39)
                for left in range(part.shape[1] - 39)
                if (part[top, left] == batch["image"][i][0, 0]).all()
            )
    assert load(image_size=256).class_names == ("china 1.1", "flower 1.1")
    assert load(image_size=20, channels=1).mean.shape == (1,)


@pytest.mark.parametrize(
    "settings, says",
    [
        (dict(image_size=400), "parts of 640 x 427 pixels"),
        (dict(image_size=60, columns=6), "53 at most"),
        (dict(stride=0), "data.stride=0 must be at least 1"),
        (dict(rows=-1), "data.rows=-1 must be at least 0"),
        (dict(channels=2), "data.channels=2 must be 1"),
    ],
)
def test_tiles_that_cannot_be_are_one_line(settings, says):
    with pytest.raises(UserError, match=says):
        load(**settings)


def test_a_picture_covers_its_size_and_is_cut_to_its_middle(tmp_path):
    wide = np.zeros((30, 90, 3), np.uint8)
    wide[:, 30:60] = 200
    Image.fromarray(wide).save(tmp_path / "x.png")
    found = styling.picture("style", str(tmp_path / "x.png"), (30, 30))
    np.testing.assert_array_equal(found, wide[:, 30:60])
    assert styling.picture("style", "china", (33, 50)).shape == (33, 50, 3)
    with pytest.raises(UserError, match=r"task\.style='no\.png' is no file, neither 'china' nor"):
        styling.picture("style", "no.png", (30, 30))
    (tmp_path / "y.png").write_bytes(b"\x89PNG nothing")
    with pytest.raises(UserError, match=r"y\.png is a broken image"):
        styling.picture("style", str(tmp_path / "y.png"), (30, 30))


# What is minimised


def test_the_picture_itself_is_what_an_update_changes():
    one, state = small("style")
    batch, key = {}, keys.root(3)
    after, found = jax.jit(one.task.train_step)(state, batch, key)
    found = metrics.divide(jax.device_get(found))
    stylist = one.task.score.args[0]
    pictures = state.learner.params["picture"]
    content = stylist.content_of(state.known, state.content)
    parts = stylist.losses(state.known, pictures, content)
    for name, part in parts._asdict().items():
        assert found[name] == pytest.approx(float(part.mean()), rel=1e-4)
        np.testing.assert_allclose(getattr(state.first, name), part, rtol=1e-4)
    assert stylist.weights == (1.0, 2.0, 20.0)
    wanted = found["content"] + 2 * found["style"] + 20 * found["variation"]
    assert found["loss"] == pytest.approx(wanted, rel=1e-4)
    # Each picture by itself: as if there were no other.
    assert np.abs(pictures[0] - pictures[1]).mean() > 0.1
    total = lambda x, i: (
        perceptual.parts(
            functools.partial(stylist.seen.look, state.known.variables), x[None], content,
            state.known.grams,
        ).total(stylist.weights).sum()
    )  # fmt: skip
    for i in range(2):
        slope = jax.grad(total)(pictures[i], i)
        step = np.asarray(after.learner.params["picture"][i] - pictures[i])
        rate = one.config.optimizer.learning_rate
        large = np.abs(slope) > 0.1 * np.abs(slope).max()
        np.testing.assert_allclose(step[large], -rate * np.sign(slope)[large], rtol=2e-2)


def test_the_networks_loss_is_of_what_it_makes_and_of_what_the_picture_shows():
    one, state = small("style:feed_forward")
    batch = {
        "image": one.run.data.test.take(np.arange(3))["image"],
        "is_real": np.array([1, 1, 0.0]),
    }
    found = metrics.divide(jax.device_get(jax.jit(one.task.eval_step)(state, batch, keys.root(0))))
    module, stylist = one.task.eval_step.__wrapped__.args[:2]
    images = batch["image"][:2] / np.float32(255)
    made_ = module.apply(state.learner.best_variables, images)
    content = stylist.content_of(state.known, images)
    parts = stylist.losses(state.known, made_, content)
    plain = stylist.losses(state.known, images, content)
    np.testing.assert_array_equal(plain.content, 0)
    assert found["loss"] == pytest.approx(float(parts.total(stylist.weights).mean()), rel=1e-4)
    assert found["style_left"] == pytest.approx(
        float(parts.style.sum() / plain.style.sum()), rel=1e-4
    )
    style = styling.picture("style", "flower", (32, 32))[None]
    grams = perceptual.grams(stylist.seen.look(state.known.variables, style))
    for layer, gram in state.known.grams.items():
        np.testing.assert_allclose(gram, grams[layer], rtol=1e-4, atol=1e-6)


def test_accumulated_microbatches_have_the_gradient_of_the_batch():
    found = [
        learned(
            1, "style:feed_forward", f"--config.accumulate={parts}", "--config.task.mirror=false"
        )[2]
        for parts in (1, 2)
    ]
    assert found[1] == pytest.approx(found[0], rel=1e-3)


BAD = {
    "style": {
        "--config.task.start=grey": "unknown start 'grey'",
        "--config.task.height=8": "240 x 8 pixels is too small: 32 a side",
        "--config.task.style_layers=('relu5_1',)": "has no layer 'relu5_1'",
        "--config.task.style_weight=-1.": "config.task.style_weight=-1.0 must be at least 0",
        "--config.accumulate=2": "config.accumulate=2 must be 1",
        "--config.data.name=digits": "needs data.name='none'",
        "--config.model.name=mlp": "uses nothing of config.model",
        "--config.task.features_model=vgg19": "it names no weights",
    },
    "style:feed_forward": {
        "--config.data.name=digits --config.data.image_size=0": "these have 1 channels",
        "--config.model.name=edsr": "such as 'transformer_net', not 'edsr'",
        "--config.data.image_size=30": "multiples of 4",
        "--config.task.style_size=16": "16 x 16 pixels is too small",
        "--config.task.features=gone": "is no run's folder, and nothing lies there",
        "--config.task.content=china": "config.task has no key 'content'",
    },
}


@pytest.mark.parametrize("name, argument", [(name, x) for name, all_ in BAD.items() for x in all_])
def test_a_bad_setting_is_one_clear_line(name, argument):
    with pytest.raises(UserError) as error:
        made(name, *argument.split()).abstract_state  # noqa: B018
    assert "\n" not in str(error.value)
    assert BAD[name][argument] in str(error.value)


@pytest.mark.parametrize("name", ["style", "style:feed_forward"])
def test_a_style_that_is_not_there_is_one_line_before_anything_begins(name, tmp_path, capsys):
    flags = (*tiny.FLAGS[name], "--config.task.style=no.jpg")
    assert run(name, tmp_path / "run", *flags) == 2
    message = capsys.readouterr().err
    assert "task.style='no.jpg' is no file" in message
    assert message.count("\n") == 1


# Whole runs


def test_a_pictures_run_that_was_cut_ends_like_one_that_was_not_and_is_of_use(tmp_path, capsys):
    style = tmp_path / "own.png"
    Image.fromarray(RNG.integers(0, 256, (40, 60, 3), np.uint8)).save(style)
    flags = (*tiny.FLAGS["style"], f"--config.task.style={style}", "--config.ema=.9")
    flags += ("--config.log.report=true", "--config.log.layers=true")
    assert_resumes_to_the_bit("style", tmp_path, *flags, at=4)
    folder = tmp_path / "whole"
    assert "<h2>Styled</h2>" in (folder / "report.html").read_text()
    assert {"content_left", "style_left", "variation"} <= set(summary(folder)["final"])
    style.unlink()  # a run that has begun needs no files
    capsys.readouterr()
    assert launch.main(["--mode=sample", f"--workdir={folder}", config_of("style")]) == 0
    with Image.open(folder / "samples" / "picture_1.png") as image:
        assert (image.mode, image.size) == ("RGB", (32, 32))
    assert launch.main(["--mode=predict", f"--workdir={folder}", f"--input={folder}"]) == 2
    assert "tells nothing of images" in capsys.readouterr().err


def test_a_networks_run_that_was_cut_ends_like_one_that_was_not_and_is_of_use(tmp_path, capsys):
    name = "style:feed_forward"
    few = ("--config.ema=.9", "--config.checkpoint.every=6", "--config.log.report=true")
    assert_resumes_to_the_bit(name, tmp_path, *tiny.FLAGS[name], *few, at=6)
    folder = tmp_path / "whole"
    assert "<h2>Styled</h2>" in (folder / "report.html").read_text()
    assert {"content", "style", "style_left"} <= set(summary(folder)["final"])
    own = tmp_path / "own"
    own.mkdir()
    Image.fromarray(RNG.integers(0, 256, (21, 30, 3), np.uint8)).save(own / "a.png")
    Image.fromarray(RNG.integers(0, 256, (5, 30), np.uint8)).save(own / "b.png")
    capsys.readouterr()
    assert launch.main(["--mode=predict", f"--workdir={folder}", f"--input={own}"]) in (0, 2)
    said = capsys.readouterr()
    assert "a.png  30 x 21 → 30 x 21" in said.out
    with Image.open(folder / "pictures" / "a.png") as image:
        assert image.size == (30, 21)
    assert launch.main(["--mode=export", f"--workdir={folder}"]) == 0


@pytest.mark.parametrize("name", ["style", "style:feed_forward"])
def test_eight_devices_learn_and_measure_as_one_does(name):
    found = []
    for devices in (1, 8):
        flags = (f"--config.parallel.data={devices}", "--config.batch_size=8")
        one, state, of_step = learned(3, name, *flags)
        found.append(of_step)
        if name == "style":
            found[-1] |= one.task.score(state, None, one.key)
    assert found[1] == pytest.approx(found[0], rel=2e-3, abs=1e-4)


def test_pictures_of_several_weights_are_a_population(tmp_path):
    flags = (*tiny.FLAGS["style"], "--config.sweep=task.style_weight=.5,2.", "--config.steps=2")
    assert run("style", tmp_path, *flags) == 0


def test_a_run_that_learned_to_classify_is_what_another_sees_by(tmp_path):
    flags = (*tiny.FLAGS["vgg"], "--config.data.name=photograph_tiles", "--config.data.stride=64")
    assert run("vgg", tmp_path / "classifier", *flags, "--config.steps=2") == 0
    layers = ("--config.task.style_layers=('relu1_1','relu2_1')",
              "--config.task.content_layers=('relu3_1',)")  # fmt: skip
    one = built("style", f"--config.task.features={tmp_path / 'classifier'}", *layers)
    state = one.init_state()
    assert {*state.known.grams} == {"relu1_1", "relu2_1"}
    from jaxdl.runs import checkpoint

    theirs = checkpoint.restore(tmp_path / "classifier", None)["params"]["block_0_0"]["conv"]
    ours = state.known.variables["params"]["block_0_0"]["conv"]
    np.testing.assert_array_equal(ours["kernel"], theirs["kernel"])
    assert jnp.isfinite(state.first.style).all()
