"""Batches of P classes by K examples: what is in them, and that they follow from (seed, step)."""

import numpy as np
import pytest
from launching import run
from test_rows import written

from jaxdl import config, data
from jaxdl.data import Arrays, training_batches
from jaxdl.data.class_batches import ClassBatches
from jaxdl.errors import UserError


def split(*sizes):
    labels = np.repeat(np.arange(len(sizes)), sizes)
    return Arrays({"image": np.arange(len(labels)), "label": labels})


def batches(of, count, seed=0):
    batch = training_batches(of, of.batch_size, seed)
    return [batch(step) for step in range(count)]


def test_a_batch_has_so_many_classes_of_so_many_examples():
    # No multiple of a batch: none may lie across the seam of two passes.
    of = ClassBatches(split(9, 4, 30, 7, 11), 3, 4)
    assert len(of) == 60
    for batch in batches(of, 60):
        classes, counts = np.unique(batch["label"], return_counts=True)
        assert (len(classes), set(counts)) == (3, {4})
        assert len(set(batch["image"])) == 12


def test_every_class_is_as_likely_and_within_it_every_example():
    of = ClassBatches(split(8, 80, 8), 2, 2)
    found = [batch["image"] for batch in batches(of, 6000)]
    seen = np.bincount(np.concatenate(found), minlength=96)
    # 24,000 draws, a third of each class. The deviation of a small class's 1,000 each is below 32.
    shares = [seen[:8].sum(), seen[8:88].sum(), seen[88:].sum()]
    np.testing.assert_allclose(shares, 8000, rtol=0.03)
    np.testing.assert_allclose(seen[[*range(8), *range(88, 96)]], 1000, atol=110)
    np.testing.assert_allclose(seen[8:88], 100, atol=40)


def test_within_a_pass_a_class_gives_all_before_it_gives_one_again():
    of = ClassBatches(split(40, 40), 2, 4)
    order = of.shuffled(np.random.default_rng(3))
    assert sorted(order) == list(range(80))


def test_a_class_of_too_few_is_repeated():
    for batch in batches(ClassBatches(split(1, 2, 9), 3, 4), 5):
        counts = np.bincount(batch["image"], minlength=12)
        assert counts[:3].tolist() == [4, 2, 2]
        assert counts[3:].max() == 1


def test_a_stream_follows_from_seed_and_step():
    of = lambda: ClassBatches(split(9, 4, 30, 7, 11), 3, 4)
    first, again, other = batches(of(), 12), batches(of(), 12), batches(of(), 12, seed=1)
    alone = training_batches(of(), 12, 0)
    for step in range(12):
        np.testing.assert_array_equal(first[step]["image"], again[step]["image"])
        np.testing.assert_array_equal(first[step]["image"], alone(step)["image"])
        part = training_batches(of(), 12, 0)(step, slice(3, 7))
        np.testing.assert_array_equal(first[step]["image"][3:7], part["image"])
    assert any((a["image"] != b["image"]).any() for a, b in zip(first, other, strict=True))


def test_what_cannot_be_is_told():
    with pytest.raises(UserError, match=r"class_batches=\(3, 2\): 3 classes, and .* has 2"):
        ClassBatches(split(5, 5), 3, 2)
    with pytest.raises(UserError, match="two classes at least"):
        ClassBatches(split(5, 5), 2, 1)


@pytest.mark.parametrize(
    "flags, says",
    [
        (["data.class_batches=(8,)"], "() or two whole numbers above 1"),
        (["data.class_batches=(4,1)"], "() or two whole numbers above 1"),
        (["data.class_batches=(11,4)"], "11 classes, and the training part has 10"),
        (["data.unseen=(5,'ten')"], "data.unseen"),
        (["data.unseen=(0,1,2,3,4,5,6,7,8,9)"], "leaves no class to learn from"),
    ],
)
def test_settings_that_cannot_be(flags, says, tmp_path, capsys):
    assert run("mlp", tmp_path / "run", *(f"--config.{flag}" for flag in flags)) == 2
    message = capsys.readouterr().err
    assert says in message
    assert message.count("\n") == 1


def test_texts_with_classes_have_such_batches(tmp_path):
    texts, labels = [f"text {i}" for i in range(40)], [f"c{i % 4}" for i in range(40)]
    given = dict(config.default().data, name="labelled_texts", context=12, class_batches=(2, 3))
    given["path"] = str(written(tmp_path / "a.csv", texts, labels))
    train = data.load(given).train
    assert (train.context, train.batch_size) == (12, 6)
    for step in range(3):
        found = training_batches(train, 6, 0)(step)
        assert found["tokens"].shape == (6, 12)
        assert sorted(np.bincount(found["label"], minlength=4)) == [0, 0, 3, 3]
    with pytest.raises(UserError, match=r"data.lengths=2 and data.class_batches exclude"):
        data.load({**given, "lengths": 2})


def test_other_texts_have_no_such_batches(tmp_path, capsys):
    assert run("gpt", tmp_path / "run", "--config.data.class_batches=(2,2)") == 2
    assert "data.class_batches=(2, 2) is for labelled images" in capsys.readouterr().err
