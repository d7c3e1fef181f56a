"""What config.parallel.tensor splits: for every architecture, and by which rule."""

import functools
import re

import jax
import jax.numpy as jnp
import pytest
import shipped

from jaxdl import config, keys, layers, models, ops, parallel
from jaxdl.trees import path_name


def image(size, channels=1):
    return (jnp.zeros((1, size, size, channels)),)


TOKENS, NUMBER = (jnp.zeros((1, 8), int),), jnp.zeros(1, int)
STAGES = dict(depths=(1, 1), widths=(8, 16))
ATTENTION = {f"{name}/{part} {axis}" for name in ("query", "key", "value")
             for part, axis in (("kernel", 1), ("bias", 0))} | {"out/kernel 0"}  # fmt: skip
FEED_FORWARD = {"up/kernel 1", "up/bias 0", "down/kernel 0"}
TRANSFORMER = {f"attention/{x}" for x in ATTENTION} | {f"feed_forward/{x}" for x in FEED_FORWARD}
TABLE = {"token/embedding 0"}
EDGES = ops.connect([(0, 1)], 3)
CROSS = {f"cross_attention/{x}" for x in ATTENTION}


def dense(above="", name="dense", rank=2):
    return {f"{above}{name}/kernel {rank - 1}", f"{above}{name}/bias 0"}


# An architecture: fields, inputs, and what is split, by the end of its name and the axis.
SPLIT = {
    "actor_critic": (dict(actions=2), (jnp.zeros((1, 4)),), set()),
    "alexnet": (
        dict(channels=(8,) * 5, hidden=16),
        image(64),
        dense(name="dense_0", rank=4) | dense(name="dense_1"),
    ),
    "autoencoder": (
        dict(shape=(8, 8, 1), hidden=(16,)),
        image(8),
        dense("encoder/", "dense_0") | dense("decoder/", "dense_0"),
    ),
    "bart": (
        dict(vocab_size=10, width=8, heads=2, hidden=8, encoder_depth=1, decoder_depth=1),
        TOKENS * 2,
        TRANSFORMER | CROSS | TABLE,
    ),
    "bert": (
        dict(output="tagger", vocab_size=10, context=8, depth=1, width=8, heads=2),
        TOKENS,
        TRANSFORMER | TABLE,
    ),
    "coatnet": (dict(**STAGES, blocks="CT", head_dim=4), image(8), TRANSFORMER),
    "convnext": (STAGES, image(32), set()),
    "cvt": (
        dict(**STAGES, heads=(2, 2), patch_sizes=(7, 3), strides=(4, 2), paddings=(2, 1)),
        image(32),
        TRANSFORMER,
    ),
    "dcgan": (dict(widths=(8, 4), base=2), (jnp.zeros((1, 8)),), set()),
    "ddpm": (
        dict(width=8, groups=2, multipliers=(1,), channels=1, heads=2),
        (*image(8), NUMBER, NUMBER),
        {f"attention/{x}" for x in ATTENTION},
    ),
    "deep_cnn": (dict(channels=(4,), hidden=8), image(8), dense()),
    "cyclegan": (dict(depth=1, width=4, channels=1), image(8), set()),
    "dueling": (
        dict(hidden=(8,), stream=(8,)),
        (jnp.zeros((1, 4)),),
        dense(name="dense_0"),
    ),
    "edsr": (dict(depth=1, width=4, channels=1), image(8), set()),
    "efficientnet": (dict(stages=((1, 3, 1, 8, 1),), last=16), image(8), set()),
    "espcn": (dict(widths=(8, 4)), image(8), set()),
    "faster_rcnn": (
        dict(
            backbone="resnet",
            backbone_fields=("stages=(1,)", "width=4"),
            strides=(4,),
            width=4,
            hidden=8,
            num_classes=2,
            mean=(),
            std=(),
            sizes=((8,), (16,)),
            region_candidates=(8, 8),
            regions=(8, 8),
        ),
        image(16),
        dense(name="dense_0", rank=4) | dense(name="dense_1"),
    ),
    "gat": (dict(hidden=(4,)), (jnp.zeros((3, 4)), EDGES), set()),
    "gcn": (dict(hidden=(4,)), (jnp.zeros((3, 4)), EDGES), set()),
    "gin": (
        dict(hidden=(4,), num_classes=4),
        (jnp.zeros((3, 4)), EDGES),
        {x for conv in ("conv_0/", "head/") for i in (0, 1) for x in dense(conv, f"dense_{i}")},
    ),
    "graphsage": (dict(hidden=(4,)), (jnp.zeros((3, 4)), EDGES), set()),
    "googlenet": (dict(stem=(4, 4, 8), stages=(((4, 4, 8, 2, 4, 4),),)), image(32), set()),
    "inception_v3": (dict(shrink=16, stages=((("A", 32),),)), image(75), set()),
    "gpt": (dict(vocab_size=10, context=8, depth=1, width=8, heads=2), TOKENS, TRANSFORMER | TABLE),
    "lenet": ({}, image(32), dense()),
    "lstm_forecaster": (dict(hidden=4), (jnp.zeros((1, 8, 1)),), set()),
    "lstm_lm": (dict(vocab_size=10, hidden=4), TOKENS, TABLE),
    "lstm_rows": (dict(hidden=4), image(8), set()),
    "mlp": (dict(hidden=(8, 4)), image(8), dense(name="dense_0") | dense(name="dense_1")),
    "mobilevit": (
        dict(**STAGES, strides=(2, 1, 2), tokens=(16,), heads=2, last_width=16),
        image(32),
        TRANSFORMER,
    ),
    "resnet": (dict(stages=(1, 1), width=8), image(8), set()),
    "t5": (
        dict(
            vocab_size=10,
            width=8,
            heads=2,
            hidden=8,
            encoder_depth=1,
            decoder_depth=1,
            gated=True,
            tied=False,
        ),
        TOKENS * 2,
        {x for x in TRANSFORMER | CROSS if "bias" not in x}
        | {"feed_forward/gate/kernel 1"}
        | TABLE,
    ),
    "patchgan": (dict(channels=1, width=4, depth=1), image(8), set()),
    "pix2pix": (dict(channels=1, width=4, depth=2), image(8), set()),
    "stylegan2": (dict(widths=(8, 4), width=8, mapping_depth=1), (jnp.zeros((1, 8)),), set()),
    "transformer_net": (dict(depth=1, width=4, channels=1), image(8), set()),
    "unet": (dict(width=4, depth=1, padded=True), image(8), set()),
    "unet_padded": (dict(width=4, depth=1), image(8), set()),
    "vae": (
        dict(shape=(8, 8, 1), hidden=(16,)),
        image(8),
        dense("encoder/", "dense_0") | dense("decoder/", "dense_0"),
    ),
    "vgg": (
        dict(stages=(1,), channels=(8,), hidden=16),
        image(32),
        dense(name="dense_0", rank=4) | dense(name="dense_1"),
    ),
    "vit": (dict(depth=1, width=8, heads=2, patch_size=4), image(8), TRANSFORMER),
    "whisper": (
        dict(
            vocab_size=10,
            width=8,
            heads=2,
            hidden=8,
            encoder_depth=1,
            decoder_depth=1,
            bands=3,
        ),
        (jnp.zeros((1, 4, 3)), *TOKENS),
        (TRANSFORMER | CROSS | TABLE) - {"attention/key/bias 0", "cross_attention/key/bias 0"},
    ),
    "yolov3": (
        dict(num_classes=2, width=4, depths=(1, 1), levels=2, anchors=((4, 4), (8, 8))),
        image(32),
        set(),
    ),
    "yolov3_tiny": (dict(num_classes=2, width=4, stages=2), image(32), set()),
}
# Of the same architecture with another cell.
ALIKE = ("rnn_", "gru_")


def layout():
    sizes = {**config.default().parallel, "data": 1, "tensor": 2}
    return parallel.create(sizes, 1, devices=jax.devices()[:2], rules=layers.TENSOR_RULES)


@functools.cache
def abstract(name):
    fields, inputs, _ = SPLIT[name]
    how = dict(method="generate") if name in ("dcgan", "stylegan2") else {}
    module = models.create(name, **fields)
    return jax.eval_shape(lambda key: module.init(key, *inputs, **how), keys.root(0))["params"]


def split(params):
    """{"name axis"} of the leaves that two devices have halves of."""
    found = jax.tree_util.tree_leaves_with_path(layout().state(params))
    return {
        f"{path_name(path)} {list(x.sharding.spec).index('tensor')}"
        for path, x in found
        if "tensor" in x.sharding.spec
    }


def test_every_architecture_is_here():
    families = {name for name in shipped.model_names() if not name.startswith(ALIKE)}
    published = {name for name in families if name.startswith(tuple(SPLIT)) and name not in SPLIT}
    published -= {"gpt"}
    named = families - published - {n for n in families if n.startswith("gpt2_")}
    assert named == set(SPLIT)


@pytest.mark.parametrize("name", SPLIT)
def test_what_two_devices_have_halves_of(name):
    found, wanted = split(abstract(name)), SPLIT[name][2]
    short = {
        re.sub(r"^(?:.*/)?((?:cross_)?(?:attention|feed_forward)/)", r"\1", leaf) for leaf in found
    }
    short = {re.sub(r"^.*(token/)", r"\1", leaf) for leaf in short}
    assert short == wanted


def test_every_rule_is_of_use():
    names = [path_name(p) for name in SPLIT for p, _ in
             jax.tree_util.tree_leaves_with_path(abstract(name))]  # fmt: skip
    for rule in layers.TENSOR_RULES:
        assert any(re.search(rule.pattern, name) for name in names), rule
    of_layers = [layers.attention, layers.transformer, layers.dense, layers.token]
    assert sum((m.TENSOR_RULES for m in of_layers), ()) == layers.TENSOR_RULES
