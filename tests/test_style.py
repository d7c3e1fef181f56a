"""Losses and the network of style transfer compute what their papers have."""

import functools
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from jaxdl import keys, models, pretrained
from jaxdl.data.preprocess import Preprocess
from jaxdl.errors import UserError
from jaxdl.losses import perceptual
from jaxdl.models.vgg import VGG
from jaxdl.pretrained import perception

GOLDEN = Path(__file__).parent / "golden"
sys.path.insert(0, str(GOLDEN))

import seeded  # noqa: E402

MAPS = {"a": ((2, 3, 4, 3), (2, 3, 4, 3), (1, 5, 2, 3)), "b": ((2, 2, 1, 5),) * 2 + ((1, 3, 3, 5),)}
CONTENT, STYLE = ("conv1_2", "relu2_1"), ("relu1_1", "relu1_2", "relu2_1")
WEIGHTS = perceptual.Weights(0.7, 30.0, 2.0)
VGG_FIELDS = dict(stages=(2, 1), channels=(3, 4), hidden=2, pooled=1)


@functools.cache
def golden():
    with np.load(GOLDEN / "style.npz") as file:
        return {name: file[name] for name in file.files}


def drawn(name, shape):
    return jnp.asarray(seeded.normal(name, shape))


# Losses


@pytest.mark.parametrize("name", ["content", "style", "variation"])
def test_losses_of_maps_and_their_gradients_are_the_papers(name):
    with jax.enable_x64(True):
        found, content, style = (
            {k: drawn(f"{k}/{part}", shapes[i]) for k, shapes in MAPS.items()}
            for i, part in enumerate(("found", "content", "style"))
        )
        loss = {
            "content": lambda maps: perceptual.content_loss(maps, content),
            "style": lambda maps: perceptual.style_loss(maps, perceptual.grams(style)),
            "variation": lambda maps: perceptual.total_variation(maps["a"]),
        }[name]
        value, back = jax.vjp(loss, found)
        (slopes,) = back(jnp.ones_like(value))
        assert value.dtype == jnp.float64
    wanted = golden()
    np.testing.assert_allclose(value, wanted[f"maps/{name}"], rtol=1e-12)
    for k, slope in slopes.items():
        if (theirs := wanted.get(f"maps/{name}/{k}")) is not None:
            np.testing.assert_allclose(slope, theirs, rtol=1e-9, atol=1e-14)
        else:
            assert not slope.any()


def test_gram_matrices_of_half_precision_are_summed_in_float32():
    maps = jnp.asarray(seeded.normal("maps", (1, 40, 40, 2)), jnp.bfloat16)
    found = perceptual.gram(maps)
    assert found.dtype == jnp.float32
    flat = np.asarray(maps, np.float64).reshape(-1, 2)
    np.testing.assert_allclose(found[0], flat.T @ flat / 1600, rtol=1e-5, atol=1e-6)


def test_one_row_varies_along_it_alone():
    image = jnp.asarray([[[[0.0], [1.0], [3.0]]]])
    assert perceptual.total_variation(image) == 2.5
    assert perceptual.total_variation(image.transpose(0, 2, 1, 3)) == 2.5


# What pictures are seen by


def file_of_vgg(folder):
    """A VGG of few channels, as torchvision would publish it, with weights drawn by their names."""
    module = VGG(num_classes=3, **VGG_FIELDS)
    image = jax.ShapeDtypeStruct((1, 8, 8, 3), jnp.float32)
    shapes = jax.eval_shape(module.init, keys.root(0), image)
    pretrained.save(
        module, jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), shapes), folder / "x.safetensors"
    )
    tensors = load_file(folder / "x.safetensors")
    drawn = {name: seeded.weight(name, x.shape) for name, x in tensors.items()}
    save_file(drawn, folder / "x.safetensors")
    return str(folder / "x.safetensors")


@pytest.fixture
def tiny_vgg(monkeypatch, tmp_path):
    """Its file; by the name "tiny_vgg" it is a published model."""
    models.names()  # so that what there is has been read
    factory = functools.partial(VGG, **VGG_FIELDS)
    monkeypatch.setitem(models._registry._entries, "tiny_vgg", factory)
    monkeypatch.setattr(pretrained, "preprocess", lambda model: Preprocess())
    return file_of_vgg(tmp_path)


def test_published_weights_see_what_they_learned_to_see(tiny_vgg):
    """Values, gradient and second derivatives by a picture, against torch's layers by their names.

    The picture is in [0, 1], and ImageNet's mean and deviation are the network's own affair.
    """
    wanted = golden()
    with jax.enable_x64(True):
        layers = tuple(dict.fromkeys((*CONTENT, *STYLE)))
        seen = perception.create(tiny_vgg, "tiny_vgg", layers, jnp.float64)
        variables = jax.tree.map(lambda x: x.astype(jnp.float64), seen.variables())
        assert {*variables["params"]} == {"block_0_0", "block_0_1", "block_1_0"}
        picture, shown, style, along = (
            drawn(name, (1, 8, 8, 3)) * 0.2 + 0.5 for name in ("picture", "shown", "style", "along")
        )
        standardised = lambda x: (
            (x - jnp.asarray(Preprocess().mean)) / jnp.asarray(Preprocess().std)
        )
        look = lambda x: perception.maps(
            seen.source.module, variables, standardised(x), seen.layers
        )
        content = {k: x for k, x in look(shown).items() if k in CONTENT}
        grams = perceptual.grams({k: x for k, x in look(style).items() if k in STYLE})
        found = lambda x: perceptual.parts(look, x, content, grams)
        total = lambda x: found(x).total(WEIGHTS).sum()
        parts, exact = found(picture), look(picture)
        value, slope = jax.value_and_grad(total)(picture)
        _, bent = jax.jvp(jax.grad(total), (picture,), (along,))
        _, ahead = jax.jvp(total, (picture,), (along,))
    np.testing.assert_allclose(np.ravel(parts), wanted["vgg/parts"], rtol=1e-6)
    np.testing.assert_allclose(value, wanted["vgg/total"], rtol=1e-6)
    np.testing.assert_allclose(slope, wanted["vgg/slope"], rtol=1e-5, atol=1e-8)
    np.testing.assert_allclose(ahead, np.vdot(slope, along), rtol=1e-10)
    np.testing.assert_allclose(bent, wanted["vgg/bent"], rtol=1e-5, atol=1e-7)
    # As tasks call it, in float32, of bytes too.
    narrow = jax.tree.map(jnp.float32, variables)
    seen = perception.create(tiny_vgg, "tiny_vgg", layers)
    of_bytes = np.round(255 * np.clip(picture, 0, 1)).astype(np.uint8)
    maps, near, same = (
        seen.look(narrow, x) for x in (jnp.float32(picture), of_bytes, of_bytes / np.float32(255))
    )
    for name, x in exact.items():
        np.testing.assert_allclose(maps[name], x, atol=1e-5 * np.abs(x).max())
        np.testing.assert_allclose(near[name], same[name], atol=1e-5 * np.abs(x).max())
    grey = picture[..., :1].astype(jnp.float32)
    in_colour = seen.look(narrow, grey.repeat(3, axis=-1))
    np.testing.assert_array_equal(seen.look(narrow, grey)["relu2_1"], in_colour["relu2_1"])


def test_layers_are_those_in_front_of_relu_or_behind_it_and_nothing_deeper_is_computed(tiny_vgg):
    seen = perception.create(tiny_vgg, "tiny_vgg", ("conv1_1", "relu1_1", "block_0_0"))
    variables = seen.variables()
    assert {*variables["params"]} == {"block_0_0"}
    maps = seen.look(variables, np.full((1, 8, 8, 3), 0.3, np.float32))
    assert (maps["conv1_1"] < 0).any()
    np.testing.assert_array_equal(maps["relu1_1"], np.maximum(maps["conv1_1"], 0))
    np.testing.assert_array_equal(maps["relu1_1"], maps["block_0_0"])


@pytest.mark.parametrize(
    "how, says",
    [
        (("", "", ["relu9_1"]), "the network 'photographs' has no layer 'relu9_1'"),
        (("", "", ["head"]), "layer 'head' of the network 'photographs' makes no map"),
        (("", "vgg16", ["relu1_1"]), "it names no weights"),
        (("gone.pth", "", ["relu1_1"]), "nothing lies there: of published weights say which"),
        (("gone.pth", "vgg61", ["relu1_1"]), "unknown model 'vgg61'"),
        (("gone.pth", "resnet18", ["relu1_1"]), "has no layer 'relu1_1'"),
    ],
)
def test_what_pictures_cannot_be_seen_by_is_one_line(how, says):
    with pytest.raises(UserError) as error:
        perception.create(*how)
    assert says in str(error.value)
    assert "\n" not in str(error.value)


def test_weights_are_missed_when_they_are_needed(tiny_vgg, tmp_path):
    seen = perception.create(str(tmp_path / "gone.pth"), "tiny_vgg", ["relu2_1"])
    with pytest.raises(UserError, match=r"gone\.pth"):
        seen.check()
    file = load_file(tiny_vgg)
    save_file({k: x for k, x in file.items() if "features.0" not in k}, tmp_path / "y.safetensors")
    seen = perception.create(str(tmp_path / "y.safetensors"), "tiny_vgg", ["relu2_1"])
    with pytest.raises(UserError, match=r"2 missing: features\.0"):
        seen.check()


def test_the_packages_own_network_has_learned_what_textures_are():
    """Two parts of one photograph are more alike to it than parts of two photographs."""
    from jaxdl.data import photographs

    seen = perception.create("", "", ("relu1_1", "relu2_1", "relu3_1", "relu4_1"))
    variables = seen.variables()
    parts = [photographs.read(name, 3)[y : y + 64, x : x + 64]
             for name in ("china", "flower") for y, x in ((10, 10), (10, 500))]  # fmt: skip
    grams = perceptual.grams(seen.look(variables, np.stack(parts)))
    off = lambda i, j: sum(
        float(jnp.square(g[i] - g[j]).sum() / jnp.square(g).sum()) for g in grams.values()
    )
    assert max(off(0, 1), off(2, 3)) < min(off(i, j) for i in (0, 1) for j in (2, 3))


# The network


def of_torch(module):
    """Variables whose weights are those of the golden file, as a file of PyTorch's has them."""
    image = jax.ShapeDtypeStruct((1, 8, 8, 3), jnp.float32)
    return jax.eval_shape(module.init, keys.root(0), image)


def test_the_network_is_the_published_one_and_its_files_are_read_and_written(tmp_path):
    wanted = golden()
    module = models.create("transformer_net", width=4, depth=2)
    zeros = jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), of_torch(module))
    pretrained.save(module, zeros, tmp_path / "x.safetensors")
    tensors = {
        name: seeded.weight(name, x.shape)
        for name, x in load_file(tmp_path / "x.safetensors").items()
    }
    assert {f"net/gradient/{name}" for name in tensors} == {
        name for name in wanted if name.startswith("net/gradient/")
    }
    # As they were saved before PyTorch 0.4, and by several devices.
    old = {
        "in1.running_mean": np.zeros(4, np.float32),
        "res1.in2.running_var": np.ones(16, np.float32),
    }
    file = {f"module.{name}": x for name, x in {**tensors, **old}.items()}
    save_file(file, tmp_path / "old.safetensors")
    found, variables = pretrained.load(tmp_path / "old.safetensors", "transformer_net")
    assert found == module
    x = seeded.normal("bytes", (2, 12, 8, 3)) * 40 + 128
    g = jnp.asarray(seeded.normal("g", (2, 12, 8, 3)), jnp.float32)

    @jax.jit
    def both(variables, x):
        made, back = jax.vjp(module.apply, variables, x)
        return made, back(255 * g)

    made, (grads, image) = both(variables, jnp.asarray(x / 255, jnp.float32))
    np.testing.assert_allclose(255 * made, wanted["net/made"], rtol=1e-4, atol=1e-3)
    scale = np.abs(wanted["net/image"]).max()
    np.testing.assert_allclose(image / 255, wanted["net/image"], atol=1e-3 * scale)
    # Gradients in their layout: what is 255 times as large here has a slope as much smaller.
    pretrained.save(module, grads, tmp_path / "slopes.safetensors")
    for name, slope in load_file(tmp_path / "slopes.safetensors").items():
        by = {"conv1.conv2d.weight": 255.0**2}.get(name, 1.0)
        by = 255.0**-2 if name.startswith("deconv3") else by
        summary = wanted[f"net/gradient/{name}"]
        np.testing.assert_allclose(
            seeded.summary(name, slope * by), summary, rtol=2e-3, atol=2e-3 * max(1, summary[0]),
            err_msg=name,
        )  # fmt: skip
    pretrained.save(module, variables, tmp_path / "again.safetensors")
    for name, x in load_file(tmp_path / "again.safetensors").items():
        np.testing.assert_allclose(x, tensors[name], rtol=1e-6)


def test_parameters_are_as_many_as_published():
    shapes = of_torch(models.create("transformer_net"))
    assert sum(x.size for x in jax.tree.leaves(shapes)) == 1_679_235


@pytest.mark.parametrize(
    "fields, shape, says",
    [
        ({}, (1, 10, 8, 3), "8 x 10 pixels do not do for 2 halvings: sides must be multiples of 4"),
        ({}, (1, 4, 4, 3), "and at least 8"),
        (dict(depth=-1), (1, 8, 8, 3), "depth=-1"),
    ],
)
def test_pictures_and_fields_that_cannot_be_are_one_line(fields, shape, says):
    module = models.create("transformer_net", **fields)
    with pytest.raises(UserError, match=says):
        jax.eval_shape(module.init, keys.root(0), jax.ShapeDtypeStruct(shape, jnp.float32))
