"""Wrong training labels: how many, which, and nothing else."""

import numpy as np
import pytest

from jaxdl import config, data
from jaxdl.data import Arrays, folder, label_noise, training_batches
from jaxdl.errors import UserError


def load(**changed):
    return data.load({**config.default().data.to_dict(), **changed})


def everything(split):
    return split.take(np.arange(len(split)))


def wrong(share, **changed):
    """(clean data, noisy data, the places whose labels differ)."""
    clean, noisy = load(**changed), load(label_noise=share, **changed)
    return clean, noisy, np.flatnonzero(clean.train.labels != noisy.train.labels)


@pytest.mark.parametrize("share", [0.001, 0.2, 0.5, 0.999])
@pytest.mark.parametrize("eval_on", ["test", "validation"])
def test_exactly_the_share_of_the_training_labels_changes_and_nothing_else(share, eval_on):
    clean, noisy, changed = wrong(share, eval_on=eval_on)
    # No label is replaced by itself, or there would be fewer.
    assert len(changed) == round(share * len(clean.train))
    assert noisy.train.labels.dtype == clean.train.labels.dtype
    ours, theirs = everything(noisy.train), everything(clean.train)
    assert set(ours) == set(theirs) == {"image", "label"}
    np.testing.assert_array_equal(ours["image"], theirs["image"])
    np.testing.assert_array_equal(ours["label"], noisy.train.labels)
    assert ours["label"].dtype == theirs["label"].dtype
    for name, array in everything(clean.test).items():
        np.testing.assert_array_equal(everything(noisy.test)[name], array)
    assert noisy.class_names == clean.class_names
    np.testing.assert_array_equal(noisy.mean, clean.mean)


def test_without_noise_the_split_is_the_data_sets_own():
    assert isinstance(load(label_noise=0.0).train, Arrays)


def test_the_draw_follows_from_split_seed_alone():
    halves = dict(split="halves")  # which stay where they are, whatever the seed
    one, same = (wrong(0.3, **halves)[1].train.labels for _ in range(2))
    np.testing.assert_array_equal(one, same)
    places = [set(wrong(0.3, **halves, split_seed=seed)[2]) for seed in (0, 1)]
    size = len(one)
    assert len(places[0]) == len(places[1]) == round(0.3 * size)
    # Two draws of 30 % have 9 % in common, with a deviation of .3 x .7 / √size.
    assert len(places[0] & places[1]) / size == pytest.approx(0.09, abs=4 * 0.21 / size**0.5)


def test_a_larger_share_keeps_the_wrong_labels_of_a_smaller_one():
    few, many = (wrong(share) for share in (0.2, 0.6))
    np.testing.assert_array_equal(few[1].train.labels[few[2]], many[1].train.labels[few[2]])
    assert set(few[2]) < set(many[2])


def test_the_order_of_an_epoch_says_nothing_of_which_labels_are_wrong():
    size = 4000
    split = Arrays({"index": np.arange(size), "label": np.zeros(size, np.int32)})
    is_wrong = label_noise.symmetric(split, 0.5, range(2), 0).labels != 0
    for epoch in range(3):
        half = training_batches(split, size // 2, 0)(2 * epoch)["index"]
        assert is_wrong[half].mean() == pytest.approx(0.5, abs=4 * 0.5 / size**0.5)


def test_every_example_and_every_other_class_is_as_likely():
    size, classes = 30_000, 5
    old = np.arange(size) % classes
    found = label_noise.symmetric(Arrays({"label": old}), 0.4, range(classes), 7).labels
    table = np.zeros((classes, classes))
    np.add.at(table, (old, found), 1)
    each = size / classes
    wanted = each * (0.6 * np.eye(classes) + 0.1 * (1 - np.eye(classes)))
    deviation = np.sqrt(wanted * (1 - wanted / each))
    assert (np.abs(table - wanted) < 4 * deviation).all()
    changed = np.flatnonzero(found != old)
    np.testing.assert_allclose(
        np.histogram(changed, bins=10, range=(0, size))[0] / (size / 10), 0.4, atol=0.04
    )


def test_the_anomaly_stays_unseen():
    clean, noisy, changed = wrong(0.5, anomaly="3", eval_on="validation")
    assert len(changed) == round(0.5 * len(clean.train))
    assert sorted(set(noisy.train.labels)) == [0, 1, 2, 4, 5, 6, 7, 8, 9]
    assert (noisy.test.labels == 3).any()


def images_on_disk(root):
    from PIL import Image

    for c, name in enumerate(("cat", "dog", "owl")):
        (root / name).mkdir()
        for i in range(5):
            Image.new("RGB", (4, 4), (50 * c + i, 0, 0)).save(root / name / f"{i}.png")


def test_images_decoded_when_asked_for_get_the_labels_of_those_in_memory(tmp_path, monkeypatch):
    images_on_disk(tmp_path)
    own = dict(name="folder", path=str(tmp_path))
    _, in_memory, changed = wrong(0.5, **own)
    monkeypatch.setattr(folder, "_IN_MEMORY", 0)
    lazy = load(**own, label_noise=0.5)
    assert isinstance(lazy.train.split, folder.Images)
    assert (len(lazy.train), len(changed)) == (12, 6)
    chosen = np.array([7, 0, 7])
    for name, array in in_memory.train.take(chosen).items():
        np.testing.assert_array_equal(lazy.train.take(chosen)[name], array)
        np.testing.assert_array_equal(everything(lazy.train.subset(chosen))[name], array)
    np.testing.assert_array_equal(lazy.train.subset(chosen).labels, in_memory.train.labels[chosen])


class OddFirst(Arrays):
    """A split whose passes are not permutations, and whose batches' labels are of one byte."""

    def shuffled(self, rng):
        return np.concatenate([np.arange(1, len(self), 2), np.arange(1, len(self), 2)])

    def take(self, indices):
        return {**super().take(indices), "label": self.labels[indices].astype(np.uint8)}


def test_a_split_of_ones_own_keeps_its_passes_and_its_dtype():
    own = OddFirst({"index": np.arange(20), "label": np.arange(20) % 4})
    noisy = label_noise.symmetric(own, 0.5, range(4), 0)
    assert (noisy.labels != own.labels).sum() == 10
    found = training_batches(noisy, 20, 0)(0)
    odd = np.tile(np.arange(1, 20, 2), 2)
    np.testing.assert_array_equal(found["index"], odd)
    np.testing.assert_array_equal(found["label"], noisy.labels[odd])
    assert found["label"].dtype == np.uint8


def one_class(tmp_path):
    file = tmp_path / "own.npz"
    images = np.zeros((8, 4, 4), np.uint8)
    np.savez(file, x=images, y=np.zeros(8, int))
    return dict(name="npz", path=str(file))


@pytest.mark.parametrize(
    "settings, said",
    [
        (dict(name="karate"), "data.label_noise=0.1 is for labelled images: data set 'karate'"),
        (dict(name="none"), "data.label_noise=0.1 is for labelled images: data set 'none'"),
        (dict(name="mackey_glass"), "for labelled images: data set 'mackey_glass' has none"),
        (one_class, "takes two classes or more to learn from, and there is only '0'"),
    ],
)
def test_noise_without_a_class_to_draw_is_refused(settings, said, tmp_path):
    settings = settings(tmp_path) if callable(settings) else settings
    with pytest.raises(UserError) as caught:
        load(**settings, label_noise=0.1)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("share", [-0.1, 1.0, float("nan")])
def test_a_share_that_is_none_is_refused(share):
    made = config.default()
    made.model.name, made.steps = "mlp", 1
    made.data.label_noise = share
    with pytest.raises(UserError, match=r"data.label_noise=.* is not possible: at least 0 and"):
        config.validate(made)
