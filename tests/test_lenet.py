"""LeNet-5: its size, and images of other sizes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl import keys, models
from jaxdl.errors import UserError

PARAMETERS = {"lenet": 61_706, "lenet5": 61_706}


@pytest.mark.parametrize("name", PARAMETERS)
@pytest.mark.parametrize("side, padding", [(32, 0), (28, 2), (45, 0)])
def test_parameter_count_is_the_published_one_for_any_image(name, side, padding):
    image = jax.ShapeDtypeStruct((1, side, side, 1), jnp.float32)
    model = models.create(name, padding=padding)
    found = jax.eval_shape(model.init, keys.root(0), image)
    assert sum(x.size for x in jax.tree.leaves(found["params"])) == PARAMETERS[name]


def test_of_a_larger_image_the_third_convolutions_mean_goes_on():
    model = models.create("lenet", num_classes=0)
    image = np.random.default_rng(0).normal(size=(2, 36, 40, 1)).astype(np.float32)
    variables = model.init(keys.root(0), image)
    maps = model.apply(variables, image, features=True)
    assert {s: x.shape[1:] for s, x in maps.items()} == {1: (32, 36, 6), 2: (12, 14, 16)}
    _, kept = model.apply(variables, image, capture_intermediates=True)
    third = kept["intermediates"]["block_2"]["__call__"][0]
    assert third.shape[1:] == (2, 3, 120)
    dense = variables["params"]["dense"]
    expected = np.tanh(third.mean((1, 2)) @ dense["kernel"] + dense["bias"])
    np.testing.assert_allclose(model.apply(variables, image), expected, atol=1e-6)


def test_an_image_that_is_too_small_is_one_line_that_says_what_would_do():
    model = models.create("lenet")
    with pytest.raises(UserError, match=r"28x28 pixels are too small .*: it takes 32x32 and more"):
        jax.eval_shape(model.init, keys.root(0), jnp.zeros((1, 28, 28, 1)))
