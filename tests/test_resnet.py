"""ResNet: published sizes, maps, settings. test_classifiers checks its numbers."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import shipped

from jaxdl import keys, models, pretrained
from jaxdl.errors import UserError
from jaxdl.models.resnet import VARIANTS
from jaxdl.pretrained.resnet import RESNET

PARAMETERS = {
    "resnet18": 11_689_512,
    "resnet34": 21_797_672,
    "resnet50": 25_557_032,
    "resnet101": 44_549_160,
    "resnet152": 60_192_808,
}
TINY = dict(stages=(1, 1), width=4, num_classes=3)
TRANSFORMERS = RESNET.namings["transformers"]


def abstract(module, shape=(1, 224, 224, 3), **how):
    """(what comes out, variables) without their values."""
    run = lambda key, x: module.init_with_output(key, x, **how)
    return jax.eval_shape(run, keys.root(0), jnp.zeros(shape))


@pytest.mark.parametrize("name", shipped.sizes(PARAMETERS, "jaxdl/models/resnet.py"))
def test_parameter_count_is_the_published_one(name):
    logits, variables = abstract(models.create(name))
    assert logits.shape == (1, 1000)
    assert sum(x.size for x in jax.tree.leaves(variables["params"])) == PARAMETERS[name]


@pytest.mark.parametrize("bottleneck, widths", [(False, (4, 4, 8)), (True, (4, 16, 32))])
def test_maps_by_stride(bottleneck, widths):
    module = models.create("resnet", **TINY, bottleneck=bottleneck)
    pyramid, _ = abstract(module, (2, 33, 64, 1), features=True)
    sizes = {2: (17, 32), 4: (9, 16), 8: (5, 8)}
    expected = {s: (2, *sizes[s], c) for s, c in zip(sizes, widths, strict=True)}
    assert {stride: x.shape for stride, x in pyramid.items()} == expected


def test_small_stem_keeps_the_size():
    pyramid, _ = abstract(
        models.create("resnet", **TINY, stem="small"), (2, 8, 8, 1), features=True
    )
    assert {stride: x.shape for stride, x in pyramid.items()} == {1: (2, 8, 8, 4), 2: (2, 4, 4, 8)}


def test_without_classes_it_gives_the_pooled_features():
    x = np.random.default_rng(0).normal(size=(2, 32, 32, 3)).astype(np.float32)
    module = models.create("resnet", **{**TINY, "num_classes": 0})
    variables = module.init(keys.root(0), x)
    assert "head" not in variables["params"]
    pooled, pyramid = module.apply(variables, x), module.apply(variables, x, features=True)
    np.testing.assert_allclose(pooled, pyramid[8].mean((1, 2)), rtol=1e-6)


def test_order_of_norm_and_activation():
    x = np.random.default_rng(0).normal(size=(2, 16, 16, 3)).astype(np.float32)
    module = models.create("resnet", **TINY, stem="small", order="conv_act_norm")
    variables = module.init(keys.root(0), x)
    stem = module.apply(variables, x, train=True, features=True, mutable="batch_stats")
    assert stem[0][1].min() >= 0  # a block's sum ends with its activation
    _, kept = module.apply(
        variables, x, train=True, mutable=["batch_stats", "intermediates"],
        capture_intermediates=lambda module, _: module.name == "stem",
    )  # fmt: skip
    (found,) = kept["intermediates"]["stem"]["__call__"]
    np.testing.assert_allclose(found.mean((0, 1, 2)), 0, atol=1e-5)  # normalised last


def test_any_precision_gives_wide_logits():
    x = jnp.ones((1, 32, 32, 3))
    for dtype, expected in {jnp.bfloat16: jnp.float32, jnp.float32: jnp.float32}.items():
        module = models.create("resnet", **TINY, dtype=dtype)
        assert abstract(module, x.shape)[0].dtype == expected
    with jax.enable_x64(True):
        module = models.create("resnet", **TINY, dtype=jnp.float64)
        assert abstract(module, x.shape)[0].dtype == jnp.float64


@pytest.mark.parametrize("name", VARIANTS)
def test_settings_travel(name):
    module = models.create(name, num_classes=7)
    config = json.loads(json.dumps(TRANSFORMERS.write(module)))
    fields = TRANSFORMERS.read(config, Path("config.json"))
    assert models.create("resnet", **fields, num_classes=7) == module


@pytest.mark.parametrize(
    "change, complaint",
    [
        (dict(hidden_act="gelu"), "hidden_act='gelu'"),
        (dict(downsample_in_bottleneck=True), "downsample_in_bottleneck"),
        (dict(hidden_sizes=[256, 512, 1024, 1024]), "hidden_sizes"),
        (dict(depths=[3, 4, 0, 3]), "depths"),
        (dict(layer_type="preactivation"), "layer_type"),
        (dict(embedding_size="64"), "embedding_size"),
    ],
)
def test_settings_that_it_does_not_compute_are_refused(change, complaint):
    config = {**TRANSFORMERS.write(models.create("resnet50")), **change}
    with pytest.raises(UserError, match=rf"there/config.json: .*{complaint}"):
        TRANSFORMERS.read(config, Path("there/config.json"))


def test_what_transformers_does_not_have_is_not_written():
    with pytest.raises(UserError, match="stem='small'"):
        TRANSFORMERS.write(models.create("resnet18", stem="small"))


def test_preprocessing_is_the_librarys():
    assert pretrained.preprocess("resnet50").resize == 256
    a1 = pretrained.preprocess("resnet50.a1_in1k")
    assert (a1.size, a1.resize, a1.interpolation) == (224, 235, "bicubic")
