"""MobileViT: sizes, patches, and what of transformers' settings it computes."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl import keys, models, pretrained
from jaxdl.errors import UserError
from jaxdl.models.mobilevit import fold, unfold

# Trainable parameters of the published models at 1000 classes.
PARAMETERS = {
    "mobilevit": 5_578_632,
    "mobilevit_xxs": 1_272_024,
    "mobilevit_xs": 2_317_848,
    "mobilevit_s": 5_578_632,
}
TINY = dict(
    num_classes=10,
    stem_width=8,
    widths=(8, 8, 8, 16, 16),
    tokens=(8, 8, 16),
    last_width=24,
    expand_ratio=2.0,
)


def shapes(module, *image, **how):
    """The results' shapes and the variables', without computing any."""
    x = jax.ShapeDtypeStruct((2, *image), jnp.float32)
    return jax.eval_shape(lambda x: module.init_with_output(keys.root(0), x, **how), x)


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameter_count_is_the_published_one(name):
    logits, variables = shapes(models.create(name), 256, 256, 3)
    assert (logits.shape, logits.dtype) == ((2, 1000), jnp.float32)
    assert sum(x.size for x in jax.tree.leaves(variables["params"])) == PARAMETERS[name]


def test_sequences_are_the_same_place_of_all_patches():
    x = np.arange(2 * 4 * 6 * 3, dtype=np.float32).reshape(2, 4, 6, 3)
    sequences, size = unfold(jnp.asarray(x), 2)
    assert sequences.shape == (2 * 4, 2 * 3, 3)
    for place, (row, column) in enumerate(np.ndindex(2, 2)):
        expected = x[1, row::2, column::2].reshape(-1, 3)
        np.testing.assert_array_equal(sequences[4 + place], expected)
    np.testing.assert_array_equal(fold(sequences, 2, size), x)


def test_maps_have_their_strides_at_sizes_that_do_not_divide():
    maps, _ = shapes(models.create("mobilevit", **TINY), 40, 72, 1, features=True)
    expected = {2: (20, 36, 8), 4: (10, 18, 8), 8: (5, 9, 8), 16: (3, 5, 16), 32: (2, 3, 16)}
    assert {stride: x.shape[1:] for stride, x in maps.items()} == expected


def test_without_classes_come_the_pooled_features():
    module = models.create("mobilevit", **{**TINY, "num_classes": 0}, dtype=jnp.bfloat16)
    found, variables = shapes(module, 32, 32, 3)
    assert (found.shape, found.dtype) == ((2, 24), jnp.float32)
    assert "head" not in variables["params"]


def test_settings_are_read_as_they_are_written(tmp_path):
    module = models.create("mobilevit", **TINY, heads=2, mlp_ratio=1.5, norm_epsilon=1e-6)
    _, variables = shapes(module, 32, 32, 3)
    draw = np.random.default_rng(0)
    variables = jax.tree.map(lambda x: draw.normal(size=x.shape).astype(np.float32), variables)
    pretrained.save(module, variables, tmp_path, naming="transformers")
    again, loaded = pretrained.load(tmp_path)
    assert again == module
    assert jax.tree.all(jax.tree.map(np.array_equal, loaded, variables))


WRITTEN = dict(model_type="mobilevit")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (dict(output_stride=16), "output_stride=16, but model 'mobilevit' has 32"),
        (dict(qkv_bias=False), "qkv_bias=False, but model 'mobilevit' has True"),
        (dict(hidden_act="relu"), "hidden_act='relu', but model 'mobilevit' has 'silu'"),
        (dict(hidden_sizes=[8, 8]), r"hidden_sizes=\[8, 8\] must be 3 whole numbers"),
        (dict(neck_hidden_sizes=7), "neck_hidden_sizes=7 must be 7 whole numbers"),
        (dict(patch_size=[2, 2]), r"patch_size=\[2, 2\] must be a number over 0"),
    ],
)
def test_settings_that_it_does_not_compute_are_named(settings, message, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({**WRITTEN, **settings}))
    (tmp_path / "model.safetensors").touch()
    with pytest.raises(UserError, match=f"config.json: {message}"):
        pretrained.load(tmp_path)


def test_what_transformers_has_built_in_otherwise_is_not_written(tmp_path):
    module = models.create("mobilevit", **TINY, depths=(1, 1, 1, 1, 1))
    _, variables = shapes(module, 32, 32, 3)
    variables = jax.tree.map(lambda x: np.zeros(x.shape, np.float32), variables)
    with pytest.raises(UserError, match=r"no MobileViT with depths=\(1, 1, 1, 1, 1\)"):
        pretrained.save(module, variables, tmp_path, naming="transformers")


def test_each_library_prepares_images_in_its_own_way():
    theirs = pretrained.preprocess("apple/mobilevit-small")
    assert (theirs.size, theirs.resize, theirs.channels) == (256, 288, "bgr")
    timm = pretrained.preprocess("mobilevit_s")
    assert (timm.size, timm.resize, timm.interpolation) == (256, 284, "bicubic")
    assert timm.mean == theirs.mean == (0, 0, 0)
