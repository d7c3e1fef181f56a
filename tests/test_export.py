"""Programs that are written by --mode=export: jax alone runs them, to the same numbers."""

import importlib.util
import json
import runpy
import struct
import subprocess
import sys

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest
from etils import epath
from launching import run
from PIL import Image

from jaxdl import config as settings
from jaxdl import experiment, keys, launch, models, parallel
from jaxdl.data.preprocess import Preprocess, fitted, standardised
from jaxdl.inference import export
from jaxdl.inference.predict import Predictor
from jaxdl.runs import workdir
from jaxdl.tasks.shared.contract import as_it_is
from jaxdl.train import evaluate

# As in the README: nothing of jaxdl.
ALONE = """\
import sys
sys.modules["jaxdl"] = None  # an import of it would fail
import jax.export, numpy as np
with open(sys.argv[1] + "/model.jaxexport", "rb") as file:
    model = jax.export.deserialize(bytearray(file.read()))
images = np.load(sys.argv[2])
found = model.call(images)
np.savez(sys.argv[3], first=model.call(images[:1])["logits"], **found)
"""
TINY_VIT = dict(patch_size=4, depth=1, width=32, heads=2)
PREPARED = Preprocess()
# The script once a picture.
WITHOUT = """\
import sys, runpy
sys.modules["jaxdl"] = None
script, *files = sys.argv[1:]
for file in files:
    sys.argv = [script, file]
    print(file)
    runpy.run_path(script)
"""


def alone(*argv):
    """Another process runs this Python, on a CPU."""
    done = subprocess.run([sys.executable, "-c", *map(str, argv)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def called(exported, images):
    """What the program says once it has been written and read."""
    return jax.export.deserialize(exported.serialize()).call(images)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished") / "run"
    overrides = ("--config.steps=4", "--config.eval.every=4", "--config.ema=.9")
    assert run("deep_cnn", folder, *overrides) == 0
    assert launch.main(["--mode=export", f"--workdir={folder}"]) == 0
    return folder


def test_a_run_goes_on_without_jaxdl(finished, tmp_path):
    config = settings.default()
    workdir.adopt(epath.Path(finished), config)
    made = experiment.create(config)
    _, state = evaluate.best_state(made, epath.Path(finished))
    images = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 1), np.uint8)
    own = np.asarray(made.task.predict(state, jnp.asarray(images))["logits"])
    assert np.ptp(own) > 0.1
    np.save(tmp_path / "images.npy", images)
    alone(ALONE, finished / "export", tmp_path / "images.npy", tmp_path / "found.npz")
    found = np.load(tmp_path / "found.npz")
    np.testing.assert_allclose(found["logits"], own, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(found["first"], own[:1], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(found["shares"], jax.nn.softmax(own), atol=1e-6)


def test_it_says_what_goes_in_and_comes_out(finished):
    about = json.loads((finished / "export" / "model.json").read_text())
    assert about["input"]["shape"] == ["batch", 8, 8, 1]
    assert about["input"]["mode"] == "L"
    assert about["output"]["logits"] == ["batch", 10]
    assert about["output"]["shares"] == ["batch", 10]
    assert about["labels"] == {key: [*map(str, range(10))] for key in ("logits", "shares")}
    assert about["platforms"] == ["cpu", "cuda", "tpu"]
    assert about["jax"] == jax.__version__
    assert (about["input"]["resize"], about["input"]["interpolation"]) == (8, "bilinear")


def test_its_example_says_what_predict_says(finished, tmp_path):
    draws = np.random.default_rng(3)
    colours = Image.fromarray(draws.integers(0, 256, (37, 51, 3), np.uint8))
    wide = draws.integers(0, 65536, (37, 51), np.uint16)
    colours.save(tmp_path / "colours.png")
    Image.fromarray(wide).save(tmp_path / "wide.png")
    Image.fromarray(wide.astype(np.float32) / 65535).save(tmp_path / "floats.tif")
    # Held upright, by a camera that calls itself by texts where numbers should be.
    notes = b"Exif\0\0II*\0\x08\0\0\0\x02\0" + struct.pack("<HHII", 0x0112, 3, 1, 6)
    notes += struct.pack("<HHI4s", 0x0128, 2, 1, b"in") + bytes(4)
    colours.save(tmp_path / "held.jpg", exif=notes)
    assert launch.main([f"--workdir={finished}", "--mode=predict", f"--input={tmp_path}"]) == 0
    lines = (finished / "predictions.jsonl").read_text().splitlines()
    said = [json.loads(line) for line in lines]
    assert len(said) == 4
    told = alone(WITHOUT, finished / "export" / "example.py", *(line["file"] for line in said))
    for line in said:
        shares = told.partition(line["file"])[2].partition("shares\n")[2].splitlines()
        assert shares[:5] == [f"  {c['class']} {c['share']:.3f}" for c in line["classes"]]


def predictor(name, size, dtype=jnp.float32, prepared=PREPARED, **fields):
    """A model that was not trained, of which every weight counts."""
    module = models.create(name, num_classes=7, dtype=dtype, **fields)
    variables = jax.jit(module.init)(keys.root(0), jnp.zeros((1, size, size, 3)))
    leaves, tree = jax.tree.flatten(variables)
    own = jax.random.split(keys.root(1), len(leaves))
    leaves = [x + 0.1 * jax.random.normal(k, x.shape) for x, k in zip(leaves, own, strict=True)]
    prepared = prepared._replace(size=size)
    apply = lambda v, x: {"logits": module.apply(v, standardised(x, prepared), train=False)}
    layout = parallel.create(settings.default().parallel, jax.device_count())
    labels = {"logits": [f"class {i}" for i in range(7)]}
    return Predictor(apply, tree.unflatten(leaves), as_it_is, labels, prepared, 3, layout)


@pytest.mark.parametrize(
    "told, labels, lines",
    [
        (
            {
                "boxes": [[1.0, 2.0, 3.25, 4.0], [0.0, 0.0, 8.0, 8.0], [0.0, 0.0, 0.0, 0.0]],
                "scores": [0.75, 0.5, 0.0],
                "classes": [1, 0, 0],
            },
            {"classes": ("cat", "dog")},
            ["dog 0.750 1.0 2.0 3.2 4.0", "cat 0.500 0.0 0.0 8.0 8.0"],
        ),
        (
            {"holds": [False, True, True], "shares": [0.2, 0.5, 0.75]},
            dict.fromkeys(("holds", "shares"), ("wet", "cold", "dark")),
            ["holds", "  cold dark", "shares", "  dark 0.750", "  cold 0.500", "  wet 0.200"],
        ),
    ],
    ids=["detection", "labels"],
)
def test_its_example_tells_what_there_is_by_its_names(
    told, labels, lines, tmp_path, capsys, monkeypatch
):
    def tell(variables, images):
        there = jnp.isfinite(images.mean()).astype(jnp.int32)
        made = {name: jnp.asarray(x)[None] for name, x in told.items()}
        return {name: (x * there).astype(x.dtype) for name, x in made.items()}

    layout = parallel.create(settings.default().parallel, jax.device_count())
    made = Predictor(tell, {}, as_it_is, labels, Preprocess(8, 8), 1, layout, fit="letterbox")
    export.write(made, epath.Path(tmp_path))
    Image.new("L", (20, 10)).save(tmp_path / "a.png")
    monkeypatch.setattr("sys.argv", ["example.py", str(tmp_path / "a.png")])
    runpy.run_path(str(tmp_path / "example.py"))
    assert capsys.readouterr().out.splitlines() == lines


def close(found, own):
    """Within rounding of the largest."""
    np.testing.assert_allclose(found, own, atol=1e-5 * np.abs(own).max())


def images_of(predictor, count=3, size=0):
    shape = (count, size or predictor.shape[0], size or predictor.shape[1], predictor.channels)
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


# 16 channels and more take the CPU's own convolution, 65 tokens its own attention.
@pytest.mark.parametrize(
    "made",
    [
        lambda: predictor("deep_cnn", 16, channels=(64, 64), hidden=16),
        lambda: predictor("vit", 32, **TINY_VIT),
    ],
    ids=["convolutions", "attention"],
)
def test_the_forms_of_all_platforms_are_in_it(made, monkeypatch):
    found = made()
    monkeypatch.setattr(jax, "device_count", lambda *_: 1)  # with more, some forms are simpler
    exported = export.program(found)
    assert set(exported.platforms) == {"cpu", "cuda", "tpu"}
    images = images_of(found)
    own = jax.jit(found.predict)(found.variables, images)["logits"]
    close(called(exported, images)["logits"], own)


def test_where_jax_has_another_platform_the_references_are_in_it(monkeypatch):
    found = predictor("vit", 32, **TINY_VIT)
    images = images_of(found)
    own = jax.jit(found.predict)(found.variables, images)["logits"]
    others = export.program(found)
    monkeypatch.setattr(jax, "default_backend", lambda: "tpu")
    exported = export.program(found)
    monkeypatch.undo()
    choices = [program.mlir_module().count("stablehlo.case") for program in (exported, others)]
    assert choices[0] < choices[1]
    close(called(exported, images)["logits"], own)


def test_bf16_is_exported_as_it_is():
    found = predictor("vit", 32, dtype=jnp.bfloat16, **TINY_VIT)
    exported = export.program(found)
    assert "bf16" in exported.mlir_module()
    assert called(exported, images_of(found))["logits"].dtype == jnp.float32


def test_images_of_another_size_are_scaled_by_the_program(tmp_path):
    prepared = Preprocess(resize=20, channels="bgr", interpolation="bicubic")
    found = predictor("mlp", 16, prepared=prepared, hidden=(8,))
    images = images_of(found, size=33)
    fit = fitted(jnp.asarray(images), found.preprocess)
    own = found.predict(found.variables, fit)["logits"]
    files = export.write(found, epath.Path(tmp_path), input_size=33)
    exported = jax.export.deserialize(bytearray(files[0].read_bytes()))
    np.testing.assert_allclose(exported.call(images)["logits"], own, rtol=1e-5, atol=1e-5)
    about = json.loads(files[1].read_text())["input"]
    assert about["shape"] == ["batch", 33, 33, 3]
    assert (about["resize"], about["size"]) == (33, 33)


def test_without_flatbuffers_the_extra_is_named(monkeypatch, finished, capsys):
    find = importlib.util.find_spec
    gone = lambda name, *more: None if name == "flatbuffers" else find(name, *more)
    monkeypatch.setattr(importlib.util, "find_spec", gone)
    assert launch.main(["--mode=export", f"--workdir={finished}"]) == 2
    assert "pip install 'jaxdl[export]'" in capsys.readouterr().err
