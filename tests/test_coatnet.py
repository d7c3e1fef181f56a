"""CoAtNet: published sizes, and positions that belong to an image's size."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import shipped

from jaxdl import keys, layers, models, pretrained
from jaxdl.errors import UserError
from jaxdl.pretrained.coatnet import resize_table

# timm's coatnet_0_224 and so on, made and counted; the paper's table 3 has 25, 42, 75, 168, 275 and
# 688 million.
PARAMETERS = {
    "coatnet_0": 25_036_820,
    "coatnet_1": 42_225_776,
    "coatnet_2": 74_684_744,
    "coatnet_3": 166_966_264,
    "coatnet_4": 275_425_288,
    "coatnet_5": 687_472_008,
}
SMALL = dict(widths=(8, 16), depths=(1, 1), blocks="CT", stem_width=8, head_dim=8)


def shapes(model, size):
    image = jax.ShapeDtypeStruct((1, size, size, 3), jnp.float32)
    return jax.eval_shape(model.init, jax.eval_shape(lambda: keys.root(0)), image)


def drawn(tree):
    rng = np.random.default_rng(0)
    return jax.tree.map(lambda x: rng.standard_normal(x.shape).astype(np.float32), tree)


@pytest.mark.parametrize("name", shipped.sizes(PARAMETERS, "jaxdl/models/coatnet.py"))
def test_parameter_count_is_the_published_one(name):
    found = shapes(models.create(name), 224)["params"]
    assert sum(x.size for x in jax.tree.leaves(found)) == PARAMETERS[name]


def test_bias_is_the_tables_number_for_the_way_between_two_places():
    layer, (h, w) = layers.RelativeBias(heads=2), (3, 2)
    variables = layer.init(keys.root(0), h, w)
    table = np.asarray(variables["params"]["table"])
    assert table.shape == (5, 3, 2)
    found = np.asarray(layer.apply(variables, h, w))
    assert found.shape == (1, 2, 6, 6)
    for query in range(6):
        for key in range(6):
            dy, dx = query // w - key // w, query % w - key % w
            np.testing.assert_array_equal(found[0, :, query, key], table[dy + 2, dx + 1])


def test_another_image_size_is_one_line_that_says_which_fits():
    model = models.create("coatnet", **SMALL)
    variables = drawn(shapes(model, 32))
    message = "relative positions for images of 32x32, not 40x48"
    with pytest.raises(UserError, match=message):
        jax.eval_shape(model.apply, variables, jnp.zeros((1, 40, 48, 3)))
    with pytest.raises(UserError, match="images of 30x32 pixels: sides must be multiples of 8"):
        jax.eval_shape(model.apply, variables, jnp.zeros((1, 30, 32, 3)))
    with pytest.raises(UserError, match="takes as many of each, one a stage; there are"):
        shapes(models.create("coatnet", **{**SMALL, "depths": (1, 1, 1)}), 32)


# Of timm's resize_rel_pos_bias_table: a table whose rows are i² and columns 10 j², its middle row.
RESIZED = {
    (4, 7): (9, 9, 12.3333, 16.7778, 29, 49, 99, 169, 229, 283.4445, 332.3335, 369, 369),
    (7, 4): (128.0657, 196.8912, 286, 396, 526, 674.5147, 840.9833),
}


@pytest.mark.parametrize(("old", "new"), RESIZED)
def test_table_is_resized_as_timm_does(old, new):
    square = np.arange(2 * old - 1.0) ** 2
    table = (square[:, None] + 10 * square[None, :])[..., None]
    found = resize_table(table, (2 * new - 1, 2 * new - 1, 1))
    np.testing.assert_allclose(found[new - 1, :, 0], RESIZED[old, new], rtol=2e-6)
    # The same along the other axis.
    other = resize_table(table.swapaxes(0, 1), found.shape)
    np.testing.assert_allclose(other, found.swapaxes(0, 1), rtol=1e-6)
    np.testing.assert_array_equal(resize_table(found, found.shape), found)


def test_weights_of_one_image_size_are_read_for_another(tmp_path):
    model = models.create("coatnet", num_classes=3, **SMALL)
    variables = drawn(shapes(model, 64))
    path = tmp_path / "model.safetensors"
    pretrained.save(model, variables, path, naming="timm")
    name = lambda tree: tree["params"]["block_1_0"]["attention"]["positions"]["table"]
    _, same = pretrained.load(path, "coatnet", **SMALL)
    np.testing.assert_array_equal(name(same), name(variables))
    loaded, larger = pretrained.load(path, "coatnet", image_size=96, **SMALL)
    expected = resize_table(np.asarray(name(variables)), (23, 23, 2))
    np.testing.assert_allclose(name(larger), expected, rtol=1e-6)
    assert jax.eval_shape(loaded.apply, larger, jnp.zeros((1, 96, 96, 3))).shape == (1, 3)


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float64])
def test_features_and_logits_are_wide_whatever_is_computed_in(dtype):
    with jax.enable_x64(True):
        for classes, width in ((0, 16), (5, 5)):
            model = models.create("coatnet", num_classes=classes, dtype=dtype, **SMALL)
            variables = shapes(model, 32)
            images = jax.ShapeDtypeStruct((2, 32, 32, 3), jnp.float32)
            found = jax.eval_shape(model.apply, variables, images)
            assert (found.shape, found.dtype) == ((2, width), jnp.promote_types(dtype, jnp.float32))
            pyramid = functools.partial(model.apply, features=True)
            maps = jax.eval_shape(pyramid, variables, images)
            assert {stride: x.shape for stride, x in maps.items()} == {
                2: (2, 16, 16, 8),
                4: (2, 8, 8, 8),
                8: (2, 4, 4, 16),
            }
