"""Batches, splits, and every kind of data set, whole and broken."""

import gzip
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from jaxdl import config, data
from jaxdl.data import IS_REAL, Arrays, folder, padded_batches, subsets, training_batches
from jaxdl.data.idx import read_idx
from jaxdl.errors import UserError

SIZES = st.integers(1, 40)


def load(**changed):
    return data.load({**config.default().data.to_dict(), **changed})


def refused(*words, **changed):
    """Asserts that loading fails with one line that has all ``words``."""
    with pytest.raises(UserError) as caught:
        load(**changed)
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert str(word) in message


def numbered(size):
    return Arrays({"index": np.arange(size), "label": np.arange(size) % 3})


def images_and_labels(size, seed=0, classes=2, side=4):
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (size, side, side), np.uint8)
    images[:, 0, 0] = np.arange(size)  # so that examples can be told apart
    return images, np.arange(size) % classes


def ids(split):
    """The examples of a split, by what `images_and_labels` wrote in their first pixel."""
    return split.take(np.arange(len(split)))["image"][:, 0, 0, 0].tolist()


# Batches


@given(size=SIZES, batch_size=SIZES, seed=st.integers(0, 2**40), step=st.integers(0, 100))
@settings(max_examples=50, deadline=None)
def test_a_batch_follows_from_seed_and_step_alone(size, batch_size, seed, step):
    fresh = training_batches(numbered(size), batch_size, seed)(step)
    used = training_batches(numbered(size), batch_size, seed)
    for other in (step + 7, 0, step, max(step - 1, 0), step + 1, 200):
        used(other)
    again = used(step)
    assert fresh["index"].shape == (batch_size,)
    np.testing.assert_array_equal(again["index"], fresh["index"])
    np.testing.assert_array_equal(again["label"], again["index"] % 3)


@given(size=SIZES, batch_size=SIZES, seed=st.integers(0, 1000))
@settings(max_examples=50, deadline=None)
def test_every_epoch_has_each_example_once(size, batch_size, seed):
    batches = training_batches(numbered(size), batch_size, seed)
    steps = -(-3 * size // batch_size)
    stream = np.concatenate([batches(i)["index"] for i in range(steps)])
    for epoch in range(3):
        seen = stream[epoch * size : (epoch + 1) * size]
        np.testing.assert_array_equal(np.sort(seen), np.arange(size))


def test_seeds_and_epochs_differ_in_order():
    first, other = (training_batches(numbered(50), 50, seed) for seed in (0, 1))
    orders = {tuple(batch["index"]) for batch in (first(0), first(1), first(2), other(0))}
    assert len(orders) == 4


@given(size=SIZES, batch_size=SIZES)
@settings(max_examples=50, deadline=None)
def test_padded_batches_have_each_example_once_in_order(size, batch_size):
    batches = [make() for make in padded_batches(numbered(size), batch_size)]
    assert all(b["index"].shape == b[IS_REAL].shape == (batch_size,) for b in batches)
    assert len(batches) == -(-size // batch_size)
    real = np.concatenate([b["index"][b[IS_REAL] == 1] for b in batches])
    np.testing.assert_array_equal(real, np.arange(size))
    assert sum(b[IS_REAL].sum() for b in batches) == size
    assert {float(m) for b in batches for m in b[IS_REAL]} <= {0.0, 1.0}


def test_a_data_sets_own_mask_survives_padding():
    masks = np.random.default_rng(0).integers(0, 2, (5, 2, 3))
    batches = [make() for make in padded_batches(Arrays({"mask": masks}), 4)]
    weights = [data.without_padding(batch, batch["mask"]) for batch in batches]
    padded = [masks[[0, 1, 2, 3]], masks[[4, 4, 4, 4]]]
    np.testing.assert_array_equal([batch["mask"] for batch in batches], padded)
    padded[1] = padded[1] * np.array([1, 0, 0, 0])[:, None, None]
    np.testing.assert_array_equal(weights, padded)
    np.testing.assert_array_equal(data.without_padding(batches[1]), [1, 0, 0, 0])
    assert data.without_padding({"mask": masks}) is None
    assert data.without_padding({"mask": masks}, masks) is masks


def test_an_array_of_paddings_name_is_refused():
    with pytest.raises(UserError, match=r"called 'is_real'.*call it something else"):
        padded_batches(Arrays({IS_REAL: np.ones(3)}), 2)


# Digits and synthetic images


def test_digits_are_1797_stratified_images():
    digits = load(name="digits")
    assert (len(digits.train), len(digits.test)) == (1437, 360)
    whole = np.concatenate([digits.train.labels, digits.test.labels])
    for part in (digits.train, digits.test):
        batch = part.take(np.arange(len(part)))
        assert batch["image"].shape == (len(part), 8, 8, 1)
        assert batch["image"].dtype == np.float32
        assert (batch["image"].min(), batch["image"].max()) == (0.0, 1.0)
        assert batch["label"].dtype == np.int32
        # Each class to within one example of its share.
        share = np.bincount(whole) * len(part) / 1797
        assert np.abs(np.bincount(part.labels) - share).max() < 1
    assert digits.class_names == tuple("0123456789")


def test_digits_statistics_are_those_of_the_training_part():
    digits = load(name="digits")
    pixels = digits.train.take(np.arange(1437))["image"].astype(np.float64)
    np.testing.assert_allclose(digits.mean, [pixels.mean()], rtol=1e-5)
    np.testing.assert_allclose(digits.std, [pixels.std()], rtol=1e-5)


def test_statistics_of_bytes_are_those_of_images_in_0_to_1(tmp_path):
    images, labels = images_and_labels(20)
    images = np.stack([images, 255 - images // 2], axis=-1)
    np.savez(tmp_path / "d.npz", x_train=images, y_train=labels, x_test=images, y_test=labels)
    found = load(name="npz", path=str(tmp_path / "d.npz"))
    scaled = images.astype(np.float64) / 255
    np.testing.assert_allclose(found.mean, scaled.mean((0, 1, 2)), rtol=1e-6)
    np.testing.assert_allclose(found.std, scaled.std((0, 1, 2)), rtol=1e-6)


def test_the_halves_split_keeps_the_order():
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    halves = load(name="digits", split="halves")
    np.testing.assert_array_equal(halves.train.labels, labels[:898])
    np.testing.assert_array_equal(halves.test.labels, labels[898:])
    np.testing.assert_array_equal(
        halves.test.take(np.array([0]))["image"].reshape(-1) * 16, images[898]
    )


def test_the_split_follows_from_its_seed_and_fraction(tmp_path):
    file = str(tmp_path / "d.npz")
    images, labels = images_and_labels(60)
    np.savez(file, x=images, y=labels)
    one, same, other = (ids(load(name="npz", path=file, split_seed=s).test) for s in (0, 0, 1))
    assert one == same
    assert sorted(one) != sorted(other)
    assert len(load(name="npz", path=file, test_fraction=0.5).test) == 30


@pytest.mark.parametrize("with_test_part", [False, True])
def test_validation_comes_out_of_the_training_part_and_leaves_the_test_part_unseen(
    tmp_path, with_test_part
):
    file = str(tmp_path / "d.npz")
    images, labels = images_and_labels(100)
    if with_test_part:
        arrays = dict(
            x_train=images[:80], y_train=labels[:80], x_test=images[80:], y_test=labels[80:]
        )
    else:
        arrays = dict(x=images, y=labels)
    np.savez(file, **arrays)
    usual = load(name="npz", path=file)
    chosen = load(name="npz", path=file, eval_on="validation")
    train, validation, test = (set(ids(s)) for s in (chosen.train, chosen.test, usual.test))
    assert (len(train), len(validation), len(test)) == (64, 16, 20)
    assert train | validation == set(ids(usual.train))
    assert not train & validation
    assert not test & (train | validation)
    np.testing.assert_array_equal(np.bincount(chosen.test.labels), [8, 8])
    both = load(name="npz", path=file, eval_on="both")
    assert [ids(s) for s in (both.train, both.watched)] == [
        list(ids(s)) for s in (chosen.train, chosen.test)
    ]
    assert ids(both.test) == ids(usual.test)


def test_both_parts_are_of_labelled_images_alone():
    with pytest.raises(
        UserError, match=r"data\.eval_on='both' is for labelled images: data set 'docstrings'"
    ):
        load(name="docstrings", eval_on="both")


def test_synthetic_images_are_500_of_28x28x1():
    synthetic = load(name="synthetic")
    batch = synthetic.train.take(np.arange(len(synthetic.train)))
    assert batch["image"].shape == (500, 28, 28, 1)
    assert batch["image"].dtype == np.uint8
    assert set(np.unique(batch["label"])) == set(range(10))
    assert len(synthetic.class_names) == 10
    other = load(name="synthetic", data_seed=1).train.take(np.arange(500))
    assert (other["image"] != batch["image"]).any()


def test_synthetic_images_take_any_shape():
    synthetic = load(name="synthetic", examples=7, image_size=5, channels=3, num_classes=4)
    assert synthetic.train.take(np.arange(7))["image"].shape == (7, 5, 5, 3)
    assert synthetic.class_names == ("0", "1", "2", "3")


def test_an_unknown_data_set_or_setting_is_named():
    refused("unknown data set 'digit'", "did you mean 'digits'", name="digit")
    refused("'synthetic'", "'exampels'", "did you mean 'examples'", name="synthetic", exampels=3)
    refused("data.path='somewhere'", "'digits'", name="digits", path="somewhere")
    refused("data.image_size=12", "'karate'", name="karate", image_size=12)


# Some of the classes, a few examples of each


def everything(split):
    return split.take(np.arange(len(split)))


def test_classes_are_kept_renumbered_in_the_order_given_and_in_their_own_part():
    whole, some = load(), load(classes=("7", 2))
    assert some.class_names == ("7", "2")
    for part in ("train", "test"):
        old, new = everything(getattr(whole, part)), everything(getattr(some, part))
        kept = np.isin(old["label"], (7, 2))
        np.testing.assert_array_equal(new["image"], old["image"][kept])
        np.testing.assert_array_equal(new["label"], np.where(old["label"][kept] == 7, 0, 1))
        assert new["label"].dtype == old["label"].dtype
    pixels = everything(some.train)["image"].astype(np.float64)
    np.testing.assert_allclose(some.mean, [pixels.mean()], rtol=1e-5)


@pytest.mark.parametrize("eval_on", ["test", "validation"])
@pytest.mark.parametrize("count", [1, 10])
def test_a_few_examples_of_each_class_follow_from_label_seed_alone(count, eval_on):
    own = dict(classes=(5, 6, 7, 8, 9), eval_on=eval_on)
    whole, one, same, other = (
        load(**own, labels_per_class=k, label_seed=seed)
        for k, seed in ((0, 0), (count, 0), (count, 0), (count, 1))
    )
    assert np.bincount(one.train.labels).tolist() == [count] * 5
    for name, array in everything(one.train).items():
        np.testing.assert_array_equal(array, everything(same.train)[name])
    assert (everything(one.train)["image"] != everything(other.train)["image"]).any()
    np.testing.assert_array_equal(everything(one.test)["image"], everything(whole.test)["image"])
    of = lambda data: {x.tobytes() for x in everything(data.train)["image"]}
    assert of(one) < of(whole)
    assert of(one) < of(load(**own, labels_per_class=count + 3))


def test_every_example_of_a_class_is_as_likely():
    split = Arrays({"label": np.repeat([0, 1], (4, 40)), "index": np.arange(44)})
    counts = np.zeros(44)
    for seed in range(400):
        counts[subsets.few(split, 2, ("a", "b"), seed).take(np.arange(4))["index"]] += 1
    wanted = np.repeat([200.0, 20.0], (4, 40))
    assert (np.abs(counts - wanted) < 4.5 * np.sqrt(wanted)).all()


def test_few_examples_are_repeated_in_a_pass():
    found = load(labels_per_class=2, repeat=3)
    assert len(found.train) == 60
    assert len({x.tobytes() for x in everything(found.train)["image"]}) == 20
    assert np.bincount(found.train.labels).tolist() == [6] * 10


@pytest.mark.parametrize("count", [4, 8])
def test_symmetries_make_classes_of_what_is_turned_and_mirrored(count):
    plain, found = (load(classes=(3, 5), symmetries=n) for n in (1, count))
    assert found.class_names[:4] == ("3", "5", "3 turned 90°", "5 turned 90°")
    assert len(found.class_names) == len(set(found.class_names)) == 2 * count
    for part in ("train", "test"):
        before, after = everything(getattr(plain, part)), everything(getattr(found, part))
        assert getattr(found, part).labels.tolist() == after["label"].tolist()
        size = len(before["label"])
        assert len(after["label"]) == count * size
        for s in range(count):
            image, label = (after[k][s * size : (s + 1) * size] for k in ("image", "label"))
            np.testing.assert_array_equal(label, before["label"] + 2 * s)
            for x, y in zip(before["image"], image, strict=True):
                # A turn to the left brings the last column to the top.
                x = x[:, ::-1] if s >= 4 else x
                for _ in range(s % 4):
                    x = np.stack([x[:, j] for j in reversed(range(x.shape[1]))])
                np.testing.assert_array_equal(x, y)


def test_unseen_classes_are_judged_unturned():
    plain, found = (load(unseen=(3, 5), symmetries=n) for n in (1, 8))
    assert set(found.train.labels.tolist()) == {k for k in range(80) if k % 10 not in (3, 5)}
    for name, array in everything(plain.test).items():
        np.testing.assert_array_equal(everything(found.test)[name], array)


def test_a_part_of_turned_examples_is_these():
    found = load(classes=(3, 5), symmetries=8).train
    chosen = np.random.default_rng(0).permutation(len(found))[:50]
    part = found.subset(chosen).subset(np.arange(10, 30))
    for name, array in found.take(chosen[10:30]).items():
        np.testing.assert_array_equal(part.take(np.arange(20))[name], array)
    np.testing.assert_array_equal(part.labels, found.labels[chosen[10:30]])


def test_more_classes_than_the_labels_dtype_holds_are_told_apart(tmp_path):
    file = str(tmp_path / "d.npz")
    labels = (np.arange(1000) % 200).astype(np.uint8)
    np.savez(file, x=np.zeros((1000, 2, 2, 1), np.uint8), y=labels)
    found = load(name="npz", path=file, symmetries=8).train
    assert set(everything(found)["label"].tolist()) == set(range(1600))


def test_symmetries_take_squares(tmp_path):
    file = str(tmp_path / "d.npz")
    np.savez(file, x=np.zeros((20, 4, 6, 1), np.uint8), y=np.arange(20) % 2)
    refused("data.symmetries=4", "4x6", name="npz", path=file, symmetries=4)


@pytest.mark.parametrize(
    "words, changed",
    [
        (("unknown class in data.classes 'x'", "one of: 0, 1"), dict(classes=("x",))),
        (("data.classes=(3, '3') has a class twice",), dict(classes=(3, "3"))),
        (("data.labels_per_class=9000", "class '0'", "training examples"),
         dict(labels_per_class=9000)),
        (("data.classes=(1,) is for labelled images", "'karate'"),
         dict(name="karate", classes=(1,))),
        (("data.labels_per_class=1 is for", "'none'"), dict(name="none", labels_per_class=1)),
        (("data.repeat=2 is for", "'none'"), dict(name="none", repeat=2)),
        (("data.symmetries and data.anomaly",), dict(symmetries=4, anomaly="3")),
    ],
)  # fmt: skip
def test_parts_that_cannot_be_are_refused(words, changed):
    refused(*words, **changed)


def test_a_class_without_examples_is_refused(tmp_path):
    images, labels = images_and_labels(20)
    held = dict(x_train=images, y_train=labels, x_test=images, y_test=np.zeros(20, int))
    np.savez(tmp_path / "d.npz", **held)
    own = dict(name="npz", path=str(tmp_path / "d.npz"))
    refused("the evaluation part has no example of class 1", **own, classes=(0, 1))


# npz


@pytest.mark.parametrize(
    "names",
    [
        ("x_train", "y_train", "x_test", "y_test"),
        ("train_images", "train_labels", "test_images", "test_labels"),
        ("image", "label"),
        ("images", "labels"),
        ("x", "y"),
    ],
)
def test_an_archive_is_read_by_any_usual_names(tmp_path, names):
    file = str(tmp_path / "d.npz")
    images, labels = images_and_labels(40)
    arrays = [images[:30], labels[:30], images[30:], labels[30:]]
    np.savez(file, **dict(zip(names, arrays, strict=False)))
    found = load(name="npz", path=file)
    if len(names) == 4:
        assert ids(found.train) == list(range(30))
        assert ids(found.test) == list(range(30, 40))
    else:
        assert sorted(ids(found.train) + ids(found.test)) == list(range(30))
        assert len(found.test) == 6
    assert found.class_names == ("0", "1")
    assert found.train.take(np.array([0]))["image"].shape == (1, 4, 4, 1)


def test_floating_images_and_labels_are_read(tmp_path):
    file = str(tmp_path / "d.npz")
    images = np.linspace(0, 1, 20 * 12).reshape(20, 2, 2, 3)
    np.savez(file, x=images, y=np.arange(20) % 2.0)
    found = load(name="npz", path=file)
    batch = found.train.take(np.arange(16))
    assert (batch["image"].dtype, batch["label"].dtype) == (np.float32, np.int32)
    assert batch["image"].shape == (16, 2, 2, 3)


IMAGES, LABELS = images_and_labels(20)
BAD_ARCHIVES = {
    "other names": (dict(pictures=IMAGES, y=LABELS), ("['pictures', 'y']", "x_train/y_train")),
    "no labels": (dict(x_train=IMAGES), ("['x_train']", "x_train/y_train")),
    "above 1": (dict(x=IMAGES / 128.0, y=LABELS), ("[0, 1]", ":x")),
    "below 0": (dict(x=IMAGES / 255.0 - 0.5, y=LABELS), ("[0, 1]", ":x")),
    "not a number": (dict(x=np.full((20, 4, 4), np.nan), y=LABELS), ("[0, 1]", "nan")),
    "wide integers": (dict(x=IMAGES.astype(np.int64), y=LABELS), ("uint8", "[0, 1]")),
    "too few labels": (dict(x=IMAGES, y=LABELS[:-1]), ("20 images", "19 labels")),
    "two axes": (dict(x=IMAGES.reshape(20, 16), y=LABELS), ("(n, h, w)", "(20, 16)")),
    "no examples": (dict(x=IMAGES[:0], y=LABELS[:0]), ("(0, 4, 4, 1)",)),
    "one-hot labels": (dict(x=IMAGES, y=np.eye(2)[LABELS]), ("labels", "(20, 2)")),
    "broken labels": (dict(x=IMAGES, y=LABELS + 0.5), ("labels", "float64")),
    "missing labels": (dict(x=IMAGES, y=np.where(LABELS, 1, np.nan)), ("labels", "float64")),
    "texts as labels": (dict(x=IMAGES, y=np.array(["cat", "dog"] * 10)), ("labels", "<U3")),
    "one label": (dict(x=IMAGES, y=np.array(3)), ("label",)),
    "texts as images": (dict(x=np.full((20, 4, 4), "a"), y=LABELS), ("images", "<U1")),
    "objects": (dict(x=np.array([None] * 20), y=LABELS), ("not a readable .npz",)),
    "negative label": (dict(x=IMAGES, y=LABELS - 1), ("label -1", "0 to 0")),
    "unknown label in the test part": (
        dict(x_train=IMAGES, y_train=LABELS, x_test=IMAGES[:3], y_test=np.array([0, 1, 2])),
        ("label 2 of test example 2", "2 classes"),
    ),
    "one example": (dict(x=IMAGES[:1], y=LABELS[:1]), ("1 example cannot be split",)),
}


@pytest.mark.parametrize("case", BAD_ARCHIVES)
def test_a_wrong_archive_is_told_in_one_line(tmp_path, case):
    arrays, words = BAD_ARCHIVES[case]
    file = tmp_path / "d.npz"
    np.savez(file, **arrays)
    refused(*words, name="npz", path=str(file))


def test_one_example_has_no_halves(tmp_path):
    file = tmp_path / "d.npz"
    np.savez(file, x=IMAGES[:1], y=LABELS[:1])
    refused("1 example", name="npz", path=str(file), split="halves")


def test_a_missing_archive_is_named(tmp_path):
    refused("data.path=''", ".npz", name="npz", path="")
    missing = str(tmp_path / "no.npz")
    refused(f"data.path='{missing}'", name="npz", path=missing)
    refused(f"data.path='{tmp_path}'", name="npz", path=str(tmp_path))


@pytest.mark.parametrize("how", ["a text", "cut short", "overwritten", "empty", "one array"])
def test_a_broken_archive_is_named(tmp_path, how):
    file = tmp_path / "d.npz"
    np.savez_compressed(file, x=IMAGES, y=LABELS)
    whole = file.read_bytes()
    if how == "one array":
        with file.open("wb") as stream:
            np.save(stream, IMAGES)
    else:
        file.write_bytes(
            {
                "a text": b"these are no arrays\n",
                "cut short": whole[: len(whole) // 2],
                "overwritten": overwritten(whole, 90, 50),
                "empty": b"",
            }[how]
        )
    refused(file, "not a readable .npz archive", name="npz", path=str(file))


# MNIST's files


def idx_bytes(array):
    header = struct.pack(">HBB", 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.astype(np.uint8).tobytes()


def overwritten(raw, start, count=40):
    return raw[:start] + b"\xff" * count + raw[start + count :]


def write_idx(root, separator="-", compress=False):
    for part, (images, labels) in (
        ("train", images_and_labels(12)),
        ("t10k", images_and_labels(6, seed=1)),
    ):
        for kind, array in (("images", images), ("labels", labels)):
            raw = idx_bytes(array)
            name = f"{part}-{kind}{separator}idx{array.ndim}-ubyte"
            if compress:
                (root / f"{name}.gz").write_bytes(gzip.compress(raw))
            else:
                (root / name).write_bytes(raw)


@pytest.mark.parametrize("inside", ["raw", "MNIST/raw"])
def test_mnists_files_are_found_where_torchvision_keeps_them(inside, tmp_path):
    (tmp_path / inside).mkdir(parents=True)
    write_idx(tmp_path / inside)
    found = load(name="idx", path=str(tmp_path))
    images, _ = images_and_labels(6, seed=1)
    np.testing.assert_array_equal(found.test.take(np.arange(6))["image"][..., 0], images)


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("separator", ["-", "."])
def test_mnist_files_are_read(tmp_path, separator, compress):
    write_idx(tmp_path, separator, compress)
    found = load(name="idx", path=str(tmp_path))
    for split, (images, labels) in (
        (found.train, images_and_labels(12)),
        (found.test, images_and_labels(6, seed=1)),
    ):
        batch = split.take(np.arange(len(split)))
        np.testing.assert_array_equal(batch["image"], images[..., None])
        np.testing.assert_array_equal(batch["label"], labels)


BAD_IDX = {
    "cut short": (lambda raw: raw[:-1], ("cut short", "(12, 4, 4)", "192", "191")),
    "cut in the header": (lambda raw: raw[:10], ("not an idx file",)),
    "empty": (lambda raw: b"", ("not an idx file",)),
    "no zeros in front": (lambda raw: b"\x01" + raw[1:], ("idx file", "01000803")),
    "floats": (lambda raw: raw[:2] + b"\x0d" + raw[3:], ("unsigned bytes", "00000d03")),
    "another format": (lambda raw: b"\x89PNG\r\n\x1a\n" + raw * 4, ("idx file", "89504e47")),
    "more axes than arrays have": (
        lambda raw: raw[:3] + bytes([200]) + struct.pack(">200I", *[1] * 200) + b"1",
        ("idx file", "000008c8"),
    ),
    "gzip cut short": (lambda raw: gzip.compress(raw)[:-12], ("not an idx file",)),
    "gzip overwritten": (
        # Where nothing repeats, gzip only copies, and only its checksum tells.
        lambda raw: overwritten(gzip.compress(bytes(range(250)) * 4), 20),
        ("not an idx file",),
    ),
    "labels in place of images": (lambda raw: idx_bytes(np.arange(12)), ("(12,)",)),
    "fewer images": (lambda raw: idx_bytes(IMAGES[:11]), ("11 images", "12 labels")),
}


@pytest.mark.parametrize("case", BAD_IDX)
def test_a_broken_mnist_file_is_named(tmp_path, case):
    write_idx(tmp_path)
    file = tmp_path / "train-images-idx3-ubyte"
    change, words = BAD_IDX[case]
    file.write_bytes(change(file.read_bytes()))
    refused(tmp_path, "train", *words, name="idx", path=str(tmp_path))


def test_a_missing_mnist_file_is_named(tmp_path):
    refused("data.path=''", "train-images-idx3-ubyte", name="idx", path="")
    write_idx(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte").unlink()
    refused("t10k-labels-idx1-ubyte", name="idx", path=str(tmp_path))


def test_idx_of_any_number_of_axes_is_read(tmp_path):
    for shape in ((5,), (2, 3), (1, 2, 3, 4)):
        array = np.arange(np.prod(shape)).reshape(shape)
        (tmp_path / "file").write_bytes(idx_bytes(array))
        np.testing.assert_array_equal(read_idx(tmp_path / "file"), array)


# A folder of class folders


def write_image(file, value, size=(6, 6), mode="RGB"):
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, value if mode == "L" else (value, 0, 255 - value)).save(file)


def write_classes(root, classes=("cat", "dog"), count=5, **options):
    for c, name in enumerate(classes):
        for i in range(count):
            write_image(root / name / f"{i}.png", 100 * c + 10 * i, **options)


def test_a_folder_without_parts_is_split(tmp_path):
    write_classes(tmp_path)
    found = load(name="folder", path=str(tmp_path))
    assert found.class_names == ("cat", "dog")
    assert (len(found.train), len(found.test)) == (8, 2)
    np.testing.assert_array_equal(np.bincount(found.test.labels), [1, 1])
    both = [s.take(np.arange(len(s))) for s in (found.train, found.test)]
    images, labels = (np.concatenate([b[k] for b in both]) for k in ("image", "label"))
    assert images.shape == (10, 6, 6, 3)
    assert images.dtype == np.uint8
    reds = [(100 * c + 10 * i, c) for c in (0, 1) for i in range(5)]
    expected = {(red, 0, 255 - red, c) for red, c in reds}
    assert {(*map(int, im[3, 3]), int(c)) for im, c in zip(images, labels, strict=True)} == expected


@pytest.mark.parametrize("test_name", ["test", "val", "valid", "validation"])
def test_a_folder_with_parts_is_taken_as_it_is(tmp_path, test_name):
    write_classes(tmp_path / "train", count=3)
    write_classes(tmp_path / test_name, classes=("dog",), count=2)
    found = load(name="folder", path=str(tmp_path))
    assert found.class_names == ("cat", "dog")
    assert (len(found.train), len(found.test)) == (6, 2)
    np.testing.assert_array_equal(found.test.labels, [1, 1])  # numbered as in train


def test_a_folder_with_train_alone_is_split(tmp_path):
    write_classes(tmp_path / "train")
    found = load(name="folder", path=str(tmp_path))
    assert (len(found.train), len(found.test)) == (8, 2)


def test_images_are_fitted_to_one_size(tmp_path):
    for name in ("a", "b"):
        for i in range(3):
            write_image(tmp_path / name / f"{i}.png", 30, size=(9, 7))
        write_image(tmp_path / name / "wide.jpg", 30, size=(20, 5))
        write_image(tmp_path / name / "WIDE.JPEG", 30, size=(5, 20))
        (tmp_path / name / "notes.txt").write_text("no image")
    for size, side in ((0, 7), (4, 4), (12, 12)):  # by default, the short side of the first image
        found = load(name="folder", path=str(tmp_path), image_size=size)
        assert found.train.take(np.arange(8))["image"].shape == (8, side, side, 3)
        assert (len(found.train), len(found.test)) == (8, 2)


def test_a_wide_image_loses_its_sides_and_is_not_squeezed(tmp_path):
    image = np.zeros((4, 12), np.uint8)
    image[:, 4:8] = 200  # the middle square
    file = tmp_path / "wide.png"
    Image.fromarray(image).save(file)
    found = folder.read_image(folder.epath.Path(file), 4, 1)
    np.testing.assert_array_equal(found, np.full((4, 4, 1), 200))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_grey_and_colour_are_turned_into_each_other(tmp_path, mode, channels):
    write_classes(tmp_path, mode=mode)
    found = load(name="folder", path=str(tmp_path), channels=channels)
    images = found.train.take(np.arange(8))["image"]
    assert images.shape == (8, 6, 6, channels)
    assert found.mean.shape == (channels,)
    if mode == "L" and channels == 3:
        np.testing.assert_array_equal(images[..., 0], images[..., 2])


def test_images_decoded_when_asked_for_equal_those_in_memory(tmp_path, monkeypatch):
    write_classes(tmp_path / "train")
    write_classes(tmp_path / "val", count=2)
    in_memory = load(name="folder", path=str(tmp_path), image_size=5)
    monkeypatch.setattr(folder, "_IN_MEMORY", 0)
    lazy = load(name="folder", path=str(tmp_path), image_size=5)
    assert isinstance(in_memory.train, Arrays)
    assert isinstance(lazy.train, folder.Images)
    for a, b in ((in_memory.train, lazy.train), (in_memory.test, lazy.test)):
        for index in (np.arange(len(a)), np.array([3, 0, 3])):
            one, other = a.take(index), b.take(index)
            assert set(one) == set(other)
            for key in one:
                assert one[key].dtype == other[key].dtype
                np.testing.assert_array_equal(one[key], other[key])
    chosen = lazy.train.subset(np.array([7, 1]))
    np.testing.assert_array_equal(
        chosen.take(np.array([1]))["image"], in_memory.train.take(np.array([1]))["image"]
    )
    np.testing.assert_array_equal(chosen.labels, in_memory.train.labels[[7, 1]])
    np.testing.assert_array_equal(lazy.mean, in_memory.mean)


@pytest.mark.parametrize("in_memory", [0, 2**30])
@pytest.mark.parametrize("broken", ["cut short", "a text", "empty"])
@pytest.mark.parametrize("position", ["0", "3"])
def test_a_broken_image_is_named(tmp_path, monkeypatch, in_memory, broken, position):
    write_classes(tmp_path, size=(40, 40))
    file = tmp_path / "dog" / f"{position}.png"
    if position == "0":  # the file whose size is looked at
        file = tmp_path / "cat" / "0.png"
    # Noise, so that half of the file is half of the pixels.
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)
    Image.fromarray(noise).save(file)
    raw = file.read_bytes()
    file.write_bytes({"cut short": raw[: len(raw) // 2], "a text": b"cat\n", "empty": b""}[broken])
    monkeypatch.setattr(folder, "_IN_MEMORY", in_memory)

    def load_and_take_all():
        found = load(name="folder", path=str(tmp_path))
        for split in (found.train, found.test):
            split.take(np.arange(len(split)))

    with pytest.raises(UserError) as caught:
        load_and_take_all()
    message = str(caught.value)
    assert message.startswith(f"{file} is a broken image")
    assert "\n" not in message


def test_a_wrong_folder_is_told_in_one_line(tmp_path):
    refused("data.path=''", "folder", name="folder", path="")
    refused(f"data.path='{tmp_path / 'no'}'", name="folder", path=str(tmp_path / "no"))
    refused(tmp_path, "no class folders", name="folder", path=str(tmp_path))
    write_classes(tmp_path / "train")
    (tmp_path / "train" / "emu").mkdir()
    refused(tmp_path / "train" / "emu", "no images", name="folder", path=str(tmp_path))


def test_a_class_that_only_the_test_part_has_is_named(tmp_path):
    write_classes(tmp_path / "train")
    write_classes(tmp_path / "val", classes=("cat", "emu"))
    refused("'emu'", tmp_path / "val", name="folder", path=str(tmp_path))


def test_an_empty_test_part_is_named(tmp_path):
    write_classes(tmp_path / "train")
    (tmp_path / "val").mkdir()
    refused(tmp_path / "val", "no images", name="folder", path=str(tmp_path))


@pytest.mark.parametrize("channels", [0, 2, 4])
def test_channels_are_1_or_3(tmp_path, channels):
    write_classes(tmp_path)
    refused("channels", channels, name="folder", path=str(tmp_path), channels=channels)
