"""Pix2Pix and CycleGAN as they are learned, judged and used: losses, pools, data, whole runs."""

import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny
from launching import assert_resumes_to_the_bit, built, learned, made, summary
from PIL import Image

from jaxdl import keys, launch, metrics
from jaxdl.data import Arrays, outlined_digits, turned_digits
from jaxdl.data.picture_pairs import picture_pairs
from jaxdl.data.two_kinds import TwoKinds
from jaxdl.data.unpaired_pictures import unpaired_pictures
from jaxdl.errors import UserError
from jaxdl.losses import gan
from jaxdl.tasks import image_translation as paired
from jaxdl.tasks import unpaired_translation as unpaired
from jaxdl.tasks.shared import image_pool, translating

RNG = np.random.default_rng(0)
KEY = keys.root(3)


@functools.cache
def small(name):
    """(experiment, state) of networks that have learned nothing."""
    one = built(name)
    return one, one.init_state()


def scaled(batch):
    return {name: 2 * jnp.asarray(batch[name]) - 1 for name in ("image", "target")}


def value(loss):
    return float(metrics.divide({"loss": loss.loss})["loss"])


# What is minimised


def test_the_losses_are_the_papers():
    real, fake = RNG.normal(size=(2, 3, 4, 4)).astype(np.float32)
    sigmoid = lambda x: 1 / (1 + np.exp(-x))
    crossed, squared = (gan.TRANSLATIONS[x] for x in ("cross_entropy", "least_squares"))
    log = lambda x: np.log(sigmoid(x))
    close = functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-6)
    close(crossed.discriminator(real, fake), -(log(real) + log(-fake)) / 2)
    close(crossed.generator(fake), -log(fake))
    close(squared.discriminator(real, fake), ((real - 1) ** 2 + fake**2) / 2)
    close(squared.generator(fake), (fake - 1) ** 2)
    close(gan.of_patches(real), real.reshape(3, -1).mean(1))


def test_pix2pix_minimises_what_the_authors_code_does():
    one, state = small("pix2pix")
    players = one.task.predict.args[0]
    batch = scaled(one.batch(0))
    nets, game = players.nets, players.game
    train = lambda module, side, x: module.apply(
        side.variables, x, train=True, mutable=["batch_stats"],
        rngs={"dropout": keys.named(KEY, "dropout")},
    )[0]  # fmt: skip
    made_ = train(nets.generator, state.generator, batch["image"])
    judge = lambda x: train(nets.discriminator, state.discriminator, x)
    join = lambda x: jnp.concatenate([batch["image"], x], axis=-1)
    fake, real = judge(join(made_)), judge(join(batch["target"]))
    wanted = game.generator(fake).mean() + 100 * jnp.abs(made_ - batch["target"]).mean()
    loss = paired.generator_loss(
        players,
        state.discriminator,
        state.generator.params,
        state.generator.model_state,
        batch,
        KEY,
    )
    assert value(loss) == pytest.approx(float(wanted), rel=1e-5)
    side = state.discriminator
    loss = paired.discriminator_loss(
        players, side.params, side.model_state, {**batch, "made": made_}, KEY
    )
    assert value(loss) == pytest.approx(float(game.discriminator(real, fake).mean()), rel=1e-5)
    # The pass over what was made comes second, and its statistics follow those of the first.
    old = side.model_state["batch_stats"]["norm_1"]["mean"]
    assert not np.array_equal(loss.model_state["batch_stats"]["norm_1"]["mean"], old)


def test_cyclegan_minimises_what_the_authors_code_does():
    one, state = small("cyclegan")
    players = one.task.predict.args[0]
    batch = scaled(one.batch(0))
    way = lambda name: (
        lambda x: players.nets.generator.apply({"params": state.generator.params[name]}, x)
    )
    judge = lambda name: (
        lambda x: players.nets.discriminator.apply({"params": state.discriminator.params[name]}, x)
    )
    (to, back), (of_target, of_image) = map(way, unpaired.WAYS), map(judge, unpaired.KINDS)
    a, b, mean = batch["image"], batch["target"], lambda x: jnp.abs(x).mean()
    wanted = ((of_target(to(a)) - 1) ** 2).mean() + ((of_image(back(b)) - 1) ** 2).mean()
    wanted += 10 * (mean(back(to(a)) - a) + mean(to(back(b)) - b))
    wanted += 10 * 0.5 * (mean(to(b) - b) + mean(back(a) - a))
    loss = unpaired.generator_loss(
        players, state.discriminator, state.generator.params, {}, batch, KEY
    )
    assert value(loss) == pytest.approx(float(wanted), rel=1e-5)
    fakes = {"made_target": to(a), "made_image": back(b)}
    loss = unpaired.discriminator_loss(
        players, state.discriminator.params, {}, {**batch, **fakes}, KEY
    )
    halves = [
        ((judge_(real) - 1) ** 2).mean() / 2 + (judge_(fake) ** 2).mean() / 2
        for judge_, real, fake in ((of_target, b, to(a)), (of_image, a, back(b)))
    ]
    assert value(loss) == pytest.approx(float(sum(halves)), rel=1e-5)


# The pool


def test_a_pool_keeps_while_there_is_room_and_then_changes_half():
    size, places = 4, 64
    pool = image_pool.empty(places, size, (1, 1, 1))
    exchange = jax.jit(image_pool.exchanged)
    numbered = lambda i: jnp.full((places, 1, 1, 1), i, jnp.float32)
    for i in range(size):
        seen, pool = exchange(pool, numbered(i), jax.random.fold_in(KEY, i))
        np.testing.assert_array_equal(seen, numbered(i))
    assert (pool.count == size).all()
    fresh, ages = 0, []
    for i in range(size, size + 40):
        before = np.asarray(pool.pictures).reshape(places, size)
        seen, pool = exchange(pool, numbered(i), jax.random.fold_in(KEY, i))
        seen, after = np.asarray(seen).ravel(), np.asarray(pool.pictures).reshape(places, size)
        own = seen == i
        fresh += own.sum()
        # Seen itself it is not kept; else it stands where the one that is seen stood.
        np.testing.assert_array_equal(before[own], after[own])
        changed = before[~own] != after[~own]
        assert (changed.sum(1) == 1).all()
        assert (after[~own][changed] == i).all()
        np.testing.assert_array_equal(before[~own][changed], seen[~own])
        ages.append((i - seen[~own]).mean())
    assert fresh / (40 * places) == pytest.approx(0.5, abs=0.05)
    # Each is changed with probability 1/8: it is seen 8 updates later on average.
    assert np.mean(ages[20:]) == pytest.approx(8, rel=0.15)


# Data


def test_outlines_have_a_neighbour_outside_and_are_told_apart_by_the_digits_alone():
    data = outlined_digits.outlined_digits()
    batch = data.train.take(np.arange(50))
    inked = batch["target"] >= 0.25
    assert ((batch["image"] == 1) <= inked).all()
    padded = np.pad(inked, ((0, 0), (1, 1), (1, 1), (0, 0)))
    around = [
        padded[:, 1 + y : 9 + y, 1 + x : 9 + x] for y, x in ((1, 0), (-1, 0), (0, 1), (0, -1))
    ]
    np.testing.assert_array_equal(batch["image"] == 1, inked & ~np.all(around, axis=0))
    other = outlined_digits.outlined_digits(made="outlines").train.take(np.arange(50))
    np.testing.assert_array_equal(other["image"], batch["target"])
    with pytest.raises(UserError, match=r"unknown data\.made 'digit'"):
        outlined_digits.outlined_digits(made="digit")


def test_no_digit_is_learned_from_in_both_ways_and_each_is_measured_in_both():
    data = turned_digits.turned_digits(degrees=90.0)
    upright, other = (x.take(np.arange(len(x)))["image"] for x in data.train.kinds)
    back = np.rot90(other, -1, axes=(1, 2))
    assert abs(len(upright) - len(back)) <= 1
    rows = lambda x: {tuple(row) for row in x.round(4).reshape(len(x), -1)}
    assert len(rows(upright) & rows(back)) <= 2  # a few are there twice in the data themselves
    test = data.test.take(np.arange(len(data.test)))
    np.testing.assert_allclose(np.rot90(test["target"], -1, axes=(1, 2)), test["image"], atol=1e-5)
    np.testing.assert_array_equal(test["label"], test["target_label"])
    with pytest.raises(UserError, match="from -180 to 180"):
        turned_digits.turned_digits(degrees=200.0)


def test_of_two_kinds_the_smaller_comes_again_but_counts_once():
    numbered = lambda n, start: Arrays({"image": start + np.arange(n).reshape(n, 1, 1, 1)})
    split = TwoKinds(numbered(5, 0), numbered(3, 10))
    batch = split.take(np.arange(5))
    assert batch["target"].ravel().tolist() == [10, 11, 12, 10, 11]
    assert batch["target_counts"].tolist() == [1, 1, 1, 0, 0]
    assert (len(split), batch["image_counts"].sum()) == (5, 5)
    assert split.fingerprint() != TwoKinds(numbered(5, 0), numbered(3, 11)).fingerprint()


def write(folder, *names, size=(8, 6), channels=3):
    """Pictures in files, each of one colour; their colours."""
    folder.mkdir(parents=True, exist_ok=True)
    colours = RNG.integers(0, 256, (len(names), channels), np.uint8)
    for name, colour in zip(names, colours, strict=True):
        Image.fromarray(np.broadcast_to(colour, (size[1], size[0], 3))).save(folder / name)
    return colours


def test_pairs_are_of_one_name_or_side_by_side(tmp_path):
    apart = tmp_path / "apart"
    a = write(apart / "trainA", "x.png", "y.png")
    b = write(apart / "trainB", "y.bmp", "x.bmp")[::-1]
    for part in "AB":
        write(apart / f"test{part}", "z.png")
    batch = picture_pairs(str(apart), image_size=4).train.take(np.arange(2))
    assert (batch["image"] == a[:, None, None]).all()
    assert (batch["target"] == b[:, None, None]).all()
    beside = tmp_path / "beside"
    for part in ("train", "test"):
        (beside / part).mkdir(parents=True)
        whole = np.concatenate([np.full((6, 5, 3), c, np.uint8) for c in (10, 200)], axis=1)
        Image.fromarray(whole).save(beside / part / "x.png")
    for made_, (first, second) in {"right": (10, 200), "left": (200, 10)}.items():
        batch = picture_pairs(str(beside), made_, 4, 1).test.take(np.arange(1))
        assert batch["image"].shape == (1, 4, 4, 1)
        assert (batch["image"] == first).all()
        assert (batch["target"] == second).all()


def test_folders_that_are_none_are_one_line(tmp_path):
    write(tmp_path / "trainA", "x.png", "y.png", "z.png")
    with pytest.raises(UserError, match="has no folder trainB"):
        picture_pairs(str(tmp_path))
    write(tmp_path / "trainB", "x.png", "w.png")
    with pytest.raises(
        UserError, match=r"has 3 pictures and .*trainB 2, and 3 are no pair"
    ) as error:
        picture_pairs(str(tmp_path))
    assert "'w' in" in str(error.value)
    assert "\n" not in str(error.value)
    data = unpaired_pictures(str(tmp_path), image_size=4, test_fraction=0.4)
    assert [len(x) for x in data.train.kinds] == [1, 1]
    assert [len(x) for x in data.test.kinds] == [2, 1]
    with pytest.raises(UserError, match="is no folder"):
        unpaired_pictures(str(tmp_path / "no"))
    with pytest.raises(UserError, match=r"image_size=0: set the pixels a side .* such as 256"):
        unpaired_pictures(str(tmp_path), image_size=0)
    write(tmp_path / "one", "x.png", size=(8, 4))
    with pytest.raises(UserError, match="1 example cannot be split: one part is to learn from"):
        picture_pairs(str(tmp_path / "one"), image_size=4)
    odd = tmp_path / "odd"
    write(odd / "train", "x.png", size=(7, 4))
    write(odd / "test", "x.png", size=(8, 4))
    with pytest.raises(UserError, match=r"x\.png is 7 x 4 pixels: two pictures side by side"):
        picture_pairs(str(odd), image_size=4)


# Use


def test_pictures_are_brought_to_the_size_or_taken_as_they_are():
    picture = RNG.integers(0, 256, (10, 13, 3), np.uint8)
    same = lambda state, images: images
    how = (same, (8, 8, 3), 4)
    assert translating.transform(*how, True, None, picture).shape == (8, 8, 3)
    np.testing.assert_array_equal(translating.transform(*how, False, None, picture), picture)
    sides = []
    seen = lambda state, images: sides.append(images.shape) or images
    translating.transform(seen, (8, 8, 3), 4, False, None, picture)
    assert sides == [(1, 12, 16, 3)]


BAD = {
    "pix2pix": {
        "--config.data.name=digits": "learns from 'target', and data set 'digits' has image, label",
        "--config.task.loss=hinge": "unknown loss 'hinge'",
        "--config.task.cycle=3.": "config.task has no key 'cycle'",
        "--config.task.discriminator_depth=2": "it takes 12 a side, or a smaller depth",
        "--config.model.depth=4": "8 x 8 pixels cannot be halved 4 times",
        "--config.model.name=edsr": "needs a model that makes pictures of pictures",
        "--config.model.channels=3": "config.model has no key 'channels'",
        "--config.task.distance=-1.": "config.task.distance=-1.0 must be at least 0",
        "--config.augment.flip=true": "uses nothing of config.augment",
    },
    "cyclegan": {
        "--config.task.pool=-1": "config.task.pool=-1 must be at least 0",
        "--config.task.distance=3.": "config.task has no key 'distance'",
        "--config.data.image_size=10 --config.model.halvings=2": "multiples of 4, and at least 8",
    },
}


@pytest.mark.parametrize("name, argument", [(name, x) for name, all_ in BAD.items() for x in all_])
def test_a_bad_setting_is_one_clear_line(name, argument):
    with pytest.raises(UserError) as error:
        made(name, *argument.split())
    assert "\n" not in str(error.value)
    assert BAD[name][argument] in str(error.value)


# Whole runs


@pytest.mark.parametrize("name", ["pix2pix", "cyclegan"])
def test_a_run_that_was_cut_ends_like_one_that_was_not_and_is_of_use(name, tmp_path, capsys):
    few = ("--config.ema=.9", "--config.checkpoint.every=6", "--config.log.report=true")
    assert_resumes_to_the_bit(name, tmp_path, *tiny.FLAGS[name], *few, at=6)
    folder = tmp_path / "whole"
    title, figures = {
        "pix2pix": ("Most wrong", {"psnr", "l1"}),
        "cyclegan": ("Images made targets", {"named_rightly", "image_cycle"}),
    }[name]
    assert f"<h2>{title}</h2>" in (folder / "report.html").read_text()
    assert figures <= set(summary(folder)["final"])
    own = tmp_path / "own"
    write(own, "a.png", "b.jpg", size=(30, 21))
    (own / "c.png").write_bytes(b"\x89PNG nothing")
    capsys.readouterr()
    assert launch.main(["--mode=predict", f"--workdir={folder}", f"--input={own}"]) == 2
    said = capsys.readouterr()
    assert "a.png  30 x 21 → 8 x 8" in said.out
    assert "1 of 3 pictures could not be read" in said.err
    with Image.open(folder / "pictures" / "a.png") as image:
        assert (image.mode, image.size) == ("L", (8, 8))
    lines = [json.loads(x) for x in (folder / "predictions.jsonl").read_text().splitlines()]
    assert [line["picture"] for line in lines] == ["pictures/a.png", "pictures/b.png"]
    argv = ["--mode=predict", f"--workdir={folder}", f"--input={own / 'a.png'}"]
    assert launch.main([*argv, "--config.task.resize=false"]) == 0
    with Image.open(folder / "pictures" / "a.png") as image:
        assert image.size == (30, 21)
    assert launch.main(["--mode=export", f"--workdir={folder}", "--input_size=32"]) == 2
    assert "takes images of the size that it learned from" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["pix2pix", "cyclegan"])
def test_eight_devices_learn_and_measure_as_one_does(name):
    found = []
    for devices in (1, 8):
        flags = (f"--config.parallel.data={devices}", "--config.batch_size=16")
        _, state, of_step = learned(3, name, *flags)
        found.append(of_step)
        found[-1] |= {
            "pool": float(
                sum(jnp.abs(x).mean() for x in jax.tree.leaves(getattr(state, "pools", ())))
            )
        }
    assert found[1] == pytest.approx(found[0], rel=2e-3, abs=1e-4)
