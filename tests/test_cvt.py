"""CvT: sizes, stochastic depth, and whose names and settings it reads."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import shipped
from flax import linen as nn
from safetensors.numpy import load_file

from jaxdl import keys, layers, models, pretrained
from jaxdl.errors import UserError
from jaxdl.report import attention_maps

# Trainable parameters of the published models at 1000 classes.
PARAMETERS = {
    "cvt": 19_997_480,
    "cvt_13": 19_997_480,
    "cvt_21": 31_622_696,
    "cvt_w24": 277_196_392,
}
TINY = dict(num_classes=10, depths=(1, 1, 3), widths=(8, 16, 24), heads=(1, 2, 3))


def shapes(module, *image, **how):
    """The results' shapes and the variables', without computing any."""
    x = jax.ShapeDtypeStruct((2, *image), jnp.float32)
    return jax.eval_shape(lambda x: module.init_with_output(keys.root(0), x, **how), x)


def drawn(module):
    """Variables that took no compilation; all above 0, as variances must be."""
    draw = np.random.default_rng(0)
    _, variables = shapes(module, 32, 32, 3)
    return jax.tree.map(lambda x: draw.random(x.shape, np.float32), variables)


@pytest.fixture(scope="module")
def tiny():
    """(module, variables)."""
    module = models.create("cvt", **TINY)
    return module, drawn(module)


@pytest.mark.parametrize("name", shipped.sizes(PARAMETERS, "jaxdl/models/cvt.py"))
def test_parameter_count_is_the_published_one(name):
    logits, variables = shapes(models.create(name), 224, 224, 3)
    assert (logits.shape, logits.dtype) == ((2, 1000), jnp.float32)
    assert sum(x.size for x in jax.tree.leaves(variables["params"])) == PARAMETERS[name]


def test_maps_have_their_strides():
    maps, _ = shapes(models.create("cvt", **TINY), 32, 64, 1, features=True)
    expected = {4: (8, 16, 8), 8: (4, 8, 16), 16: (2, 4, 24)}
    assert {stride: x.shape[1:] for stride, x in maps.items()} == expected


@pytest.mark.parametrize("pool", ["token", "mean"])
def test_without_classes_come_the_pooled_features(pool):
    fields = {**TINY, "num_classes": 0, "pool": pool, "dtype": jnp.bfloat16}
    found, variables = shapes(models.create("cvt", **fields), 32, 32, 3)
    assert (found.shape, found.dtype) == ((2, 24), jnp.float32)
    assert ("class_token" in variables["params"]) == (pool == "token")


def test_stochastic_depth_rises_in_the_last_stage():
    rates = {}

    def record(call, args, kwargs, context):
        if isinstance(context.module, layers.DropPath):
            rates.setdefault(context.module.path[0], set()).add(context.module.rate)
        return call(*args, **kwargs)

    with nn.intercept_methods(record):
        shapes(models.create("cvt", **TINY, drop_path=0.2), 32, 32, 3)
    expected = dict(block_0_0=0, block_1_0=0, block_2_0=0, block_2_1=0.1, block_2_2=0.2)
    assert rates == {name: {rate} for name, rate in expected.items()}


def test_only_the_last_stage_looks_at_a_class_token(tiny):
    maps = attention_maps.collect(*tiny, jnp.ones((1, 32, 32, 3)))
    # Keys and values of every other place in both directions.
    assert maps["block_0_0/attention"].shape == (1, 1, 64, 16)
    assert maps["block_2_2/attention"].shape == (1, 3, 1 + 4, 1 + 1)
    np.testing.assert_allclose(maps["block_2_2/attention"].sum(-1), 1, rtol=1e-5)


def test_too_small_images_are_told_what_would_do(tiny):
    module, variables = tiny
    apply = lambda images: jax.eval_shape(module.apply, variables, images)
    with pytest.raises(UserError, match="2x5 pixels are too small: at least 3 a side"):
        apply(jnp.ones((1, 2, 5, 3)))
    assert apply(jnp.ones((1, 3, 5, 3))).shape == (1, 10)


@pytest.mark.parametrize("pool", ["token", "mean"])
def test_settings_are_read_as_they_are_written(pool, tmp_path):
    fields = dict(TINY, pool=pool, strides=(2, 2, 1), mlp_ratio=2.0, key_stride=1, kernel_size=5)
    module = models.create("cvt", **fields)
    variables = drawn(module)
    pretrained.save(module, variables, tmp_path)
    again, loaded = pretrained.load(tmp_path)
    assert again == module
    assert jax.tree.all(jax.tree.map(np.array_equal, loaded, variables))


def test_the_authors_names_are_read(tiny, tmp_path):
    module, variables = tiny
    path = tmp_path / "CvT.safetensors"
    pretrained.save(module, variables, path, naming="the authors")
    names = load_file(path)
    assert {"stage2.cls_token", "stage1.patch_embed.proj.weight", "head.bias"} <= set(names)
    block = {name.removeprefix("stage2.blocks.1.") for name in names if "stage2.blocks.1." in name}
    parts = ("weight", "bias")
    of = lambda *layers: {f"{layer}.{part}" for layer in layers for part in parts}
    expected = of("norm1", "norm2", "attn.proj", "mlp.fc1", "mlp.fc2")
    for x in "qkv":
        expected |= of(f"attn.proj_{x}", f"attn.conv_proj_{x}.bn")
        expected |= {f"attn.conv_proj_{x}.bn.running_{which}" for which in ("mean", "var")}
        expected.add(f"attn.conv_proj_{x}.conv.weight")
    assert block == expected
    _, loaded = pretrained.load(path, "cvt", **TINY)
    assert jax.tree.all(jax.tree.map(np.array_equal, loaded, variables))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (dict(qkv_bias=[True, True, False]), "qkv_bias=.*, but model 'cvt' has True"),
        (dict(qkv_projection_method=["avg"] * 3), "qkv_projection_method=.* has 'dw_bn'"),
        (dict(stride_kv=[2, 2, 1]), r"stride_kv=\[2, 2, 1\], but model 'cvt' has one for all"),
        (dict(padding_q=[0, 0, 0]), r"padding_q=\[0, 0, 0\], but model 'cvt' has 1"),
        (dict(cls_token=[True, False, True]), "cls_token=.*, but only the last stage has one"),
        (dict(embed_dim=[8, 16]), r"embed_dim=\[8, 16\] must be 3 values, one a stage"),
        (dict(num_heads=[1, 0, 3]), r"num_heads=\[1, 0, 3\] must be numbers from 1 on"),
        (dict(depth=3), "depth=3 must be 3 values, one a stage"),
    ],
)
def test_settings_that_it_does_not_compute_are_named(settings, message, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(dict(model_type="cvt", **settings)))
    (tmp_path / "model.safetensors").touch()
    with pytest.raises(UserError, match=f"config.json: {message}"):
        pretrained.load(tmp_path)
