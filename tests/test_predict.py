"""Pictures: how they are prepared, and what runs and published checkpoints say of them."""

import json
import os
import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from etils import epath
from launching import ROOT, run
from PIL import Image

from jaxdl import config as settings
from jaxdl import experiment, keys, launch, models, pretrained
from jaxdl.data.preprocess import Preprocess, fitted, image, standardised
from jaxdl.errors import UserError
from jaxdl.inference import pictures
from jaxdl.launch import flags
from jaxdl.runs import workdir
from jaxdl.train import evaluate, single_out

GOLDEN = np.load(Path(__file__).parent / "golden" / "preprocess.npz")
CUTS = [name for name in GOLDEN.files if name.startswith("cut")]


def saved(array, file, **options):
    Image.fromarray(array).save(file, **options)
    return epath.Path(file)


def settings_of(name):
    _, index, resize, size, how = name.split("_")
    return GOLDEN[f"picture_{index}"], Preprocess(int(size), int(resize), how)


# Preparation


@pytest.mark.parametrize("name", CUTS)
def test_scaled_and_cut_as_torchvision_does_it_to_the_bit(name, tmp_path):
    picture, preprocess = settings_of(name)
    found = image(saved(picture, tmp_path / "picture.png"), preprocess)
    np.testing.assert_array_equal(found, GOLDEN[name])


@pytest.mark.parametrize(
    "name", ["cut_0_16_13_bilinear", "cut_1_41_32_bicubic", "cut_3_12_17_bicubic"]
)
def test_arrays_are_scaled_and_cut_like_files_but_for_rounding(name):
    picture, preprocess = settings_of(name)
    found = jax.jit(lambda x: fitted(x, preprocess))(jnp.asarray(picture)[None])
    np.testing.assert_allclose(255 * found[0], GOLDEN[name], atol=1.6)


@pytest.mark.parametrize(
    "name, preprocess",
    [
        ("torchvision", Preprocess(20, 24)),
        ("torchvision_bicubic", Preprocess(24, 24, "bicubic")),
        ("timm", Preprocess(20, 25, "bicubic", (0.5,) * 3, (0.4, 0.5, 0.6))),
    ],
)
def test_whole_pipelines_agree(name, preprocess, tmp_path):
    found = image(saved(GOLDEN["picture_0"], tmp_path / "picture.png"), preprocess)
    found = standardised(jnp.asarray(found), preprocess)
    assert found.dtype == jnp.float32
    np.testing.assert_allclose(found, GOLDEN[f"whole_{name}"], atol=1e-6)


def test_floats_and_other_orders_of_channels_are_standardised():
    images = np.random.default_rng(0).integers(0, 256, (2, 4, 4, 3), np.uint8)
    rgb = Preprocess(mean=(0.1, 0.2, 0.3), std=(1.0, 2.0, 3.0))
    bgr = rgb._replace(channels="bgr")
    found = standardised(jnp.asarray(images), rgb)
    floats = jnp.asarray(images / 255, jnp.float32)
    np.testing.assert_allclose(standardised(floats, rgb), found, atol=1e-6)
    turned = jnp.asarray(images[..., ::-1])
    np.testing.assert_array_equal(standardised(turned, bgr), found)


def test_a_squashed_picture_keeps_its_sides(tmp_path):
    picture = np.zeros((20, 60, 3), np.uint8)
    picture[:, :10] = picture[:, -10:] = 255
    file = saved(picture, tmp_path / "wide.png")
    preprocess = Preprocess(6, 6, "nearest")
    assert not image(file, preprocess).any()
    squashed = preprocess._replace(squash=True)
    np.testing.assert_array_equal(image(file, squashed)[0, :, 0], [255, 0, 0, 0, 0, 255])
    np.testing.assert_array_equal(255 * fitted(picture[None], squashed)[0], image(file, squashed))


def test_without_a_size_to_scale_to_the_middle_is_cut_out(tmp_path):
    picture = GOLDEN["picture_0"]
    file = saved(picture, tmp_path / "picture.png")
    cut = picture[10:26, 17:33]  # 37x50; half pixels go to the even side
    np.testing.assert_array_equal(image(file, Preprocess(16, 0)), cut)
    np.testing.assert_allclose(255 * fitted(picture[None], Preprocess(16, 0))[0], cut, atol=1e-4)


def test_a_camera_held_upright_is_followed(tmp_path):
    picture, preprocess = GOLDEN["picture_0"], Preprocess(16, 16)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    turned = saved(picture, tmp_path / "turned.png", exif=exif)
    upright = saved(np.rot90(picture, -1).copy(), tmp_path / "upright.png")
    np.testing.assert_array_equal(image(turned, preprocess), image(upright, preprocess))


def test_grey_and_colour_are_made_of_each_other(tmp_path):
    picture, preprocess = GOLDEN["picture_0"], Preprocess(16, 16)
    grey = saved(picture[..., 0].copy(), tmp_path / "grey.png")
    assert image(grey, preprocess, 1).shape == (16, 16, 1)
    np.testing.assert_array_equal(image(grey, preprocess), image(grey, preprocess, 1).repeat(3, -1))


@pytest.mark.parametrize("content", [b"", b"no image", "cut"])
def test_a_broken_file_is_named(content, tmp_path):
    file = saved(GOLDEN["picture_0"], tmp_path / "broken.png")
    file.write_bytes(file.read_bytes()[:500] if content == "cut" else content)
    with pytest.raises(UserError, match=r"broken.png is a broken image"):
        image(file, Preprocess())


# Runs


def use(folder, *given):
    """--mode=predict of a run, without the experiment that it is of."""
    return launch.main(["--mode=predict", f"--workdir={folder}", *given])


def written(folder):
    lines = (folder / "predictions.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


@pytest.fixture(scope="module")
def colours(tmp_path_factory):
    """A run that tells red pictures from blue ones, and from green ones."""
    root = tmp_path_factory.mktemp("colours")
    draws = np.random.default_rng(0)
    for channel, name in enumerate(("red", "green", "blue")):
        (root / "data" / name).mkdir(parents=True)
        for i in range(12):
            picture = draws.integers(0, 100, (10, 12, 3), np.uint8)
            picture[..., channel] += 150
            Image.fromarray(picture).save(root / "data" / name / f"{i}.png")
    overrides = (
        "--config.data.name=folder",
        f"--config.data.path={root / 'data'}",
        "--config.data.image_size=8",
        "--config.model.hidden=(16,)",
        "--config.optimizer.learning_rate=.01",
        "--config.augment.shift=0",
        "--config.eval.every=12",
    )
    assert run("mlp", root / "run", *overrides) == 0
    return root


def own_logits(folder, images, member=None):
    """What the run's task says of images."""
    folder, config = epath.Path(folder), settings.default()
    workdir.adopt(folder, config)
    if member is not None:
        config.member = member
        folder, config = single_out.single_out(folder, config)
    made = experiment.create(config)
    _, state = evaluate.best_state(made, folder)
    return made.run.data, np.asarray(made.task.predict(state, jnp.asarray(images))["logits"])


def test_a_run_says_what_pictures_are(colours, tmp_path, capsys):
    draws = np.random.default_rng(1)
    for channel, name in enumerate(("red.png", "deep/green.png", "blue.bmp")):
        picture = draws.integers(0, 100, (31, 20, 3), np.uint8)
        picture[..., channel] += 150
        (tmp_path / name).parent.mkdir(exist_ok=True)
        saved(picture, tmp_path / name)
    (tmp_path / "notes.txt").write_text("not a picture")
    assert use(colours / "run", f"--input={tmp_path}") == 0
    found = written(colours / "run")
    files = [tmp_path / name for name in ("blue.bmp", "deep/green.png", "red.png")]
    assert [line["file"] for line in found] == list(map(str, files))
    images = np.stack([image(epath.Path(f), Preprocess(8, 8)) for f in files])
    data, logits = own_logits(colours / "run", images)
    shares = np.asarray(jax.nn.softmax(logits))
    printed = capsys.readouterr().out.splitlines()
    for line, share, said, file in zip(found, shares, printed, files, strict=False):
        order = np.argsort(-share)
        assert [c["class"] for c in line["classes"]] == [data.class_names[i] for i in order]
        np.testing.assert_allclose([c["share"] for c in line["classes"]], share[order], atol=1e-6)
        assert line["classes"][0]["class"] == file.stem
        assert said.startswith(f"{file}  {file.stem} {share.max():.1%}  ")


def test_batches_of_any_size_say_the_same(colours, capsys):
    found = []
    for size in (1, 7, 36, 1000):
        given = (f"--input={colours}/data/**/*.png", f"--config.eval.batch_size={size}")
        assert use(colours / "run", *given) == 0
        found.append(written(colours / "run"))
    assert len(found[0]) == 36
    for other in found[1:]:
        assert [x["file"] for x in other] == [x["file"] for x in found[0]]
        for a, b in zip(found[0], other, strict=True):
            assert a["classes"][0]["share"] == pytest.approx(b["classes"][0]["share"], abs=1e-6)


def test_broken_pictures_are_named_when_the_others_are_done(colours, tmp_path, capsys):
    for name in ("a", "c"):
        saved(GOLDEN["picture_0"], tmp_path / f"{name}.png")
    for name in ("b", "d"):
        (tmp_path / f"{name}.jpg").write_bytes(b"no image")
    (tmp_path / "e.npy").write_bytes(b"no array")
    assert use(colours / "run", f"--input={tmp_path}/*", "--config.eval.batch_size=2") == 2
    told = capsys.readouterr()
    assert [Path(line["file"]).name for line in written(colours / "run")] == ["a.png", "c.png"]
    assert "c.png  " in told.out
    assert told.err.startswith("error: 3 of 5 pictures could not be read: ")
    assert told.err.count("\n") == 1
    assert "b.jpg" in told.err
    assert "d.jpg" in told.err
    assert "e.npy is broken" in told.err


def test_whatever_breaks_a_reader_the_others_are_done(colours, tmp_path, capsys, monkeypatch):
    """Also: greys of 16 bits are no white, notes of odd types are read, and leavings are not."""
    grey = np.full((20, 20), 38 * 257, np.uint16)
    saved(grey, tmp_path / "a.png")
    saved((grey // 257).astype(np.uint8), tmp_path / "b.png")
    saved(grey.astype(np.float32), tmp_path / "c.tif")
    np.save(tmp_path / "d.npy", np.zeros((2, 9, 9, 3), np.uint8))
    (tmp_path / "e.npy").write_bytes(b"\x93NUMPY\x01\x00\x10\x00{'descr': (((((\n   ")
    (tmp_path / "f.png").symlink_to(tmp_path / "nowhere")
    odd = os.fsdecode(b"g\xff.png")
    saved((grey // 257).astype(np.uint8), tmp_path / odd)
    for name in ("._a.png", "__MACOSX/a.png", ".ipynb_checkpoints/a.png", "Thumbs.db/a.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"no picture")

    for where in (tmp_path, tmp_path / "**/*"):
        assert use(colours / "run", f"--input={where}") == 2
        told = capsys.readouterr()
        a, b, g = written(colours / "run")
        assert a["classes"] == b["classes"] == g["classes"]
        assert g["file"] == str(tmp_path / odd)
        assert "g\\udcff.png  " in told.out
        arrays = where != tmp_path
        assert f"{2 + 2 * arrays} of {5 + 2 * arrays} pictures could not be read" in told.err
        assert "c.tif: its floats go from 9766 to 9766" in told.err
        assert "f.png is a broken image: No such file" in told.err
        assert ("d.npy has uint8[2, 9, 9, 3]" in told.err) == arrays
        assert ("e.npy is broken" in told.err) == arrays
        assert told.err.count("\n") == 1
    (asked,) = pictures.find(f"{tmp_path}/__MACOSX/*.png", Preprocess(8, 8), 3)
    assert asked.name == str(tmp_path / "__MACOSX" / "a.png")

    def load(file, **_):
        raise RuntimeError("of a kind that\nnobody thought of")

    monkeypatch.setattr(np, "load", load)
    (broken,) = pictures.find(str(tmp_path / "d.npy"), Preprocess(8, 8), 3)
    error = f"{tmp_path / 'd.npy'} is broken: of a kind that nobody thought of"
    assert pictures.tried(broken) == (None, error)


def test_arrays_are_taken_as_the_model_sees_them(colours, tmp_path, capsys):
    images = np.random.default_rng(2).integers(0, 256, (5, 8, 8, 3), np.uint8)
    found = []
    for name, array in (("bytes", images), ("floats", images / 255)):
        np.save(tmp_path / f"{name}.npy", array)
        assert use(colours / "run", f"--input={tmp_path / name}.npy") == 0
        found.append(written(colours / "run"))
    assert [line["file"] for line in found[0]] == [f"{tmp_path}/bytes.npy[{i}]" for i in range(5)]
    _, logits = own_logits(colours / "run", images)
    shares = np.asarray(jax.nn.softmax(logits)).max(-1)
    for lines in found:
        tops = [line["classes"][0]["share"] for line in lines]
        np.testing.assert_allclose(tops, shares, atol=1e-6)
    saved(images[0], tmp_path / "bytes.png")  # a mixed batch
    assert use(colours / "run", f"--input={tmp_path}/*") == 0
    tops = [line["classes"][0]["share"] for line in written(colours / "run")]
    np.testing.assert_allclose(tops, [*shares, shares[0], *shares], atol=1e-6)


@pytest.mark.parametrize(
    "array, reason",
    [
        (np.zeros((2, 9, 8, 3), np.uint8), r"uint8\[2, 9, 8, 3\]: it should be \[n, 8, 8, 3\]"),
        (np.zeros((2, 8, 8, 3), np.int64), r"int64\[2, 8, 8, 3\]"),
        (np.full((2, 8, 8, 3), 1.5), r"values outside \[0, 1\]"),
    ],
)
def test_arrays_that_cannot_be(array, reason, colours, tmp_path, capsys):
    np.save(tmp_path / "array.npy", array)
    assert use(colours / "run", f"--input={tmp_path / 'array.npy'}") == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert re.search(reason, told)


@pytest.mark.parametrize(
    "given, reason",
    [
        ((), "needs --input"),
        (("--input=nowhere",), "no pictures there"),
        (("--input=x", "--mode=evaluate"), "--input is what --mode=predict looks at"),
        (("--input=x", "--input_size=3"), "--input_size is the size of what --mode=export"),
    ],
)
def test_flags_that_cannot_be(given, reason, colours, capsys):
    file = ROOT / "experiments" / "mlp.py"
    assert use(colours / "run", f"--config={file}", *given) == 2
    assert reason in capsys.readouterr().err


def test_without_a_model_there_is_one_line(tmp_path, capsys):
    assert use(tmp_path / "none", "--input=x") == 2
    told = capsys.readouterr().err
    assert "--workdir" in told
    assert "--config.pretrained.source" in told
    assert not (tmp_path / "none").exists()


def test_one_of_a_population_is_asked(tmp_path, capsys):
    few = ("--config.population=2", "--config.steps=2", "--config.model.hidden=(16,)")
    assert run("mlp", tmp_path / "run", *few) == 0
    images = np.random.default_rng(0).random((3, 8, 8)).astype(np.float32)
    np.save(tmp_path / "images.npy", images)
    asked = (f"--input={tmp_path / 'images.npy'}",)
    assert use(tmp_path / "run", *asked) == 2
    assert "add --config.member=0" in capsys.readouterr().err
    assert use(tmp_path / "run", *asked, "--config.member=1") == 0
    found = written(tmp_path / "run" / "member-1")
    _, logits = own_logits(tmp_path / "run", images[..., None], member=1)
    shares = np.asarray(jax.nn.softmax(logits))
    assert [line["classes"][0]["class"] for line in found] == list(map(str, shares.argmax(-1)))
    tops = [[c["share"] for c in line["classes"]] for line in found]
    np.testing.assert_allclose(tops, -np.sort(-shares)[:, :5], atol=1e-6)


def test_what_classifies_nothing_refuses(tmp_path, capsys):
    config = flags.parse([f"--config={ROOT / 'experiments' / 'vae.py'}"]).config
    with workdir.claimed(epath.Path(tmp_path), config):
        pass
    assert use(tmp_path, "--input=x") == 2
    assert "task 'variational' tells nothing of images" in capsys.readouterr().err


# Published checkpoints


def drawn(module, size):
    """Variables of a module that make every weight count."""
    shapes = jax.eval_shape(module.init, keys.root(0), jnp.zeros((1, size, size, 3)))
    draws = np.random.default_rng(0)
    return jax.tree.map(lambda x: draws.uniform(0.02, 0.08, x.shape).astype(np.float32), shapes)


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A folder as transformers writes it, its module and variables, and how images are prepared."""
    folder = tmp_path_factory.mktemp("published")
    module = models.create("vit", num_classes=3, patch_size=4, depth=1, width=16, heads=2)
    variables = drawn(module, 16)
    pretrained.save(module, variables, folder, "transformers")
    config = json.loads((folder / "config.json").read_text())
    config["id2label"] = {"0": "ant", "1": "bee", "2": "wasp"}
    (folder / "config.json").write_text(json.dumps(config))
    processor = {
        "size": {"height": 16, "width": 16},
        "image_mean": [0.5] * 3,
        "image_std": [0.25] * 3,
        "resample": 3,
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    prepared = Preprocess(16, 16, "bicubic", (0.5,) * 3, (0.25,) * 3, squash=True)
    return folder, module, variables, prepared


def of_source(source, *given):
    """--mode=predict of a published checkpoint."""
    return launch.main(["--mode=predict", f"--config.pretrained.source={source}", *given])


def test_a_published_folder_says_what_a_picture_is(published, tmp_path):
    folder, module, variables, prepared = published
    file = saved(GOLDEN["picture_0"], tmp_path / "picture.png")
    assert of_source(folder, f"--input={file}", f"--workdir={tmp_path / 'out'}") == 0
    seen = standardised(jnp.asarray(image(file, prepared)), prepared)
    shares = np.asarray(jax.nn.softmax(module.apply(variables, seen[None])))[0]
    (found,) = written(tmp_path / "out")
    names = ("ant", "bee", "wasp")
    assert [c["class"] for c in found["classes"]] == [names[i] for i in np.argsort(-shares)]
    tops = [c["share"] for c in found["classes"]]
    np.testing.assert_allclose(tops, -np.sort(-shares), atol=1e-6)
    source = f"--config.pretrained.source={folder}"
    assert launch.main(["--mode=export", source, f"--workdir={tmp_path / 'out'}"]) == 0
    about = json.loads((tmp_path / "out" / "export" / "model.json").read_text())
    assert about["labels"] == {key: list(names) for key in ("logits", "shares")}
    taken = {"resize": 16, "size": 16, "squash": True, "interpolation": "bicubic", "mode": "RGB"}
    taken["floor_cut"] = True
    assert about["input"] == {"shape": ["batch", 16, 16, 3], "dtype": "uint8", **taken}


def test_a_published_file_is_named_with_its_model(tmp_path, monkeypatch, capsys):
    module = models.create("resnet18")
    file = tmp_path / "resnet18.safetensors"
    pretrained.save(module, drawn(module, 32), file)
    picture = saved(GOLDEN["picture_1"], tmp_path / "picture.png")
    monkeypatch.chdir(tmp_path)
    given = (f"--input={picture}", "--config.data.image_size=32")
    assert of_source(file, *given) == 2
    assert "--config.pretrained.model" in capsys.readouterr().err
    assert of_source(file, *given, "--config.pretrained.model=resnet18") == 0
    (folder,) = (tmp_path / "runs").iterdir()  # dated, as a run's
    assert folder.name.startswith("resnet18-20")
    (found,) = written(folder)
    assert len(found["classes"]) == 5
    assert all(0 <= int(c["class"]) < 1000 for c in found["classes"])


def test_a_published_encoder_without_a_head_tells_nothing(published, tmp_path, capsys):
    _, module, variables, _ = published
    params = {name: x for name, x in variables["params"].items() if name != "head"}
    module = module.copy(num_classes=0)
    pretrained.save(module, {"params": params}, tmp_path, "transformers")
    config = json.loads((tmp_path / "config.json").read_text())
    config["architectures"] = ["ViTForMaskedImageModeling"]
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "preprocessor_config.json").write_text('{"size": 16}')
    assert of_source(tmp_path, f"--input={tmp_path}") == 2
    assert "has no head for classes: it tells nothing of pictures" in capsys.readouterr().err


def test_a_head_of_one_number_is_no_choice_among_classes(tmp_path, capsys):
    module = models.create("vit", num_classes=1, patch_size=4, depth=1, width=8, heads=1)
    pretrained.save(module, drawn(module, 16), tmp_path, "transformers")
    (tmp_path / "preprocessor_config.json").write_text('{"size": 16}')
    assert of_source(tmp_path, f"--input={tmp_path}") == 2
    assert "gives one number, which is no choice among classes" in capsys.readouterr().err


def test_pictures_larger_than_the_weights_take_are_a_line(published, tmp_path, capsys):
    _, module, variables, _ = published
    pretrained.save(module, variables, tmp_path, "transformers")
    (tmp_path / "preprocessor_config.json").write_text("{}")  # which is 224 pixels
    assert of_source(tmp_path, f"--input={tmp_path}") == 2
    assert f"{tmp_path} does not classify 224 px: " in capsys.readouterr().err


def test_a_run_is_no_published_checkpoint(colours, capsys):
    assert of_source(colours / "run", "--input=x") == 2
    assert "name it by --workdir" in capsys.readouterr().err
