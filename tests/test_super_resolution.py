"""ESPCN and EDSR compute what their papers have; EDSR's published weights are read and written."""

import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from jaxdl import keys, models, pretrained
from jaxdl.errors import UserError

GOLDEN = Path(__file__).parent / "golden"
sys.path.insert(0, str(GOLDEN))

import seeded  # noqa: E402

EDSR = dict(depth=2, width=4, residual_scale=0.1)
CASES = {
    **{f"edsr_{scale}": (dict(EDSR, scale=scale), (2, 5, 7, 3)) for scale in (2, 3, 4)},
    **{f"espcn_{scale}": (dict(scale=scale), (2, 6, 5, 1)) for scale in (2, 3)},
}
PARAMETERS = {
    ("edsr_baseline", 2): 1_369_859,
    ("edsr_baseline", 3): 1_554_499,
    ("edsr_baseline", 4): 1_517_571,
    ("edsr", 2): 40_729_603,
    ("edsr", 3): 43_680_003,
    ("edsr", 4): 43_089_923,
    ("espcn", 2): 21_284,
    ("espcn", 3): 22_729,
    ("espcn", 4): 24_752,
}


def shapes(module, *image):
    x = jax.ShapeDtypeStruct((1, *image, module.channels), jnp.float32)
    made, variables = jax.eval_shape(lambda x: module.init_with_output(keys.root(0), x), x)
    return variables, made.shape


@pytest.mark.parametrize("name, scale", PARAMETERS)
def test_parameters_and_pictures_are_the_papers(name, scale):
    module = models.create(name, scale=scale)
    variables, made = shapes(module, 5, 4)
    assert sum(x.size for x in jax.tree.leaves(variables)) == PARAMETERS[name, scale]
    assert made == (1, 5 * scale, 4 * scale, module.channels)


def theirs(path):
    """PyTorch's name of a parameter, and the order of axes that makes ours theirs."""
    start, _, last = path.rpartition("/")
    name = f"{start.replace('/', '.')}.{'bias' if last == 'bias' else 'weight'}"
    return name, (0,) if last == "bias" else (3, 2, 0, 1)


def drawn(module):
    """Variables whose weights are those of the golden file."""
    variables, _ = shapes(module, 8, 8)

    def draw(path, x):
        name, order = theirs("/".join(key.key for key in path[1:]))
        weight = seeded.weight(name, tuple(x.shape[i] for i in order))
        return jnp.asarray(weight.transpose(np.argsort(order)))

    return jax.tree.map_with_path(draw, variables)


@pytest.mark.parametrize("name", CASES)
def test_pictures_and_gradients_are_those_of_the_published_definition(name):
    fields, shape = CASES[name]
    with np.load(GOLDEN / "super_resolution.npz") as file:
        wanted = {key.partition("/")[2]: file[key] for key in file.files if key.startswith(name)}
    module = models.create(name.partition("_")[0], **fields)
    variables, x = drawn(module), jnp.asarray(seeded.images(shape))
    g = jnp.asarray(seeded.normal(f"{name}/g", wanted["made"].transpose(0, 3, 1, 2).shape))
    g = g.transpose(0, 2, 3, 1).astype(jnp.float32)

    @jax.jit
    def both(variables, x):
        made, back = jax.vjp(module.apply, variables, x)
        return made, back(g)

    made, (grads, image) = both(variables, x)
    np.testing.assert_allclose(made, wanted["made"], rtol=1e-5, atol=1e-5)
    found = {"image": image}
    for path, grad in jax.tree.leaves_with_path(grads):
        own, order = theirs("/".join(key.key for key in path[1:]))
        found[own] = np.asarray(grad).transpose(order)
    assert {f"gradient/{path}" for path in found} == {x for x in wanted if x != "made"}
    for path, grad in found.items():
        summary = wanted[f"gradient/{path}"]
        np.testing.assert_allclose(
            seeded.summary(path, grad), summary, rtol=1e-4, atol=1e-4 * summary[0], err_msg=path
        )


@pytest.mark.parametrize(
    "name, fields, weight", [("edsr_baseline", dict(depth=1, width=2), 0.3), ("espcn", {}, 0.02)]
)
@pytest.mark.parametrize("scale", [2, 4])
def test_reach_is_how_far_a_pixel_is_seen(name, fields, weight, scale):
    module = models.create(name, scale=scale, **fields)
    side = 2 * module.reach + 3
    middle = side // 2
    x = jnp.full((1, 3, side, module.channels), 0.6)  # of which ReLU leaves something
    weights = jax.tree.map(lambda x: jnp.full(x.shape, weight), shapes(module, 3, side)[0])
    apply = jax.jit(module.apply)
    changed = apply(weights, x) != apply(weights, x.at[:, :, middle].set(1))
    places = np.flatnonzero(changed.any((0, 1, 3))) // scale
    assert (places.min(), places.max()) == (middle - module.reach, middle + module.reach)


def test_a_scale_that_there_is_not_is_one_line():
    with pytest.raises(UserError, match="2, 3, 4 times as large, not 5"):
        shapes(models.create("edsr_baseline", scale=5), 4, 4)


# Published weights


@pytest.mark.parametrize("scale", [2, 4])
def test_published_weights_see_pictures_of_bytes(scale, tmp_path):
    """By the definition of the authors' code: of bytes, less the mean of bytes."""
    module = models.create("edsr_baseline", scale=scale, **EDSR)
    variables = drawn(module)
    pretrained.save(module, variables, tmp_path / "x.safetensors")
    file = load_file(tmp_path / "x.safetensors")
    assert len(file) == len(jax.tree.leaves(variables))
    assert {"head.0.weight", "body.1.body.2.bias", "body.2.weight", "tail.1.bias"} <= set(file)
    bias = variables["params"]["block_1"]["conv_1"]["bias"]
    np.testing.assert_allclose(file["body.1.body.2.bias"], 255 * bias, rtol=1e-6)
    # Of bytes the same network, whose mean is in bytes, gives bytes.
    of_bytes = module.clone(mean=tuple(255 * x for x in module.mean))
    whole = jax.tree.map(lambda x: x * 255 if x.ndim == 1 else x, variables)
    x = jnp.asarray(seeded.images((1, 4, 4, 3)))
    found = jax.jit(module.apply)(variables, x)
    np.testing.assert_allclose(of_bytes.apply(whole, 255 * x), 255 * found, rtol=1e-4, atol=1e-3)
    # As the authors' files have them, with the constants.
    file |= {f"{name}_mean.bias": np.zeros(3, np.float32) for name in ("sub", "add")}
    save_file({f"model.{name}": x for name, x in file.items()}, tmp_path / "y.safetensors")
    again, read = pretrained.load(tmp_path / "y.safetensors", "edsr_baseline", residual_scale=0.1)
    assert again == module
    for a, b in zip(jax.tree.leaves(read), jax.tree.leaves(variables), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)
