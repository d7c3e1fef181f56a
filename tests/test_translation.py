"""Pix2Pix's and CycleGAN's networks are their authors', and so are their files' weights."""

import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from jaxdl import keys, models, pretrained
from jaxdl.errors import UserError
from jaxdl.pretrained import torch_file

GOLDEN = Path(__file__).parent / "golden"
sys.path.insert(0, str(GOLDEN))

import seeded  # noqa: E402

UNET, RESNET = dict(channels=2, depth=3, width=4), dict(channels=2, depth=2, width=4)
CASES = {
    "pix2pix": ("pix2pix", UNET, (2, 16, 8, 2)),
    "pix2pix_instance": ("pix2pix", dict(UNET, normalization="instance"), (2, 16, 16, 2)),
    "cyclegan": ("cyclegan", RESNET, (2, 12, 16, 2)),
    "cyclegan_batch": ("cyclegan", dict(RESNET, depth=1, normalization="batch"), (2, 8, 8, 2)),
    "patchgan": ("patchgan", dict(channels=4, width=4), (2, 24, 32, 4)),
    "patchgan_instance": (
        "patchgan",
        dict(channels=2, width=4, depth=2, normalization="instance"),
        (2, 12, 12, 2),
    ),
}
PARAMETERS = {
    "pix2pix_256": ({}, 256, 54_413_955),
    "pix2pix_128": ({}, 128, 41_828_995),
    "cyclegan_9": ({}, 256, 11_378_179),
    "cyclegan_6": ({}, 128, 7_837_699),
    "patchgan": ({}, 256, 2_768_705),
}


def made_of(name, dropout=0.0):
    """Module of a case, and its variables' shapes."""
    model, fields, shape = CASES[name]
    fields = fields if model == "patchgan" else dict(fields, dropout=dropout)
    module = models.create(model, **fields)
    return module, jax.eval_shape(module.init, keys.root(0), jnp.zeros(shape))


def weights(name, folder):
    """The weights of the golden file under the authors' names, read from a file that has them."""
    module, variables = made_of(name)
    empty = jax.tree.map(lambda x: np.zeros(x.shape, np.float32), variables)
    file = folder / f"{name}.safetensors"
    pretrained.save(module, empty, file)
    tensors = {
        path: seeded.weight(path, x.shape) if x.dtype == np.float32 else x
        for path, x in load_file(file).items()
    }
    save_file(tensors, file)
    return file, tensors


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameters_are_the_published_ones(name):
    fields, side, count = PARAMETERS[name]
    module = models.create(name, **fields)
    x = jax.ShapeDtypeStruct((1, side, side, module.channels), jnp.float32)
    made, variables = jax.eval_shape(lambda x: module.init_with_output(keys.root(0), x), x)
    assert sum(x.size for x in jax.tree.leaves(variables["params"])) == count
    # 70 pixels see one another: 30 x 30 patches of 256.
    assert made.shape == ((1, 30, 30) if name == "patchgan" else x.shape)


def test_the_discriminator_of_cyclegan_has_as_many_parameters_as_published():
    module = models.create("patchgan", channels=3, normalization="instance")
    made = jax.eval_shape(module.init, keys.root(0), jnp.zeros((1, 64, 64, 3)))
    assert sum(x.size for x in jax.tree.leaves(made)) == 2_764_737


@pytest.mark.parametrize("name", CASES)
def test_values_gradients_and_statistics_are_those_of_the_published_definition(name, tmp_path):
    model, _, shape = CASES[name]
    with np.load(GOLDEN / "translation.npz") as file:
        wanted = {
            key.partition("/")[2]: file[key] for key in file.files if key.startswith(f"{name}/")
        }
    file, tensors = weights(name, tmp_path)
    module, variables = pretrained.load(
        file, model, **({} if model == "patchgan" else {"dropout": 0.0})
    )
    assert module == made_of(name)[0]  # sizes and the norm are told by the tensors
    x = jnp.asarray(seeded.images(shape))
    whole = lambda y: y[..., None] if model == "patchgan" else y
    evaluated = whole(jax.jit(module.apply)(variables, x))
    np.testing.assert_allclose(evaluated, wanted["evaluated"], rtol=1e-5, atol=1e-5)
    g = seeded.normal(f"{name}/g", wanted["made"].transpose(0, 3, 1, 2).shape)
    g = jnp.asarray(g.transpose(0, 2, 3, 1).astype(np.float32))
    params = variables.pop("params")

    @jax.jit
    def both(params, x):
        def made(params, x):
            how = dict(train=True, mutable=list(variables))
            y, new = module.apply({"params": params, **variables}, x, **how)
            return whole(y), new

        y, back, new = jax.vjp(made, params, x, has_aux=True)
        return y, new, back(g)

    made, new, (grads, image) = both(params, x)
    np.testing.assert_allclose(made, wanted["made"], rtol=1e-5, atol=1e-5)
    # By the table that reads and writes the files, to the authors' names and layouts.
    pretrained.save(module, {"params": grads, **new}, tmp_path / "grads.safetensors")
    found = load_file(tmp_path / "grads.safetensors")
    assert {path for path in tensors if "running" not in path and "num_batches" not in path} == {
        path.removeprefix("gradient/") for path in wanted if path.startswith("gradient/")
    } - {"image"}
    for path, summary in wanted.items():
        kind, _, path = path.partition("/")
        if kind == "gradient":
            grad = image if path == "image" else found[path]
            # Of a bias in front of instance norm nothing but rounding is left.
            np.testing.assert_allclose(
                seeded.summary(path, grad), summary, rtol=1e-4, atol=1e-4 * summary[0] + 3e-5,
                err_msg=path,
            )  # fmt: skip
        elif kind == "kept":
            np.testing.assert_allclose(found[path], summary, rtol=1e-5, atol=1e-5, err_msg=path)


def test_files_from_before_pytorch_0_4_and_of_several_devices_are_read(tmp_path):
    file, tensors = weights("cyclegan", tmp_path)
    old = {f"model.2.running_{x}": np.ones(4, np.float32) for x in ("mean", "var")}
    save_file({f"module.{k}": x for k, x in (tensors | old).items()}, tmp_path / "old.safetensors")
    _, plain = pretrained.load(file, "cyclegan")
    module, read = pretrained.load(tmp_path / "old.safetensors", "cyclegan")
    assert module == made_of("cyclegan")[0]
    jax.tree.map(np.testing.assert_array_equal, plain, read)


def test_dropout_moves_the_second_convolution_of_a_block_as_in_the_authors_files(tmp_path):
    module, variables = made_of("cyclegan", dropout=0.5)
    ones = jax.tree.map(lambda x: np.ones(x.shape, np.float32), variables)
    file = tmp_path / "latest_net_G_A.pth"
    pretrained.save(module, ones, file)
    assert "model.10.conv_block.6.weight" in torch_file.read(file).names
    again, read = pretrained.load(file, "cyclegan")
    assert again == module
    jax.tree.map(np.testing.assert_array_equal, ones, read)


@pytest.mark.parametrize(
    "name, fields, shape, said",
    [
        ("pix2pix", dict(depth=3), (1, 8, 12, 3), "12 x 8 pixels cannot be halved 3 times"),
        ("pix2pix", dict(depth=1), (1, 8, 8, 3), "depth=1 must be at least 2"),
        ("cyclegan", dict(depth=1), (1, 10, 8, 3), "multiples of 4, and at least 8"),
        ("cyclegan", dict(depth=-1), (1, 8, 8, 3), "depth=-1"),
        ("patchgan", dict(channels=3), (1, 8, 8, 3), "takes 24 a side, or a smaller depth"),
        ("patchgan", {}, (1, 64, 64, 3), "pictures of 6 channels, not 3"),
        ("patchgan", dict(depth=0), (1, 64, 64, 6), "depth=0 must be at least 1"),
        ("cyclegan", dict(normalization="layer"), (1, 8, 8, 3), "unknown config.model.normaliz"),
    ],
)
def test_what_cannot_be_is_one_line(name, fields, shape, said):
    module = models.create(name, **fields)
    with pytest.raises(UserError, match=said):
        jax.eval_shape(module.init, keys.root(0), jnp.zeros(shape))
