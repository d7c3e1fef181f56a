"""Scenes of real digits: what is where, who is in which part, and what cannot be asked for."""

import numpy as np
import pytest

from jaxdl import config as settings
from jaxdl import data as data_sets
from jaxdl.data import facts, fingerprint, scenes
from jaxdl.data.digits import digits
from jaxdl.errors import UserError


def load(**own):
    given = settings.default().data
    with given.unlocked():
        given.update({"name": "scenes", "examples": 96, "test_examples": 16} | own)
    return data_sets.load(given)


@pytest.fixture(scope="module")
def made():
    return load()


def test_the_arrays_and_what_is_known_of_them(made):
    shapes = {name: (x.shape, x.dtype.name) for name, x in made.train.arrays.items()}
    assert shapes == {
        "image": ((96, 96, 96, 1), "uint8"),
        "boxes": ((96, 6, 4), "float32"),
        "classes": ((96, 6), "int32"),
        "present": ((96, 6), "bool"),
        "mask": ((96, 96, 96), "uint8"),
    }
    assert made.class_names == tuple("0123456789")
    mean = made.train.arrays["image"].mean() / 255  # there are fewer than are looked at
    np.testing.assert_allclose(made.mean, mean, rtol=1e-6)
    known = facts.of(made)
    assert known.parts["test"].examples == 16
    assert known.parts["train"].class_counts == []  # an example is of no one class
    assert facts.read(facts.written(known)) == known


def test_boxes_lie_around_what_the_masks_show(made):
    arrays = made.train.arrays
    alone = 0
    for boxes, classes, present, mask in zip(
        *(arrays[name] for name in ("boxes", "classes", "present", "mask")), strict=True
    ):
        assert set(np.unique(mask)) - {0} <= set(1 + classes[present])
        outside = np.ones(mask.shape, bool)
        for (x0, y0, x1, y1), label in zip(
            boxes[present].astype(int), classes[present], strict=True
        ):
            outside[y0:y1, x0:x1] = False
            rows, columns = np.nonzero(mask == 1 + label)
            if (classes[present] == label).sum() == 1 and present.sum() == 1:
                alone += 1
                assert [x0, y0] == [columns.min(), rows.min()]
                assert [x1, y1] == [columns.max() + 1, rows.max() + 1]
        assert not mask[outside].any()
    assert alone > 5
    assert not arrays["boxes"][~arrays["present"]].any()


def test_numbers_sizes_and_how_far_they_overlap():
    found = load(examples=400, image_size=64).train.arrays
    boxes, present = found["boxes"], found["present"]
    counts = present.sum(1)
    assert counts.min() == 1
    assert counts.max() == 6
    assert (np.sort(~present, axis=1) == ~present).all()  # no gap
    sides = (boxes[..., 2:] - boxes[..., :2])[present]
    assert sides.min() >= 2
    assert sides.max() <= 24
    assert sides[:, 1].max() > 20
    assert boxes.min() >= 0
    assert boxes.max() <= 64
    shared = scenes._covered(boxes[:, :, None], boxes[:, None])
    shared = shared[
        np.triu(np.ones((6, 6), bool), 1)[None] & (present[:, None] & present[:, :, None])
    ]
    assert shared.max() <= 1 / 3
    assert (shared > 0.2).mean() > 0.01


def test_who_is_in_which_part_and_that_it_is_drawn_once(made, monkeypatch):
    of = {}

    def spy(shown, count, seed, **how):
        of[seed] = shown
        return real(shown, count, seed, **how)

    real = scenes.draw
    monkeypatch.setattr(scenes, "draw", spy)
    again = load()
    assert fingerprint.of(again.train) == fingerprint.of(made.train)
    whole = digits().train.arrays["image"]
    bytes_of = lambda seed: sorted(x.tobytes() for x in of[seed]["image"])
    assert sorted(bytes_of((0, 0)) + bytes_of((0, 1))) == sorted(x.tobytes() for x in whole)
    train, test = bytes_of((0, 0)), bytes_of((0, 1))
    chosen = load(eval_on="validation")
    assert sorted(bytes_of((0, 0)) + bytes_of((0, 2))) == train
    assert len(test) == 360
    assert fingerprint.of(chosen.test) != fingerprint.of(made.test)
    other = load(data_seed=1)
    assert fingerprint.of(other.test) != fingerprint.of(made.test)


def test_a_later_digit_lies_in_front():
    shown = {"image": np.ones((2, 8, 8, 1), np.float32), "label": np.array([3, 5])}
    how = dict(size=32, channels=1, least=2, most=2, scales=(1.0, 1.0))
    found = scenes.draw(shown, 200, (0,), **how)
    covered = 0
    for boxes, classes, mask in zip(found["boxes"], found["classes"], found["mask"], strict=True):
        x0, y0, x1, y1 = boxes[1].astype(int)
        assert (mask[y0:y1, x0:x1] == 1 + classes[1]).all()
        covered += (mask == 1 + classes[0]).sum() < 64 and classes[0] != classes[1]
    assert covered > 5


def test_colour():
    found = load(channels=3, least=2, most=2, image_size=128, examples=8)
    assert found.train.arrays["image"].shape == (8, 128, 128, 3)
    assert found.mean.shape == (3,)
    assert found.train.arrays["present"].shape == (8, 2)


@pytest.mark.parametrize(
    ("own", "says"),
    [
        (dict(image_size=16), r"data\.image_size=16 must be from 32"),
        (dict(channels=2), r"data\.channels=2 must be 1"),
        (dict(least=3, most=2), r"data\.least=3 and data\.most=2"),
        (dict(scales=(2.0, 1.0)), r"data\.scales=\(2\.0, 1\.0\) must be two numbers from 1 to 8"),
        (dict(scales=(1.0, 6.0), image_size=40), "from 1 to 5"),
        (dict(test_fraction=0.999), "cannot be split"),
        (dict(path="x"), "takes none"),
        (dict(labels_per_class=3), "is for labelled images"),
    ],
)
def test_what_cannot_be(own, says):
    with pytest.raises(UserError, match=says):
        load(**own)


def test_no_scenes():
    with pytest.raises(UserError, match=r"data\.test_examples=0"):
        scenes.scenes(test_examples=0)
