"""VGG: published sizes, and what it takes and gives."""

import jax
import jax.numpy as jnp
import pytest

from jaxdl import keys, models
from jaxdl.errors import UserError

PARAMETERS = {
    "vgg": 138_357_544,
    "vgg11": 132_863_336,
    "vgg13": 133_047_848,
    "vgg16": 138_357_544,
    "vgg19": 143_667_240,
    "vgg11_bn": 132_868_840,
    "vgg13_bn": 133_053_736,
    "vgg16_bn": 138_365_992,
    "vgg19_bn": 143_678_248,
}
SMALL = dict(stages=(1, 2, 1), channels=(4, 6, 8), hidden=10)


def shapes(model, h, w, **how):
    image = jax.ShapeDtypeStruct((2, h, w, 3), jnp.float32)
    variables = jax.eval_shape(model.init, keys.root(0), image)
    apply = lambda variables, x: model.apply(variables, x, **how)
    return variables, jax.eval_shape(apply, variables, image)


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameter_count_is_the_published_one(name):
    variables, logits = shapes(models.create(name), 64, 96)
    count = sum(x.size for x in jax.tree.leaves(variables["params"]))
    assert (count, logits.shape) == (PARAMETERS[name], (2, 1000))


@pytest.mark.parametrize("batch_norm", [False, True])
def test_maps_and_features(batch_norm):
    model = models.create("vgg", **SMALL, batch_norm=batch_norm, num_classes=0, dtype=jnp.bfloat16)
    _, maps = shapes(model, 16, 24, features=True)
    assert {s: x.shape[1:] for s, x in maps.items()} == {
        1: (16, 24, 4),
        2: (8, 12, 6),
        4: (4, 6, 8),
        8: (2, 3, 8),
    }
    variables, found = shapes(model, 16, 24)
    assert (found.shape, found.dtype) == ((2, 10), jnp.float32)
    assert "head" not in variables["params"]


def test_an_image_that_is_too_small_is_one_line_that_says_what_would_do():
    with pytest.raises(UserError, match=r"31x40 pixels are too small .* it takes 32x32 and more"):
        shapes(models.create("vgg11"), 31, 40)
