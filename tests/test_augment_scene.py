"""Scenes are augmented: image, mask and boxes go together, and what cannot be seen is gone."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl import config as settings
from jaxdl.data.augment import scene
from jaxdl.data.augment.geometry import with_boxes
from jaxdl.data.augment.transform import changed
from jaxdl.data.augment.window import random_window
from jaxdl.errors import UserError

H, W = 24, 32


def batch(seed=0, things=3, n=8, least=2, **further):
    """Grey scenes in which each thing is a rectangle of a grey level and a mask of its own."""
    rng = np.random.default_rng(seed)
    size = rng.integers(least, 9, (n, things, 2))
    low = (rng.random((n, things, 2)) * (np.array([W, H]) - size)).astype(int)
    boxes = np.concatenate([low, low + size], -1).astype(np.float32)
    image, mask = np.zeros((n, H, W, 1), np.float32), np.zeros((n, H, W), np.uint8)
    for i in range(n):
        for j, (x0, y0, x1, y1) in enumerate(boxes[i].astype(int)):
            image[i, y0:y1, x0:x1] = (1 + i * things + j) / 40
            mask[i, y0:y1, x0:x1] = 1 + i * things + j
    classes = np.arange(n * things, dtype=np.int32).reshape(n, things)
    present = np.ones((n, things), bool)
    return dict(image=image, mask=mask, boxes=boxes, classes=classes, present=present, **further)


@functools.cache
def compiled(own):
    return jax.jit(scene.create(dict(settings.default().augment_scene) | dict(own)))


def augmented(given, seed=0, **own):
    made = compiled(tuple(own.items()))(jax.random.key(seed), given)
    return {name: np.asarray(x) for name, x in made.items()}


def test_nothing_asked_for_changes_nothing():
    given = batch()
    made = augmented(given)
    assert set(made) == set(given)
    for name, x in given.items():
        np.testing.assert_array_equal(made[name], x)
        assert made[name].dtype == x.dtype


@pytest.mark.parametrize("own", [dict(mosaic=0.5, shift=6), dict(flip_vertical=True, shift=14)])
def test_a_thing_alone_is_where_its_box_is(own):
    # One thing a picture: nothing hides it, so that its pixels are its box, cut where it is.
    given = batch(things=1, n=48)
    made = augmented(given, **own)
    whole = (given["boxes"][..., 2:] - given["boxes"][..., :2]).prod(-1).ravel()
    gone, cut = 0, 0
    for image, mask, boxes, classes, present in zip(
        *(made[name] for name in ("image", "mask", "boxes", "classes", "present")), strict=True
    ):
        np.testing.assert_allclose(image[..., 0] * 40, mask, rtol=1e-6)
        found = dict(zip(classes[present], boxes[present], strict=True))
        assert len(found) == present.sum()  # of four pictures, one thing each
        assert not boxes[~present].any()
        for label in set(np.unique(mask) - 1) - {255}:
            rows, columns = np.nonzero(mask == 1 + label)
            assert (len(rows) >= 0.2 * whole[label]) == (label in found)
            gone += label not in found
            cut += len(rows) < whole[label]
            if label in found:
                ends = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
                np.testing.assert_array_equal(found[label], ends)
        assert set(found) <= set(np.unique(mask) - 1)
    assert gone
    assert cut > gone


def test_mosaic_joins_four_pictures_at_a_point():
    n = 8
    y, x = np.mgrid[:H, :W]
    own = np.broadcast_to(np.arange(n)[:, None, None], (n, H, W))
    image = np.stack([own, np.broadcast_to(y, own.shape), np.broadcast_to(x, own.shape)], -1)
    made = scene.mosaic(jax.random.key(3), {"image": image.astype(np.float32)}, 1.0)["image"]
    made, sizes = np.asarray(made).astype(int), set()
    for i, found in enumerate(made):
        of = found[..., 0]
        # The corners that meet are those of the pictures.
        cy, cx = (of[:, -1] != i).sum(), (of[-1] != i).sum()
        np.testing.assert_array_equal(found[..., 1], (y - cy) % H)
        np.testing.assert_array_equal(found[..., 2], (x - cx) % W)
        for k, quarter in enumerate((of[cy:, cx:], of[cy:, :cx], of[:cy, cx:], of[:cy, :cx])):
            assert (quarter == (i - k) % n).all()
        sizes.add((cy, cx))
    assert len(sizes) > 4


def test_mosaic_of_some_leaves_the_others_as_they_are():
    given = batch(n=32)
    made = {name: np.asarray(x) for name, x in scene.mosaic(jax.random.key(0), given, 0.5).items()}
    same = (made["image"] == given["image"]).all((1, 2, 3))
    assert 4 < same.sum() < 28
    assert made["boxes"].shape == (32, 12, 4)
    np.testing.assert_array_equal(made["boxes"][same][:, :3], given["boxes"][same])
    assert not made["present"][same][:, 3:].any()


def test_shares_of_one_cut_after_the_other_count_together():
    # Half is cut off in each of two steps: .25 is left; a third leaves .125, and it goes.
    boxes = np.array([[[0, 0, 8, 8]]], np.float32)
    whole = dict(
        image=np.zeros((1, H, W, 1), np.float32), boxes=boxes, present=np.ones((1, 1), bool)
    )
    moved = {**whole, "visible": np.ones((1, 1), np.float32)}
    half = lambda corners: corners - jnp.array([4.0, 0.0])
    for kept in (0.5, 0.25, 0.125):
        moved = changed(moved, **with_boxes(moved, half, H, W))
        assert float(moved["visible"][0, 0]) == kept
        assert scene.without_hidden(moved)["present"][0, 0] == (kept >= 0.2)
        moved["boxes"] = moved["boxes"] * jnp.array([2.0, 1, 2, 1])  # as a change of scale does


def test_crowds_are_not_present_and_go_as_the_others_do():
    crowd = np.zeros((8, 3), bool)
    crowd[:, 1] = True
    given = batch(crowd=crowd)
    given["present"] = ~crowd
    made = augmented(given, shift=12)
    assert not (made["crowd"] & made["present"]).any()
    there = made["crowd"] | made["present"]
    assert made["boxes"][there].any(-1).all()
    assert not made["boxes"][~there].any()
    assert 0 < made["crowd"].sum() < 8


def test_masks_alone_and_what_else_a_batch_has():
    given = batch()
    kept = {name: given[name] for name in ("image", "mask")} | {"name": np.arange(8)}
    made = augmented(kept, mosaic=1.0, flip=True)
    assert set(made) == set(kept)
    np.testing.assert_allclose(made["image"][..., 0] * 40, made["mask"], rtol=1e-6)
    np.testing.assert_array_equal(made["name"], kept["name"])


def test_the_same_key_draws_the_same_and_another_another():
    how = dict(mosaic=0.5, shift=6)  # as above, compiled
    one, same, other = (augmented(batch(things=1, n=48), seed, **how) for seed in (1, 1, 2))
    assert all(np.array_equal(one[name], same[name]) for name in one)
    assert not np.array_equal(one["boxes"], other["boxes"])


def test_all_at_once():
    how = dict(mosaic=1.0, zoom=0.3, shift=3, rotate=5.0, crop=0.5, brightness=0.2, flip=True)
    made = augmented(batch(n=16), **how)
    assert made["image"].min() >= 0
    assert made["image"].max() <= 1
    boxes = made["boxes"][made["present"]]
    assert (boxes[:, 2:] > boxes[:, :2]).all()
    assert (boxes >= 0).all()
    assert (boxes <= [W, H, W, H]).all()
    # A thing whose box is left is seen, in bulk: others hide some.
    seen = [
        (mask == 1 + label).any()
        for mask, classes, present in zip(
            made["mask"], made["classes"], made["present"], strict=True
        )
        for label in classes[present]
    ]
    assert np.mean(seen) > 0.85


@pytest.mark.parametrize("seen", ["mask", "boxes"])
def test_a_window_is_a_piece_around_a_thing(seen):
    n, side = 48, 12
    given = batch(things=1, n=n)
    given["boxes"][0], given["present"][0] = 0, False
    given["mask"][0], given["image"][0] = 0, 0
    # Where the piece was: two channels tell the row and the column.
    y, x = np.broadcast_arrays(*np.mgrid[:H, :W, :n].astype(np.float32)[:2])
    places = np.stack([y, x], -1).transpose(2, 0, 1, 3)
    given["image"] = np.concatenate([given["image"], places], -1)
    if seen == "boxes":
        given = {name: array for name, array in given.items() if name != "mask"}
    made = augmented(given, window=side)
    assert made["image"].shape == (n, side, side, 3)
    corner = made["image"][:, 0, 0, 1:].astype(int)
    inside = 0
    for i, (row, column) in enumerate(corner):
        cut = np.s_[row : row + side, column : column + side]
        np.testing.assert_array_equal(made["image"][i], given["image"][i][cut])
        if seen == "mask":
            np.testing.assert_array_equal(made["mask"][i], given["mask"][i][cut])
        if i == 0:
            continue
        own = given["boxes"][i, 0] - [column, row, column, row]
        left = np.clip(own, 0, side)
        visible = (left[2:] - left[:2]).prod() / (own[2:] - own[:2]).prod()
        assert made["present"][i, 0] == (visible >= 0.2)
        np.testing.assert_array_equal(made["boxes"][i, 0], left * (visible >= 0.2))
        # Of the thing something is in the middle half, as far as the edges let it be.
        free = [0 < row < H - side, 0 < column < W - side]
        for at in np.flatnonzero(free):
            assert own[1 - at] <= 9
            assert own[3 - at] >= 3
        inside += sum(free)
    assert inside > n / 2
    assert len(set(map(tuple, corner))) > n / 2


def test_each_pixel_of_a_thing_is_as_likely_to_be_windowed():
    n, side = 4000, 4
    mask = np.zeros((n, side, 64), np.uint8)
    mask[:, 1, 8:11], mask[:, 1, 40] = 7, 255
    image = np.broadcast_to(np.arange(64, dtype=np.float32)[:, None], (n, side, 64, 1))
    made = random_window(jax.random.key(0), {"image": image, "mask": mask}, side)
    left = np.asarray(made["image"][:, 0, 0, 0]).astype(int)
    # The piece begins one or two pixels to the left of each of the four.
    share = np.bincount(left, minlength=64)
    assert share.sum() == share[[6, 7, 8, 9, 38, 39]].sum()
    np.testing.assert_allclose(
        share[[6, 7, 8, 9, 38, 39]] / n, np.array([1, 2, 2, 1, 1, 1]) / 8, atol=0.03
    )


def test_a_window_of_what_has_nothing_is_anywhere():
    image = np.broadcast_to(np.arange(W, dtype=np.float32)[:, None], (400, H, W, 1))
    for rest in ({}, {"mask": np.zeros((400, H, W), np.uint8)}):
        made = random_window(jax.random.key(1), {"image": image, **rest}, 8)
        left = np.asarray(made["image"][:, 0, 0, 0])
        assert (left.min(), left.max()) == (0, W - 8)
        assert np.mean(left) == pytest.approx((W - 8) / 2, abs=2)
    with pytest.raises(UserError, match="window=25 is more than the images have, 24x32 pixels"):
        random_window(jax.random.key(1), {"image": image}, 25)


@pytest.mark.parametrize(
    ("name", "value"), [("mosaic", 1.5), ("crop", 0.0), ("zoom", -1.0), ("window", -1)]
)
def test_what_cannot_be(name, value):
    config = settings.default()
    config.epochs = 1.0
    config.augment_scene[name] = value
    with pytest.raises(UserError, match=f"config.augment_scene.{name}="):
        settings.validate(config)
