"""Archives as published ones are, and how examples are held out where no part is."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from launching import ROOT, run, summary

from jaxdl import config, data, launch
from jaxdl.data.arrays import channels_first
from jaxdl.data.parts import stratified
from jaxdl.errors import UserError

IMAGES = np.random.default_rng(0).integers(0, 256, (60, 4, 4, 3), np.uint8)
IMAGES[:, 0, 0, 0] = np.arange(60)  # so that examples can be told apart
LABELS = np.arange(60) % 3


def load(tmp_path, arrays=None, **changed):
    if arrays:
        np.savez(tmp_path / "d.npz", **arrays)
    own = {"name": "npz", "path": str(tmp_path / "d.npz")}
    return data.load({**config.default().data.to_dict(), **own, **changed})


def everything(split):
    batch = split.take(np.arange(len(split)))
    order = np.argsort(batch["image"][:, 0, 0, 0])
    return batch["image"][order], batch["label"][order]


def parts(**named):
    """{array name: array} of consecutive examples: train=(images, labels, count)."""
    found, start = {}, 0
    for images, (labels, count) in named.items():
        found[images] = IMAGES[start : start + count]
        found[labels] = LABELS[start : start + count, None]
        start += count
    return found


MEDMNIST = dict(
    train_images=("train_labels", 30),
    val_images=("val_labels", 18),
    test_images=("test_labels", 12),
)


def test_medmnists_archives_are_read(tmp_path):
    usual = load(tmp_path, parts(**MEDMNIST))
    for part, rows in (
        ("train", slice(30)),
        ("validation", slice(30, 48)),
        ("test", slice(48, 60)),
    ):
        images, labels = everything(getattr(usual, part))
        np.testing.assert_array_equal(images, IMAGES[rows])
        np.testing.assert_array_equal(labels, LABELS[rows])
    assert usual.watched is usual.validation
    chosen = load(tmp_path, eval_on="validation")
    np.testing.assert_array_equal(everything(chosen.test)[0], IMAGES[30:48])
    np.testing.assert_array_equal(everything(chosen.train)[0], IMAGES[:30])
    assert (chosen.watched, chosen.validation, usual.notes) == (chosen.test, None, ())


@pytest.mark.parametrize(
    "names",
    [("X_train", "Y_train", "X_val", "y_val"), ("x_train", "y_train", "x_valid", "y_valid"),
     ("Train_Images", "Train_Labels", "VAL_IMAGES", "VAL_LABELS"), ("X", "y")],
)  # fmt: skip
def test_parts_are_known_by_their_usual_names(tmp_path, names):
    arrays = dict(zip(names, (IMAGES[:40], LABELS[:40], IMAGES[40:], LABELS[40:]), strict=False))
    found = load(tmp_path, arrays)
    if len(names) == 2:
        assert (len(found.train), len(found.test)) == (32, 8)
        return
    # Without a test part, what the data bring to choose by is measured on.
    np.testing.assert_array_equal(everything(found.test)[0], IMAGES[40:])
    np.testing.assert_array_equal(everything(found.train)[0], IMAGES[:40])


def test_a_part_without_labels_is_left_out_and_said(tmp_path):
    arrays = dict(x_train=IMAGES[:40], y_train=LABELS[:40], x_test=IMAGES[40:], y_tests=LABELS[40:])
    found = load(tmp_path, arrays)
    assert len(found.test) == 8
    assert found.notes == (f"{tmp_path / 'd.npz'}:x_test has no y_test, and is left out",)


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float32])
def test_labels_in_a_column_are_labels(tmp_path, dtype):
    found = load(tmp_path, dict(x=IMAGES, y=LABELS[:, None].astype(dtype)))
    labels = [everything(part) for part in (found.train, found.test)]
    for images, own in labels:
        np.testing.assert_array_equal(own, images[:, 0, 0, 0] % 3)


@pytest.mark.parametrize("labels", [np.eye(3)[LABELS], LABELS[None], LABELS[:, None, None]])
def test_labels_of_other_shapes_are_refused(tmp_path, labels):
    with pytest.raises(UserError, match="labels must be") as caught:
        load(tmp_path, dict(x=IMAGES, y=labels))
    assert str(labels.shape) in str(caught.value)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("scale", [1, 255])
def test_channels_in_front_are_put_behind_and_said(tmp_path, channels, scale):
    images = IMAGES[..., :channels] if scale == 1 else IMAGES[..., :channels] / 255
    first = np.moveaxis(images, -1, 1)
    arrays = dict(x_train=first[:40], y_train=LABELS[:40], x_test=images[40:], y_test=LABELS[40:])
    found = load(tmp_path, arrays)
    wanted = images[:40] if scale == 1 else images[:40].astype(np.float32)
    np.testing.assert_array_equal(everything(found.train)[0], wanted)
    assert everything(found.test)[0].shape == (20, 4, 4, channels)
    shape = (40, channels, 4, 4)
    where = f"{tmp_path / 'd.npz'}:x_train"
    assert found.notes == (f"{where} {shape} is taken as (n, channels, height, width)",)


@pytest.mark.parametrize(
    "shape, first",
    [((3, 32, 32), True), ((1, 28, 28), True), ((4, 20, 30), True), ((13, 64, 64), True),
     ((3, 4, 4), True), ((32, 32, 3), False), ((28, 28, 1), False), ((64, 64, 13), False),
     ((1, 30, 3), False), ((3, 3, 3), False), ((7, 7, 512), False), ((3, 20, 3), False),
     ((2, 2, 4), False), ((20, 30, 4), False)],
)  # fmt: skip
def test_where_the_channels_are_follows_from_the_shape(shape, first):
    assert channels_first((9, *shape)) is first
    assert not channels_first(shape)


def test_parts_of_other_sizes_are_refused(tmp_path):
    arrays = dict(x_train=IMAGES, y_train=LABELS, x_test=IMAGES[:5, :3, :3], y_test=LABELS[:5])
    with pytest.raises(UserError, match=r"test part are \(3, 3, 3\), for training \(4, 4, 3\)"):
        load(tmp_path, arrays)


# Held out


def test_the_only_example_of_a_class_is_learned_from_and_the_rest_is_stratified(tmp_path):
    labels = np.repeat([0, 1, 2, 3], [1, 40, 18, 1])
    for seed in range(10):
        found = load(tmp_path, dict(x=IMAGES, y=labels), split_seed=seed)
        assert np.bincount(found.train.labels).tolist() in ([1, 32, 14, 1], [1, 32, 15, 1])
        assert np.bincount(found.test.labels).tolist() in ([0, 8, 4], [0, 8, 3])
        words = "classes whose one example is learned from are not measured: '0', '3'"
        assert found.notes == (words,)
    assert load(tmp_path, dict(x=IMAGES, y=LABELS)).notes == ()


@given(
    counts=st.lists(st.integers(1, 12), min_size=1, max_size=12),
    fraction=st.floats(0.05, 0.95),
    seed=st.integers(0, 99),
)
@settings(max_examples=100, deadline=None)
def test_each_class_keeps_an_example_to_learn_from(counts, fraction, seed):
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    several = [n for n in counts if n > 1]
    try:
        first, second = stratified(labels, fraction, seed)
    except ValueError:  # nothing to draw from, or fewer to learn from than classes
        assert sum(several) - np.ceil(fraction * sum(several)) < len(several) or not several
        return
    np.testing.assert_array_equal(np.sort([*first, *second]), np.arange(len(labels)))
    assert set(labels[first]) == set(range(len(counts)))
    assert len(second)
    held = np.bincount(labels[second], minlength=len(counts))
    drawn = np.ceil(fraction * sum(several))
    if drawn < len(several):  # one each of as many classes
        assert held.max() == 1
        assert len(second) == drawn
        return
    counts = np.array(counts)
    wanted = np.where(counts > 1, counts * drawn / sum(several), 0)
    assert (held < wanted + 1).all()
    assert ((held > wanted - 1) | (held == counts - 1)).all()  # as many as there may be


def test_many_small_classes_are_held_out_as_far_as_they_go():
    labels = np.repeat(np.arange(100), 3)
    held = [stratified(labels, 0.2, seed)[1] for seed in range(50)]
    for second in held:
        assert len(second) == 60
        assert len(set(labels[second])) == 60
    # All are as likely.
    chosen = np.bincount(np.concatenate(held), minlength=300)
    assert abs(chosen - 10).max() < 4.5 * np.sqrt(10)


def test_where_each_class_is_there_twice_the_draw_is_scikit_learns(tmp_path):
    from sklearn.model_selection import train_test_split

    wanted = train_test_split(np.arange(60), test_size=0.2, random_state=3, stratify=LABELS)
    for ours, theirs in zip(stratified(LABELS, 0.2, 3), wanted, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_the_best_checkpoint_is_not_chosen_on_the_test_part(tmp_path, capsys):
    """Of two classes, validation holds one and test the other: the accuracies add up to 1."""
    both = np.repeat(IMAGES[:12], 2, axis=0)
    arrays = dict(
        train_images=np.moveaxis(IMAGES, -1, 1), train_labels=LABELS[:, None] % 2,
        val_images=both, val_labels=np.zeros((24, 1), int),
        test_images=both, test_labels=np.ones((24, 1), int),
    )  # fmt: skip
    np.savez(tmp_path / "d.npz", **arrays)
    own = ("--config.data.name=npz", f"--config.data.path={tmp_path / 'd.npz'}")
    own += ("--config.model.hidden=(8,)", "--config.augment.shift=0", "--config.steps=4")
    assert run("mlp", tmp_path / "run", *own, "--config.eval.every=1") == 0
    told = capsys.readouterr().err
    assert "is taken as (n, channels, height, width)" in told
    best = summary(tmp_path / "run")["best"]
    assert launch.main(["--mode=evaluate", f"--workdir={tmp_path / 'run'}",
                        f"--config={ROOT / 'experiments' / 'mlp.py'}"]) == 0  # fmt: skip
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    scored = [x for x in map(json.loads, lines) if x["split"] == "evaluate"]
    (line,) = scored
    assert line["step"] == best["step"]
    assert line["accuracy"] == pytest.approx(1 - best["accuracy"])
    watched = [x["accuracy"] for x in map(json.loads, lines) if x["split"] == "eval"]
    assert best["accuracy"] == max(watched)


def test_an_archive_to_be_measured_on_alone(tmp_path):
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (6, 4, 4), np.uint8), np.arange(6) % 3
    np.savez(tmp_path / "a.npz", x_test=images, y_test=labels, x_val=images[:3], y_val=labels[:3])
    given = {**config.default().data, "name": "npz", "path": str(tmp_path / "a.npz")}
    found = data.load(given, learns=False)
    assert found.train is None
    np.testing.assert_array_equal(found.test.take(np.arange(6))["image"][..., 0], images)
    assert len(data.load({**given, "eval_on": "validation"}, learns=False).test) == 3
    kept = data.load({**given, "classes": (2, 0)}, learns=False)
    assert (kept.class_names, kept.test.labels.tolist()) == (("2", "0"), [1, 0, 1, 0])
    with pytest.raises(UserError, match="has no training part"):
        data.load(given)
