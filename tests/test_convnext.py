"""ConvNeXt: published sizes, pyramid, images of any size, stochastic depth, settings files."""

import json
import re
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import shipped
from flax import linen as nn

from jaxdl import keys, layers, models, pretrained, process, trees
from jaxdl.errors import UserError
from jaxdl.pretrained.convnext import CONVNEXT

sys.path.insert(0, str(Path(__file__).parent / "golden"))

import seeded

# torchvision's and timm's (xl) tables.
PARAMETERS = {
    "convnext_t": 28_589_128,
    "convnext_s": 50_223_688,
    "convnext_b": 88_591_464,
    "convnext_l": 197_767_336,
    "convnext_xl": 350_196_968,
}
SMALL = dict(depths=(1, 2), widths=(8, 12), num_classes=5)
SHAPE = (4, 12, 17, 2)


def jitted(f):
    return jax.jit(f, compiler_options=process.options_to_run_once())


def made(shape=SHAPE, **fields):
    """A small model, weights of which all count, and images."""
    module = models.create("convnext", **{**SMALL, **fields})
    images = seeded.images(shape)
    shapes = jax.eval_shape(module.init, keys.root(0), images)
    draw = lambda path, x: jnp.asarray(0.3 * seeded.normal(str(path), x.shape), x.dtype)
    return module, jax.tree_util.tree_map_with_path(draw, shapes), images


@pytest.mark.parametrize("name", shipped.sizes(PARAMETERS, "jaxdl/models/convnext.py"))
def test_parameter_count_is_the_published_one(name):
    images = jnp.zeros((1, 224, 224, 3))
    variables = jax.eval_shape(models.create(name).init, keys.root(0), images)
    assert sum(x.size for x in jax.tree.leaves(variables)) == PARAMETERS[name]


def test_every_size_is_counted():
    assert {name for name in shipped.model_names() if name.startswith("convnext_")} == set(
        PARAMETERS
    )


def test_initial_weights_are_the_published_ones():
    module, _, images = made(widths=(64, 128))
    params = jitted(module.init)(keys.root(0), images)["params"]
    for name, x in zip(
        trees.leaf_names(params), map(np.asarray, jax.tree.leaves(params)), strict=True
    ):
        if name.endswith("kernel"):
            assert x.std() == pytest.approx(0.02, rel=0.15), name
        elif name.endswith("bias"):
            assert not x.any(), name
        else:
            expected = 1 if "norm" in name else np.float32(1e-6)
            np.testing.assert_array_equal(x, expected, err_msg=name)


def test_pyramid_has_each_stages_last_map_also_of_sizes_that_no_stride_divides():
    module, variables, images = made()
    maps = jitted(lambda v, x: module.apply(v, x, features=True))(variables, images)
    assert {s: x.shape for s, x in maps.items()} == {4: (4, 3, 4, 8), 8: (4, 1, 2, 12)}
    # What no window takes in counts for nothing.
    inside = jitted(lambda v, x: module.apply(v, x))(variables, images[:, :, :16])
    np.testing.assert_allclose(jitted(module.apply)(variables, images), inside, atol=1e-6)


def test_without_classes_there_are_the_features_that_the_head_reads():
    module, variables, images = made(dtype=jnp.bfloat16)
    head = variables["params"].pop("head")
    features = jitted(module.copy(num_classes=0).apply)(variables, images)
    assert (features.shape, features.dtype) == ((4, 12), jnp.float32)
    variables["params"]["head"] = head
    logits = jitted(module.apply)(variables, images)
    np.testing.assert_allclose(logits, features @ head["kernel"] + head["bias"], rtol=1e-4)


def test_images_below_the_last_stride_are_refused():
    module, variables, images = made()
    with pytest.raises(UserError, match="images of 7x17 pixels are too small: at least 8 a side"):
        module.apply(variables, images[:, :7])


def test_epsilon_of_the_head_is_its_norms_only():
    module, variables, images = made(head_epsilon=1e-12)
    seen = {}

    def record(call, args, kwargs, context):
        if isinstance(context.module, layers.LayerNorm):
            seen["/".join(context.module.path)] = context.module.epsilon
        return call(*args, **kwargs)

    with nn.intercept_methods(record):
        jax.eval_shape(module.apply, variables, images)
    assert seen.pop("norm") == 1e-12
    assert set(seen.values()) == {1e-6}


def test_stochastic_depth_rises_over_all_blocks_and_drops_whole_branches():
    module, variables, images = made(drop_path=0.8)
    rates = {}

    def record(call, args, kwargs, context):
        if isinstance(context.module, layers.DropPath):
            rates[context.module.path[0]] = context.module.rate
        return call(*args, **kwargs)

    def run(variables, images):
        with nn.intercept_methods(record):
            rngs = dict(dropout=keys.root(0))
            return module.apply(variables, images, train=True, rngs=rngs)

    jax.eval_shape(run, variables, images)
    assert rates == {"block_0_0": 0, "block_1_0": pytest.approx(0.4), "block_1_1": 0.8}
    # Without the branches there would be no reason for one image's logits to differ from another's.
    same = np.broadcast_to(images[:1], (64, *SHAPE[1:]))
    logits = np.asarray(jitted(run)(variables, same))
    assert len(np.unique(logits[:, 0].round(5))) == 4


def test_settings_of_transformers_are_read_and_written(tmp_path):
    module, variables, _ = made(
        (1, 32, 32, 3), depths=(1, 1, 1), widths=(8, 12, 16), head_epsilon=1e-12, layer_scale=0.1
    )
    pretrained.save(module, variables, tmp_path, naming="transformers")
    again, there = pretrained.load(tmp_path)
    assert again == module
    jax.tree.map(np.testing.assert_array_equal, there, variables)
    path = tmp_path / "config.json"
    config = json.loads(path.read_text())
    for wrong, message in [
        (dict(hidden_act="relu"), "hidden_act='relu'"),
        (dict(depths=[1, 1]), r"depths=\(1, 1\) and hidden_sizes=\(8, 12, 16\)"),
        (dict(layer_scale_init_value=0), "layer_scale_init_value=0"),
    ]:
        path.write_text(json.dumps({**config, **wrong}))
        with pytest.raises(UserError, match=message):
            pretrained.load(tmp_path)


@pytest.mark.parametrize("naming", CONVNEXT.namings)
def test_every_naming_is_read_back_for_any_number_of_stages(naming, tmp_path):
    module, variables, _ = made((1, 32, 32, 3), depths=(1, 2, 1), widths=(4, 8, 12))
    path = tmp_path / "convnext.safetensors"
    pretrained.save(module, variables, path, naming=naming)
    fields = {name: getattr(module, name) for name in ("depths", "widths")}
    again, there = pretrained.load(path, "convnext", **fields)
    assert again == module
    jax.tree.map(np.testing.assert_array_equal, there, variables)


def test_names_of_libraries_mean_the_size_that_they_say():
    for naming in CONVNEXT.namings.values():
        for name, published in naming.models.items():
            size = re.split("[-_.]", name)[1]
            letters = "xl" if size == "xlarge" else size[0]
            assert published.model == f"convnext_{letters}", name
            assert published.preprocess.size == (384 if "384" in name else 224), name
