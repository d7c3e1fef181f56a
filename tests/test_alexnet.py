"""AlexNet: its size, and what it takes and gives."""

import jax
import jax.numpy as jnp
import pytest

from jaxdl import keys, models
from jaxdl.errors import UserError

PARAMETERS = {"alexnet": 61_100_840}
SMALL = dict(channels=(4, 4, 8, 4, 4), hidden=8)


def shapes(model, h, w, **how):
    image = jax.ShapeDtypeStruct((2, h, w, 3), jnp.float32)
    variables = jax.eval_shape(model.init, keys.root(0), image)
    apply = lambda variables, x: model.apply(variables, x, **how)
    return variables, jax.eval_shape(apply, variables, image)


@pytest.mark.parametrize("side", [63, 224])
def test_parameter_count_is_the_published_one_for_any_image(side):
    variables, logits = shapes(models.create("alexnet"), side, side + 7)
    count = sum(x.size for x in jax.tree.leaves(variables["params"]))
    assert (count, logits.shape) == (PARAMETERS["alexnet"], (2, 1000))


def test_maps_and_features():
    _, maps = shapes(models.create("alexnet", **SMALL), 224, 224, features=True)
    assert {s: x.shape[1] for s, x in maps.items()} == {4: 55, 8: 27, 16: 13, 32: 6}
    model = models.create("alexnet", **SMALL, num_classes=0, dtype=jnp.bfloat16)
    variables, found = shapes(model, 63, 63)
    assert (found.shape, found.dtype) == ((2, 8), jnp.float32)
    assert "head" not in variables["params"]


def test_an_image_that_is_too_small_is_one_line_that_says_what_would_do():
    with pytest.raises(UserError, match=r"62x80 pixels are too small .* it takes 63x63 and more"):
        shapes(models.create("alexnet"), 62, 80)
