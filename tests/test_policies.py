"""RandAugment, AugMix and random erasing: each operation against Pillow, and the draws."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from launching import run
from PIL import Image, ImageEnhance, ImageOps

from jaxdl import keys
from jaxdl.data import augment
from jaxdl.data.augment import levels, policies
from jaxdl.errors import UserError

H, W = 19, 26
RNG = np.random.default_rng(0)
SMOOTH = np.clip(
    128 + 90 * np.sin(np.arange(H)[:, None, None] / 3 + np.arange(3)) + 40 * np.cos(
        np.arange(W)[None, :, None] / 4
    ), 20, 235,
).astype(np.uint8)  # fmt: skip
NOISE = RNG.integers(0, 256, (H, W, 3), np.uint8)
FLAT = np.full((H, W, 3), 77, np.uint8)
# Of one shape, so that one program does for all of them.
IMAGES = {
    "colours": np.stack([SMOOTH, NOISE, FLAT, NOISE // 4]),
    "tall": np.ascontiguousarray(NOISE.swapaxes(0, 1))[None],
    "grey": NOISE[None, ..., :1],
}


def pillow(name, image, value):
    """What Pillow makes of the operation, by the sizes of torchvision's calls of it."""
    one = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
    black = Image.new(one.mode, one.size)  # Pillow refuses to leave no bits
    moved = lambda *matrix: one.transform(one.size, Image.Transform.AFFINE, matrix)
    enhanced = lambda kind: getattr(ImageEnhance, kind)(one).enhance(1 + value)
    made = {
        "identity": lambda: one,
        "shear_x": lambda: moved(1, value, 0, 0, 1, 0),
        "shear_y": lambda: moved(1, 0, 0, value, 1, 0),
        "translate_x": lambda: moved(1, 0, -int(value), 0, 1, 0),
        "translate_y": lambda: moved(1, 0, 0, 0, 1, -int(value)),
        "rotate": lambda: one.rotate(value),
        "brightness": lambda: enhanced("Brightness"),
        "color": lambda: enhanced("Color"),
        "contrast": lambda: enhanced("Contrast"),
        "sharpness": lambda: enhanced("Sharpness"),
        "posterize": lambda: ImageOps.posterize(one, int(value)) if value else black,
        "solarize": lambda: ImageOps.solarize(one, value),
        "autocontrast": lambda: ImageOps.autocontrast(one),
        "equalize": lambda: ImageOps.equalize(one),
    }[name]()
    return np.asarray(made).reshape(image.shape).astype(int)


def value(name, bin_, sign, height, width, bins, farthest, bits):
    """The magnitude of torchvision's table."""
    most = {
        **dict.fromkeys(("shear_x", "shear_y"), 0.3), "rotate": 30.0,
        "translate_x": farthest * width, "translate_y": farthest * height,
        **dict.fromkeys(policies.COLOURS, 0.9),
    }  # fmt: skip
    if name in most:
        return np.linspace(0, most[name], bins)[bin_] * (1, -1)[sign]
    if name == "posterize":
        return bits - round(bin_ / ((bins - 1) / 4))
    return float(np.linspace(255, 0, bins)[bin_])


OTHERS = [
    pytest.param(kind, policy, marks=pytest.mark.slow("jaxdl/data/augment/"))
    for kind, policy in (("tall", "rand_augment"), ("grey", "rand_augment"), ("colours", "aug_mix"))
]
TABLES = {
    "rand_augment": (policies.rand_augment_table, (31, 150 / 331, 8), (0, 4, 9, 17, 30)),
    "aug_mix": (policies.aug_mix_table, (10, 1 / 3, 4), (0, 2, 9)),
}


@pytest.mark.parametrize("name", policies.rand_augment_table(H, W))
@pytest.mark.parametrize("kind, policy", [("colours", "rand_augment"), *OTHERS])
def test_every_operation_is_pillows(kind, policy, name):
    images = IMAGES[kind]
    height, width = images.shape[1:3]
    make, sizes, bins = TABLES[policy]
    if name not in (table := make(height, width)):
        return
    every = [(b, s) for b in bins for s in (0, 1)]
    arguments = np.stack([table[name].arguments[b, s] for b, s in every])
    of_all = jax.vmap(jax.vmap(table[name].apply, (None, 0)), (0, None))
    made = np.asarray(jax.jit(of_all)(images.astype(int), arguments))
    # What moves pixels reads the same ones; what calculates is off by a level at most.
    most = 0 if name in ("identity", "rotate", "solarize", "posterize") or "_" in name else 1
    for image, found in zip(images, made, strict=True):
        for (b, s), one in zip(every, found, strict=True):
            wanted = pillow(name, image, value(name, b, s, height, width, *sizes))
            assert np.abs(one - wanted).max() <= most, (b, s)


def test_the_table_is_torchvisions():
    names = ["identity", "shear_x", "shear_y", "translate_x", "translate_y", "rotate"]
    names += ["brightness", "color", "contrast", "sharpness", "posterize", "solarize"]
    assert [*policies.rand_augment_table(8, 8)] == [*names, "autocontrast", "equalize"]
    assert len(policies.aug_mix_table(8, 8)) == 9


def batch(count, image=NOISE):
    return {"image": np.broadcast_to(image / np.float32(255), (count, *image.shape))}


def test_operations_are_drawn_evenly_and_an_image_each():
    # One operation: what a batch becomes are the results of fourteen, with either sign.
    count = 840
    made = jax.jit(lambda key, x: policies.rand_augment(key, x, 1, 9))(keys.root(0), batch(count))[
        "image"
    ]
    made = np.asarray(jnp.round(255 * made), int)
    names, sizes = [*policies.rand_augment_table(H, W)], TABLES["rand_augment"][1]
    seen = np.stack(
        [
            pillow(name, NOISE, value(name, 9, sign, H, W, *sizes))
            for name in names
            for sign in (0, 1)
        ]
    )
    away = np.abs(made[:, None] - seen).mean(axis=(2, 3, 4))
    assert away.min(axis=1).max() < 0.5
    for name, own in zip(
        names, np.bincount(away.argmin(axis=1), minlength=28).reshape(14, 2), strict=True
    ):
        assert own.sum() == pytest.approx(count / 14, abs=30), name
        if own[1]:  # of two that are alike the first counts
            assert own.min() == pytest.approx(count / 28, abs=22), name


def test_a_row_of_operations_is_one_behind_the_other():
    sizes = TABLES["rand_augment"][1]
    names = [*policies.rand_augment_table(H, W)]
    with_ = lambda name, sign, image: pillow(name, image, value(name, 9, sign, H, W, *sizes))
    each = [(name, sign) for name in names for sign in (0, 1)]
    once = [with_(*one, NOISE).astype(np.uint8) for one in each]
    twice = np.stack([with_(*one, image) for image in once for one in each])
    made = jax.jit(policies.rand_augment)(keys.root(1), batch(8))["image"]
    # A level in the first may be one or two in the second, and another place in a table.
    off = [np.abs(twice - i).mean(axis=(1, 2, 3)).min() for i in np.asarray(jnp.round(255 * made))]
    assert max(off) < 1
    assert sum(x < 0.01 for x in off) >= 6


def test_mixtures_lie_between_the_image_and_its_chains():
    found = jax.jit(policies.aug_mix)(keys.root(2), batch(32))["image"]
    assert found.shape == (32, H, W, 3)
    assert ((found >= 0) & (found <= 1.001)).all()
    away = np.abs(found - batch(32)["image"]).mean(axis=(1, 2, 3))
    assert len(set(away.round(4).tolist())) > 28
    assert 0.02 < away.mean() < 0.3
    # Of an image that no operation changes the mixture is the image.
    black = np.zeros((4, 8, 8, 3), np.float32)
    turned = policies.aug_mix(keys.root(3), {"image": black}, severity=1)["image"]
    np.testing.assert_allclose(turned, 0, atol=1e-6)


def test_rectangles_are_erased_in_a_share_of_the_images():
    clean = np.full((2000, 20, 30, 1), 2.0, np.float32)
    erase = jax.jit(lambda key, x: policies.random_erasing(key, {"image": x}, 0.4)["image"])
    gone = np.asarray(erase(keys.root(0), clean))[..., 0] != 2
    some = gone.any(axis=(1, 2))
    assert some.mean() == pytest.approx(0.4, abs=0.04)
    rows, columns = gone.any(axis=2), gone.any(axis=1)
    np.testing.assert_array_equal(gone, rows[:, :, None] & columns[:, None, :])
    area = gone[some].mean(axis=(1, 2))
    assert 0.01 < area.min() < 0.04
    assert 0.3 < area.max() < 0.42
    # Anywhere: the middle oftener than the rim, all of it sometimes.
    assert (gone.sum(axis=0) > 5).all()
    values = np.asarray(erase(keys.root(1), 0 * clean))
    assert ((values >= 0) & (values < 1)).all()


def test_masks_are_refused():
    for name in ("rand_augment", "aug_mix"):
        with pytest.raises(UserError, match=f"config.augment.{name} is not for examples with"):
            getattr(policies, name)(keys.root(0), {**batch(2), "mask": np.zeros((2, H, W))})


def test_equalize_of_a_channel_each():
    image = np.stack([NOISE[..., 0], FLAT[..., 0], SMOOTH[..., 0]], axis=-1)
    wanted = np.asarray(ImageOps.equalize(Image.fromarray(image))).astype(int)
    np.testing.assert_allclose(levels.equalize(jnp.asarray(image, int)), wanted, atol=1)


@pytest.mark.parametrize(
    "flag, says",
    [
        ("rand_augment=(2,31)", "() or (operations, magnitude)"),
        ("rand_augment=(0,9)", "() or (operations, magnitude)"),
        ("aug_mix=11", "from 0 to 10"),
        ("erase=1.5", "from 0 to 1"),
    ],
)
def test_settings_that_cannot_be(flag, says, tmp_path, capsys):
    assert run("mlp", tmp_path / "run", f"--config.augment.{flag}") == 2
    assert says in capsys.readouterr().err


def test_a_config_asks_for_them():
    from jaxdl import config

    settings = config.default().augment
    settings.update(rand_augment=(2, 9), aug_mix=3, erase=1.0)
    made = augment.create(settings)(keys.root(0), batch(4))["image"]
    assert made.shape == (4, H, W, 3)
    plain = augment.create(config.default().augment)(keys.root(0), batch(4))["image"]
    np.testing.assert_array_equal(plain, batch(4)["image"])
    assert (np.abs(made - plain).max(axis=(1, 2, 3)) > 0.1).all()
