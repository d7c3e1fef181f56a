"""EfficientNet: published sizes, maps, padding, settings. test_classifiers checks its numbers."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import shipped

from jaxdl import keys, models, pretrained
from jaxdl.errors import UserError
from jaxdl.models import efficientnet
from jaxdl.pretrained.efficientnet import EFFICIENTNET

PARAMETERS = {
    "efficientnet_b0": 5_288_548,
    "efficientnet_b1": 7_794_184,
    "efficientnet_b2": 9_109_994,
    "efficientnet_b3": 12_233_232,
    "efficientnet_b4": 19_341_616,
    "efficientnet_b5": 30_389_784,
    "efficientnet_b6": 43_040_704,
    "efficientnet_b7": 66_347_960,
}
# The blocks that Google's config.json for transformers lists as depthwise_padding.
SYMMETRIC = dict(b0=[], b1=[16], b2=[5, 8, 16], b3=[5, 18], b4=[6], b5=[13, 27], b6=[31], b7=[18])
TINY = dict(stages=((1, 3, 1, 8, 1), (4, 5, 2, 16, 2)), last=32, width=0.5, num_classes=3)
TRANSFORMERS = EFFICIENTNET.namings["transformers"]


def abstract(module, shape=(1, 64, 64, 3), **how):
    """(what comes out, variables) without their values."""
    run = lambda key, x: module.init_with_output(key, x, **how)
    return jax.eval_shape(run, keys.root(0), jnp.zeros(shape))


@pytest.mark.parametrize("name", shipped.sizes(PARAMETERS, "jaxdl/models/efficientnet.py"))
def test_parameter_count_is_the_published_one(name):
    logits, variables = abstract(models.create(name))
    assert logits.shape == (1, 1000)
    assert sum(x.size for x in jax.tree.leaves(variables["params"])) == PARAMETERS[name]


def test_maps_by_stride():
    pyramid, _ = abstract(models.create("efficientnet_b1"), (2, 65, 96, 1), features=True)
    widths, sizes = (16, 24, 40, 112, 320), ((33, 48), (17, 24), (9, 12), (5, 6), (3, 3))
    expected = {
        2 << i: (2, *size, c) for i, (size, c) in enumerate(zip(sizes, widths, strict=True))
    }
    assert {stride: x.shape for stride, x in pyramid.items()} == expected


def test_without_classes_it_gives_the_pooled_features():
    logits, variables = abstract(models.create("efficientnet", **{**TINY, "num_classes": 0}))
    assert logits.shape == (1, 16)
    assert "head" not in variables["params"]


@pytest.mark.parametrize("size", [7, 8, 60, 65])
@pytest.mark.parametrize("kernel, stride", [(3, 1), (5, 1), (3, 2), (5, 2)])
def test_same_is_xlas(size, kernel, stride):
    assert (
        efficientnet.same(size, kernel, stride)
        == jax.lax.padtype_to_pads((size,), (kernel,), (stride,), "SAME")[0]
    )


def test_blocks_are_dropped_more_and_more():
    module = models.create("efficientnet", **{**TINY, "drop_path": 0.3})
    rates = {}

    def record(call, args, kwargs, context):
        if isinstance(context.module, efficientnet.InvertedResidual):
            rates[context.module.name] = context.module.drop_path
        return call(*args, **kwargs)

    with efficientnet.nn.intercept_methods(record):
        abstract(module)
    assert rates == pytest.approx({"block_0_0": 0, "block_1_0": 0.1, "block_1_1": 0.2})


def test_any_precision_gives_wide_logits():
    module = models.create("efficientnet", **TINY)
    assert abstract(module.copy(dtype=jnp.bfloat16))[0].dtype == jnp.float32
    with jax.enable_x64(True):
        assert abstract(module.copy(dtype=jnp.float64))[0].dtype == jnp.float64


@pytest.mark.parametrize("variant", SYMMETRIC)
def test_settings_travel(variant):
    fields = dict(padding="same", epsilon=1e-3, momentum=0.99, num_classes=7)
    module = models.create(f"efficientnet_{variant}", **fields)
    config = json.loads(json.dumps(TRANSFORMERS.write(module)))
    assert config["depthwise_padding"] == SYMMETRIC[variant]
    read = TRANSFORMERS.read(config, Path("config.json"))
    dropout = module.dropout  # whatever a config.json says, it is the module's own
    assert models.create("efficientnet", **read, dropout=dropout, num_classes=7) == module


@pytest.mark.parametrize(
    "change, complaint",
    [
        (dict(hidden_act="relu"), "hidden_act='relu'"),
        (dict(pooling_type="max"), "pooling_type"),
        (dict(depthwise_padding=[1]), "depthwise_padding"),
        (dict(hidden_dim=640), "hidden_dim"),
        (dict(width_coefficient=None), "width_coefficient=None"),
        (dict(width_coefficient=0.25, hidden_dim=320), "keeps its width"),
    ],
)
def test_settings_that_it_does_not_compute_are_refused(change, complaint):
    module = models.create("efficientnet_b0", padding="same")
    config = {**TRANSFORMERS.write(module), **change}
    with pytest.raises(UserError, match=rf"there/config.json: .*{complaint}"):
        TRANSFORMERS.read(config, Path("there/config.json"))


def test_what_transformers_does_not_have_is_not_written():
    with pytest.raises(UserError, match="padding='half'"):
        TRANSFORMERS.write(models.create("efficientnet_b0"))


def test_preprocessing_is_the_librarys():
    b3 = pretrained.preprocess("efficientnet_b3")
    assert (b3.size, b3.resize, b3.interpolation) == (300, 320, "bicubic")
    assert pretrained.preprocess("tf_efficientnet_b7.ap_in1k").mean == (0.5, 0.5, 0.5)


def test_models_of_other_libraries_have_their_own_padding_and_epsilon():
    published = EFFICIENTNET.namings["timm"].models
    assert published["tf_efficientnet_b0"].fields["padding"] == "same"
    assert published["efficientnet_b5"].fields["epsilon"] == 1e-5
    assert np.isclose(models.create("efficientnet_b5").epsilon, 1e-3)
