"""Tables of numbers: what is read of good ones and said of bad ones, and how they are drawn."""

import json

import numpy as np
import pytest

from jaxdl import config as defaults
from jaxdl import data as data_sets
from jaxdl.data import Arrays, balanced, row_numbers, training_batches
from jaxdl.errors import UserError

ROWS = 40
VALUES = np.random.default_rng(0).normal([5, 1e3, -2], [1, 50, 0.1], (ROWS, 3))


def load(**changed):
    return data_sets.load({**defaults.default().data, "image_size": 0, **changed})


def written(path, **columns):
    """A table of these columns, as .csv or .jsonl."""
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return str(path)
    lines = [",".join(columns), *(",".join(map(str, row.values())) for row in rows)]
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def features():
    return {f"c{i}": VALUES[:, i].tolist() for i in range(3)}


def numbers(n):
    return [(3.5 * i) % 17 for i in range(n)]


def whole(found, name):
    """An array of all parts of some data, in the order of its first feature."""
    parts = [p for p in (found.train, found.test, found.validation) if p is not None]
    of = lambda key: np.concatenate([p.take(np.arange(len(p)))[key] for p in parts])
    return of(name)[np.argsort(of("features")[:, 0])]


@pytest.mark.parametrize("kind", [".csv", ".jsonl"])
def test_every_row_of_a_table_is_in_one_part_with_its_own_numbers(kind, tmp_path):
    y = numbers(ROWS)
    file = written(tmp_path / f"own{kind}", id=range(ROWS), y=y, **features())
    found = load(name="table", path=file, targets=("y",), ignored=("id",))
    assert (len(found.train), len(found.test), len(found.validation)) == (25, 8, 7)
    order = np.argsort(VALUES[:, 0])
    np.testing.assert_array_equal(whole(found, "features"), np.float32(VALUES[order]))
    np.testing.assert_array_equal(whole(found, "target")[:, 0], np.float32(y)[order])
    assert found.train.about == {"columns": ["c0", "c1", "c2"], "targets": ["y"]}
    own = found.train.arrays["features"].astype(np.float64)
    np.testing.assert_allclose(found.mean, own.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(found.std, own.std(axis=0), rtol=1e-6)


def test_classes_are_named_and_keep_their_share_of_every_part(tmp_path):
    kinds = ["cat" if i % 4 else "ant" for i in range(ROWS)]
    file = written(tmp_path / "own.csv", kind=kinds, **features())
    found = load(name="table", path=file, targets=("kind",), kind="class")
    assert found.class_names == ("ant", "cat")
    for part, share in ((found.train, 6), (found.test, 2), (found.validation, 2)):
        assert (part.labels == 0).sum() == share
    shown = np.array([kinds[i] == "cat" for i in np.argsort(VALUES[:, 0])])
    np.testing.assert_array_equal(whole(found, "label"), shown)


def test_labels_are_columns_of_what_holds(tmp_path):
    wet, cold = [i % 2 for i in range(ROWS)], [i % 3 == 0 for i in range(ROWS)]
    file = written(tmp_path / "own.jsonl", wet=wet, cold=cold, **features())
    found = load(name="table", path=file, targets=("wet", "cold"), kind="labels")
    assert found.class_names == ("wet", "cold")
    order = np.argsort(VALUES[:, 0])
    np.testing.assert_array_equal(whole(found, "labels"), np.stack([wet, cold], 1)[order])


def test_parts_of_a_folder_stay_what_they_are(tmp_path):
    for part, size in (("train", 20), ("test", 6), ("val", 5)):
        own = {name: column[:size] for name, column in features().items()}
        written(tmp_path / f"{part}.csv", y=numbers(size), **own)
    found = load(name="table", path=str(tmp_path), targets=("y",))
    assert (len(found.train), len(found.test), len(found.validation)) == (20, 6, 5)
    chosen = load(name="table", path=str(tmp_path), targets=("y",), eval_on="validation")
    assert len(chosen.test) == 5
    assert chosen.validation is None


@pytest.mark.parametrize(
    "kind, y, name",
    [
        ("numbers", np.arange(ROWS) / 7, "target"),
        ("class", np.arange(ROWS) % 3, "label"),
        ("labels", np.arange(2 * ROWS).reshape(ROWS, 2) % 3 == 0, "labels"),
    ],
)
@pytest.mark.parametrize("shape", [(3,), (4, 4)])
def test_archives_have_rows_or_images(kind, y, name, shape, tmp_path):
    x = np.random.default_rng(1).random((ROWS, *shape))
    np.savez(tmp_path / "own.npz", x_train=x, y_train=y)
    found = load(name="table", path=str(tmp_path / "own.npz"), kind=kind)
    given = found.train.take(np.arange(2))
    assert given.keys() == {"image" if len(shape) > 1 else "features", name}
    assert len(found.mean) == (1 if len(shape) > 1 else 3)
    assert len(found.train) + len(found.test) + len(found.validation) == ROWS


def test_rows_to_be_asked_about_are_found_by_the_names_of_their_columns(tmp_path):
    file = written(tmp_path / "asked.csv", other=["x"] * ROWS, **dict(reversed(features().items())))
    np.testing.assert_array_equal(row_numbers.asked(file, ("c0", "c1", "c2")), np.float32(VALUES))
    np.save(tmp_path / "asked.npy", VALUES)
    np.testing.assert_array_equal(
        row_numbers.asked(str(tmp_path / "asked.npy"), ("c0", "c1", "c2")), np.float32(VALUES)
    )


BAD = {
    "a text among numbers": (
        dict(c0=["1", "oops", "3"], y=[1, 2, 3]), {}, r"line 3: 'c0' must be a finite number, not"
    ),
    "an empty cell": (dict(c0=[1, "", 3], y=[1, 2, 3]), {}, r"line 3: 'c0' must be a finite"),
    "not finite": (dict(c0=[1, "nan", 3], y=[1, 2, 3]), {}, r"line 3: 'c0' must be a finite"),
    "beyond float32": (dict(c0=[1, 1e300, 3], y=[1, 2, 3]), {}, r"row 1, column 0 is 1e\+300"),
    "no such target": (dict(c0=[1, 2], z=[1, 2]), {}, r"data\.targets: has no 'y'"),
    "no such column": (
        dict(c0=[1, 2], y=[1, 2]), dict(ignored=("c1",)), r"data\.ignored: has no 'c1'"
    ),
    "nothing left": (dict(y=[1, 2]), {}, "has no column but y"),
    "two classes a row": (
        dict(c0=[1, 2], y=[1, 2]), dict(kind="class", targets=("y", "c0")), "must name one column"
    ),
    "no label": (dict(c0=[1, 2], y=[0, 2]), dict(kind="labels"), r"line 3: 'y' must be 1, for"),
    "unknown kind": (dict(c0=[1], y=[1]), dict(kind="clas"), "did you mean 'class'"),
    "too few digits": (
        dict(c0=[1e6 + i / 16 for i in range(20)], y=range(20)), {}, "float32 has too few digits"
    ),
    "no classes to balance": (
        dict(c0=range(20), y=range(20)), dict(balanced=True), "balanced=True needs one class"
    ),
    "a share of all": (
        dict(c0=range(20), y=range(20)), dict(validation_fraction=1.0), "below 1"
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_what_is_no_table_of_numbers_is_told_with_its_place(case, tmp_path):
    columns, settings, says = BAD[case]
    file = written(tmp_path / "own.csv", **columns)
    with pytest.raises(UserError, match=says):
        load(name="table", path=file, **{"targets": ("y",), **settings})


@pytest.mark.parametrize(
    "arrays, kind, says",
    [
        (dict(x_train=np.ones((4, 2)), y_train=np.ones(3)), "numbers", "4 rows, but what is told"),
        (dict(x_train=np.ones((4, 2)), y_train=np.arange(4)), "labels", "must be .n, labels. of 1"),
        (dict(x_train=np.full((4, 2), np.inf), y_train=np.ones(4)), "numbers", "column 0 is inf"),
        (dict(x_test=np.ones((4, 2)), y_test=np.ones(4)), "numbers", "nothing to learn from"),
        (
            dict(x_train=np.ones((4, 2)), y_train=np.arange(4) % 2, x_test=np.ones((2, 2)),
                 y_test=np.arange(2) + 1), "class", "test part go from 1 to 2, but must be from 0",
        ),
        (
            dict(x_train=np.ones((4, 2)), y_train=np.ones(4), x_test=np.ones((2, 3)),
                 y_test=np.ones(2)), "numbers", r"features of shape \(3,\), and the training part",
        ),
    ],
)  # fmt: skip
def test_what_is_no_archive_of_rows_is_told(arrays, kind, says, tmp_path):
    np.savez(tmp_path / "own.npz", **arrays)
    with pytest.raises(UserError, match=says):
        load(name="table", path=str(tmp_path / "own.npz"), kind=kind)


def test_a_column_that_is_always_the_same_divides_by_nothing(tmp_path):
    file = written(tmp_path / "own.csv", flat=[0.1] * 20, c=range(20), y=range(20))
    found = load(name="table", path=file, targets=("y",))
    assert found.std[0] == 1
    assert found.std[1] > 4


def test_embedded_tables_are_those_of_scikit_learn_and_parts_are_apart():
    from sklearn.datasets import load_breast_cancer

    found, whole_set = load(name="breast_cancer"), load_breast_cancer()
    rows = np.concatenate([p.arrays["features"] for p in (found.train, found.test,
                                                          found.validation)])  # fmt: skip
    assert len(np.unique(rows, axis=0)) == len(rows) == 569
    place = {tuple(row): i for i, row in enumerate(np.float32(whole_set.data))}
    of = [place[tuple(row)] for row in found.test.arrays["features"]]
    malignant = [whole_set.target_names[whole_set.target[i]] == "malignant" for i in of]
    np.testing.assert_array_equal(found.test.labels, malignant)


# Draws


def of_sizes(*sizes):
    labels = np.repeat(np.arange(len(sizes)), sizes).astype(np.int32)
    return Arrays({"number": np.arange(len(labels)), "label": labels})


@pytest.mark.parametrize("sizes", [(50, 3), (7, 1, 20), (4, 4, 4)])
def test_a_balanced_pass_has_all_classes_as_often_and_their_examples_too(sizes):
    split = balanced.create(of_sizes(*sizes))
    drawn = split.shuffled(np.random.default_rng((0, 3)))
    assert len(drawn) == len(split) == sum(sizes)
    counts = np.bincount(split.labels[drawn], minlength=len(sizes))
    assert counts.max() - counts.min() <= 1
    each = np.bincount(drawn, minlength=len(split))
    for label in range(len(sizes)):
        own = each[split.labels == label]
        assert own.max() - own.min() <= 1


def test_balanced_batches_follow_from_seed_and_step_alone():
    split = balanced.create(of_sizes(50, 3))
    one, other = training_batches(split, 8, 5), training_batches(split, 8, 5)
    later = other(11)["number"]
    batches = [one(step)["number"] for step in range(12)]
    np.testing.assert_array_equal(batches[11], later)
    np.testing.assert_array_equal(one(4, slice(2, 5))["number"], batches[4][2:5])
    assert not np.array_equal(batches[0], training_batches(split, 8, 6)(0)["number"])
    # Of the larger class other examples are left out in other passes.
    assert len(np.unique(np.concatenate([one(step)["number"] for step in range(120)]))) == 53


def test_balanced_digits_are_balanced_and_other_data_refuse():
    found = load(name="digits", classes=(0, 1), labels_per_class=0, balanced=True)
    drawn = found.train.labels[found.train.shuffled(np.random.default_rng(0))]
    assert abs(np.diff(np.bincount(drawn))) <= 1
    with pytest.raises(UserError, match=r"data.balanced=True is for labelled images: data set .ka"):
        load(name="karate", balanced=True)
    with pytest.raises(UserError, match=r"data.balanced and data.class_batches exclude"):
        load(name="digits", balanced=True, class_batches=(2, 2))
