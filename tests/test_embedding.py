"""Images to vectors: what is compared, on devices too, what a run leaves, and what it refuses."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny
from launching import (
    REPORT,
    assert_resumes_to_the_bit,
    built,
    learned,
    leaves,
    run,
    summary,
)
from PIL import Image
from test_rows import written

from jaxdl import keys
from jaxdl.parallel import replicas
from jaxdl.tasks.shared import comparing, embedded, probing, trunks

SMALL = tiny.FLAGS["embedding"]
SGD = ("--config.optimizer.name=sgd", "--config.optimizer.b1=none", "--config.optimizer.b2=none",
       "--config.optimizer.learning_rate=.1")  # fmt: skip
RNG = np.random.default_rng(0)


@pytest.mark.parametrize("name", comparing.KINDS)
def test_parts_of_a_batch_on_several_devices_are_compared_as_one(name):
    kind, terms = comparing.create(name)
    labels = jnp.asarray(np.tile(np.arange(4), 2))
    centres = jnp.asarray(RNG.normal(size=(4, 3)), jnp.float32)
    x = jnp.asarray(RNG.normal(size=(kind.views, 8, 3)), jnp.float32)

    def loss(x, labels):
        found = comparing.over_devices(terms, kind.views, x.reshape(-1, 3), labels, centres, None)
        return found.total.sum(), found.count.sum()

    both = jax.value_and_grad(loss, has_aux=True)
    (whole, whole_count), whole_slope = jax.jit(both)(x, labels)
    parts = x.reshape(kind.views, 4, 2, 3).swapaxes(0, 1)
    with replicas.mapped_over("devices"):
        mapped = jax.jit(jax.vmap(both, axis_name="devices"))
        (part, count), slope = mapped(parts, labels.reshape(4, 2))
    np.testing.assert_allclose(part.sum(), whole, rtol=1e-5)
    assert count.sum() == whole_count
    slope = slope.swapaxes(0, 1).reshape(x.shape)
    np.testing.assert_allclose(slope, whole_slope, rtol=1e-4, atol=1e-5)


def test_two_views_are_of_one_image_and_differ():
    augment = lambda key, batch: {"image": batch["image"] + jax.random.uniform(key, (4, 1, 1, 1))}
    batch = {"image": np.full((4, 8, 8, 1), 51, np.uint8), "label": np.arange(4)}
    images = trunks.image_views(augment, lambda x: 2 * x, 2, batch, keys.root(0))
    moved = (images / 2 - 0.2)[:, 0, 0, 0]
    assert images.shape == (8, 8, 8, 1)
    assert len(set(np.asarray(moved).tolist())) == 8
    assert ((moved > -1e-6) & (moved < 1)).all()


def test_a_projection_is_for_training_alone():
    one, state, found = learned(1, "embedding:simclr", "--config.batch_size=8")
    assert {"projection"} <= {*state.params}
    vectors = one.task.predict(state, np.zeros((2, 8, 8, 1), np.uint8))["vector"]
    assert vectors.shape == (2, 16)  # of the network, not of the projection
    np.testing.assert_allclose(jnp.square(vectors).sum(axis=1), 1, rtol=1e-5)
    assert np.isfinite(found["loss"])


def test_beside_their_pixels_images_are_as_alike_as_both_say():
    images = RNG.integers(0, 256, (4, 8, 8, 1), np.uint8)
    alone, beside = (built("embedding", f"--config.task.pixels={x}") for x in (0.0, 0.5))
    state = alone.init_state()
    own, both = (jax.jit(one.task.predict)(state, images)["vector"] for one in (alone, beside))
    assert both.shape == (4, own.shape[1] + 64)
    flat = images.reshape(4, -1) / np.linalg.norm(images.reshape(4, -1), axis=1, keepdims=True)
    np.testing.assert_allclose(
        both @ both.T, (own @ own.T + 0.25 * flat @ flat.T) / 1.25, rtol=1e-5, atol=1e-6
    )


def test_devices_and_time_change_no_number(tmp_path):
    # Each device of a pmap draws its own augmentation.
    still = (f"--config.augment.{name}=0" for name in ("shift", "rotate", "zoom"))
    small = (*SMALL, *SGD, *still, "--config.ema=.9")
    assert_resumes_to_the_bit("embedding", tmp_path, *small, "--config.checkpoint.every=5", at=5)
    for how in (("data=8",), ("data=4", "strategy=pmap")):
        many = tmp_path / how[-1]
        assert run("embedding", many, *small, *(f"--config.parallel.{x}" for x in how)) == 0
        for a, b in zip(leaves(tmp_path / "whole"), leaves(many), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_members_of_a_population_are_runs_by_themselves(tmp_path):
    small = (*SMALL, "--config.eval.every=12", "--config.optimizer.eps=1e-3")
    sweep = "--config.sweep=task.temperature=.1,.5"
    assert run("embedding", tmp_path / "both", *small, "--config.population=1", sweep) == 0
    both = summary(tmp_path / "both")["members"]
    for member, value in zip(both, (0.1, 0.5), strict=True):
        alone = tmp_path / str(value)
        assert run("embedding", alone, *small, f"--config.task.temperature={value}") == 0
        assert member["final"] == pytest.approx(summary(alone)["final"], rel=1e-3)


def assert_rows_of_length_1(folder, dimensions, *, like, unlike):
    """embeddings.npy has three rows, of which two are the same and two are not."""
    rows = np.load(folder / "embeddings.npy")
    assert (rows.shape, rows.dtype) == ((3, dimensions), np.float32)
    np.testing.assert_allclose(np.square(rows).sum(axis=1), 1, rtol=1e-3)
    np.testing.assert_array_equal(*rows[[*like]])
    assert np.abs(np.subtract(*rows[[*unlike]])).max() > 0.01


def test_a_run_reports_and_writes_its_vectors(tmp_path, capsys):
    """In bf16, by angles, with a linear probe; and pictures become rows."""
    flags = (*SMALL, "--config.task.loss=arcface", "--config.task.scale=8", "--config.steps=40",
             "--config.eval.every=40", "--config.precision=bf16", "--config.task.probe=(5,)",
             "--config.task.temperature=0")  # fmt: skip
    assert run("embedding", tmp_path, *flags, REPORT) == 0
    found = summary(tmp_path)["final"]
    assert {*found} >= {"recall_at_1", "recall_at_5", "map_at_r", "nmi", "probe_5", "pixels_5"}
    assert 0.5 < found["recall_at_1"] < 1
    assert 0.6 < found["pixels_5"] < 0.95
    page = (tmp_path / "report.html").read_text()
    for heading in ("Map", "Most mistaken"):
        assert f"<h2>{heading}</h2>" in page
    folder = tmp_path / "pictures"
    folder.mkdir()
    image = RNG.integers(0, 256, (8, 8), np.uint8)
    for name in ("a", "b"):
        Image.fromarray(image).save(folder / f"{name}.png")
    Image.fromarray(255 - image).save(folder / "c.png")
    ask = (f"--input={folder}", "--mode=predict")
    assert run("embedding", tmp_path, *flags, *ask) == 0
    assert_rows_of_length_1(tmp_path, 8, like=(0, 1), unlike=(0, 2))
    assert "embeddings.npy" in capsys.readouterr().out


def test_texts_become_vectors(tmp_path):
    """A run on a table, what it reports, and what it says of a file."""
    texts = [f"{word} {i}" for i in range(12) for word in ("red", "green", "blue", "white")]
    table = written(tmp_path / "a.csv", texts, ["red", "green", "blue", "white"] * 12)
    small = (*tiny.FLAGS["embedding:texts"], "--config.data.name=labelled_texts",
             f"--config.data.path={table}", "--config.data.context=12",
             "--config.data.class_batches=(4,4)", "--config.task.dimensions=4",
             "--config.task.loss=supervised_contrastive", "--config.task.scale=0",
             "--config.task.margin=0", "--config.data.test_fraction=.5", "--config.steps=40",
             "--config.eval.every=40")  # fmt: skip
    folder = tmp_path / "run"
    assert run("embedding:texts", folder, *small, REPORT) == 0
    assert summary(folder)["final"]["recall_at_1"] > 0.5
    page = (folder / "report.html").read_text()
    assert "<h2>Map by t-SNE</h2>" in page
    (tmp_path / "asked.txt").write_text("red 1\nwhite 3\nred 1\n")
    asked = ("--mode=predict", f"--input={tmp_path / 'asked.txt'}")
    assert run("embedding:texts", folder, *small, *asked) == 0
    assert_rows_of_length_1(folder, 4, like=(0, 2), unlike=(0, 1))


def test_a_text_is_seen_twice_by_dropout():
    batch = {"tokens": np.arange(6).reshape(2, 3), "mask": np.ones((2, 3), bool)}
    tokens, segments, mask = trunks.text_views(2, batch)
    np.testing.assert_array_equal(tokens, [[0, 1, 2], [3, 4, 5]] * 2)
    assert (segments, mask.shape) == (None, (4, 3))


def test_a_probe_of_few_labels():
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1, 2], 60)
    x = rng.normal(size=(180, 2)) + np.array([[0, 0], [9, 0], [0, 9]])[y]
    learned, asked = (x[::2], y[::2]), (x[1::2], y[1::2])
    assert probing.accuracy(learned, asked, 5) > 0.97
    assert probing.accuracy((0 * x, y), (0 * x, y), 5) == pytest.approx(1 / 3)
    assert np.isnan(probing.accuracy((np.nan * x, y), asked, 5))
    rows = probing.few(np.array([0, 0, 0, 1]), 2, 0)
    assert sorted(np.array([0, 0, 0, 1])[rows]) == [0, 0, 1]


def test_pictures_of_vectors_that_are_all_alike_or_all_right():
    shown = lambda places, captions, caption, columns: (*places.tolist(), *captions)
    x, names = np.eye(4)[[0, 0, 1, 1]], ("one", "two")
    right = embedded.pictures(x, np.array([0, 0, 1, 1]), names, shown)
    assert right["Most mistaken"].startswith("The nearest of 0 of 4 examples is of another class")
    wrong = embedded.pictures(np.ones((4, 1)), np.array([0, 1, 0, 1]), names, shown)
    assert wrong["Most mistaken"][:4] == (0, 1, 2, 3)
    assert {*wrong} == {"Map", "Most mistaken"}  # t-SNE finds nothing to place


@pytest.mark.parametrize(
    "flags, message",
    [
        (("task.loss=softmax",), "'softmax'"),
        (("task.mining=hard",), "config.task.mining='hard': loss 'supervised_contrastive' has no"),
        (("task.loss=triplet", "task.temperature=0", "task.mining=harder"), "'harder'"),
        (("task.temperature=-1",), "config.task.temperature=-1.0 must be at least 0"),
        (("task.loss=arcface", "task.temperature=0", "task.margin=2."), "must be below π/2"),
        (("data.class_batches=()",), "set data.class_batches to (classes, examples of each)"),
        (("batch_size=32",), "config.batch_size=32 must be 4 x 4 = 16"),
        (("accumulate=2",), "config.accumulate=2: config.task.loss='supervised_contrastive'"),
        (("augment.mixup=.2",), "config.augment.mixup=0.2 mixes classes"),
        (("task.recalls=()",), "config.task.recalls=() must have a number"),
        (("task.probe=(0,)",), "config.task.probe=(0,) must be whole numbers above 0"),
        (("task.dimensions=0",), "config.task.dimensions=0 must be at least 1"),
        (("data.unseen=(12,)",), "class in data.unseen"),
    ],
)
def test_settings_that_cannot_be(flags, message, tmp_path, capsys):
    given = (f"--config.{flag}" for flag in flags)
    assert run("embedding", tmp_path / "run", *SMALL, *given) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    "flags, message",
    [
        (("augment.shift=1",), "config.augment.shift=1 is of images, and these examples are texts"),
        (("task.probe=(1,)",), "config.task.probe=(1,) is compared with one on pixels"),
        (("task.pixels=1.",), "config.task.pixels=1.0 is of images, and these examples are texts"),
        (
            ("task.loss=nt_xent", "task.scale=0", "task.margin=0", "model.dropout=0."),
            "set config.model.dropout, such as 0.1",
        ),
        (("data.lengths=2",), "data.lengths=2 and data.class_batches exclude each other"),
    ],
)
def test_settings_that_texts_cannot_have(flags, message, tmp_path, capsys):
    given = (f"--config.{flag}" for flag in flags)
    assert run("embedding:texts", tmp_path / "run", *tiny.FLAGS["embedding:texts"], *given) == 2
    # Texts that were cut are noted before.
    said = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("note: ")]
    assert len(said) == 1
    assert message in said[0]


def test_classes_that_are_judged_alone():
    one = built("embedding:unseen")
    # Turned and mirrored, those of ten classes each time.
    assert {label % 10 for label in one.run.data.train.labels} == {0, 1, 2, 3, 4}
    assert sorted(set(one.run.data.test.labels)) == [5, 6, 7, 8, 9]
