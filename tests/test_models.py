"""Models by name: published sizes, and gradients that compilation does not change."""

import importlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import shipped

from jaxdl import config, data, keys, losses, models
from jaxdl.errors import UserError

# Trainable parameters, as they follow from the layers' shapes by hand (see the files' docstrings).
PARAMETERS = {
    "deep_cnn": ((28, 28, 1), 421_834),
    "mlp": ((28, 28, 1), 269_322),
    "autoencoder": ((28, 28, 1), 476_720),
    "vae": ((28, 28, 1), 682_336),
}


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameter_count_is_that_of_the_layers(name):
    shape, count = PARAMETERS[name]
    variables = jax.eval_shape(models.create(name).init, keys.root(0), jnp.zeros((1, *shape)))
    assert sum(x.size for x in jax.tree.leaves(variables["params"])) == count


# Those that take more than an image are counted in tests of their own: test_ppo.py,
# test_adversarial.py, test_bert.py, test_deep_q.py, test_diffusion.py, test_encoder_decoder.py,
# test_faster_rcnn.py, test_gpt.py, test_graphs.py, test_graph_layers.py, test_recognising.py,
# test_recurrent_models.py, test_style.py, test_stylegan2.py, test_super_resolution.py,
# test_translation.py, test_unet.py, test_whisper.py, test_yolo.py. Published image classifiers have
# a test file each.
CLASSIFIERS = (
    *("lenet", "alexnet", "vgg", "googlenet", "inception", "resnet", "efficientnet"),
    *("vit", "convnext", "mobilevit", "cvt", "coatnet"),
)
COUNTED_ELSEWHERE = {
    *("actor_critic", "dueling"),
    *("bart", "bart_base", "bart_large"),
    *("bert", "bert_tiny", "bert_mini", "bert_small", "bert_medium", "bert_base", "bert_large"),
    *("dcgan", "dcgan_8", "dcgan_28", "dcgan_32", "dcgan_64"),
    *("ddpm", "ddpm_8", "ddpm_cifar10"),
    *("cyclegan", "cyclegan_6", "cyclegan_9", "patchgan"),
    *("edsr", "edsr_baseline", "espcn"),
    *("pix2pix", "pix2pix_128", "pix2pix_256"),
    *("stylegan2", "stylegan2_32", "stylegan2_1024"),
    "faster_rcnn",
    *("gpt", "gpt2_s", "gpt2_m", "gpt2_l", "gpt2_xl"),
    *("gcn", "gat", "gatv2", "graphsage", "gin"),
    *("rnn_lm", "lstm_lm", "gru_lm"),
    *("rnn_rows", "lstm_rows", "gru_rows"),
    *("rnn_forecaster", "lstm_forecaster", "gru_forecaster"),
    *("t5", "t5_small", "t5_base", "t5_large", "t5_3b", "t5_11b"),
    "transformer_net",
    *("unet", "unet_padded", "yolov3", "yolov3_tiny"),
    *("whisper", *(f"whisper_{size}" for size in ("tiny", "base", "small", "medium", "large"))),
    *(f"whisper_{size}_en" for size in ("tiny", "base", "small", "medium")),
    "whisper_ctc",
    *(f"whisper_large_{version}" for version in ("v2", "v3", "v3_turbo")),
    *(f"t5_v1_1_{size}" for size in ("small", "base", "large", "xl", "xxl")),
}


def test_every_model_is_counted():
    found = {name for name in shipped.model_names() if not name.startswith(CLASSIFIERS)}
    assert found == {*PARAMETERS} | COUNTED_ELSEWHERE


@pytest.mark.parametrize("family", CLASSIFIERS)
def test_every_classifier_is_counted_in_its_own_file(family):
    module = importlib.import_module(f"test_{family}")
    names = {name for name in shipped.model_names() if name.startswith(family)}
    # The name of the architecture itself has fields to be chosen, and no published size.
    assert names - {family} == set(module.PARAMETERS) - {family}


def test_unknown_model_and_unknown_field_name_the_nearest():
    with pytest.raises(UserError, match="did you mean 'vit_b16'"):
        models.create("vit_b61")
    with pytest.raises(UserError, match="model 'vit_b16' has no 'widht': did you mean 'width'"):
        models.create("vit_b16", widht=3)


def test_call_order_is_that_of_the_forward_pass():
    image = jax.ShapeDtypeStruct((1, 8, 8, 1), jnp.float32)
    model = models.create("vit", patch_size=4, width=16, heads=2, depth=11)
    order = models.call_order(model, image)
    names = [n for n in order if n and "/" not in n and "Dropout" not in n]
    assert names == ["patch_embed", *(f"block_{i}" for i in range(11)), "norm", "head"]


@pytest.mark.parametrize(
    "name", ["deep_cnn", "mlp", pytest.param("vit", marks=pytest.mark.slow("vit", "jaxdl/ops/"))]
)
def test_compiled_gradient_is_that_of_float64_one_operation_at_a_time(name):
    # Digits have much background, so pooling windows hold many equal values. A compiler computes
    # them anew in several places, each rounded in its own way: no maximum may then be counted
    # twice, or not at all.
    fields = {
        "deep_cnn": dict(channels=(8, 16), hidden=32, dropout=0.0),
        "vit": dict(patch_size=2, width=16, heads=2, depth=2, pool="mean"),
        "mlp": dict(hidden=(16,)),
    }[name]
    digits = data.load(config.default().data)
    batch = digits.train.take(np.arange(48))
    images, labels = (batch["image"] - digits.mean) / digits.std, batch["label"]
    variables = models.create(name, num_classes=10, **fields).init(keys.root(0), images)
    # A head of zeros would pass no gradient on.
    head = variables["params"]["head"]
    head["kernel"] = 0.3 * jax.random.normal(keys.root(1), head["kernel"].shape)

    def gradient(dtype, compiled):
        model = models.create(name, num_classes=10, **fields, dtype=dtype)
        cast = lambda tree: jax.tree.map(lambda x: jnp.asarray(np.asarray(x), dtype), tree)
        state = {k: cast(v) for k, v in variables.items() if k != "params"}

        def loss(params):
            logits, _ = model.apply(
                {"params": params, **state}, cast(images), train=True, mutable=list(state)
            )
            return losses.cross_entropy(logits, labels).mean()

        grad = jax.jit(jax.grad(loss)) if compiled else jax.grad(loss)
        return jax.tree.map(np.asarray, grad(cast(variables["params"])))

    ours = gradient(jnp.float32, compiled=True)
    with jax.enable_x64(True):
        exact = gradient(jnp.float64, compiled=False)
    for (path, a), b in zip(
        jax.tree_util.tree_leaves_with_path(ours), jax.tree.leaves(exact), strict=True
    ):
        np.testing.assert_allclose(
            a, b, atol=2e-5 * max(np.abs(b).max(), 1e-2), err_msg=jax.tree_util.keystr(path)
        )


@pytest.mark.parametrize(
    "name, fields, words",
    [
        ("cvt", dict(depths=(1, 1)), "CvT takes as many of each, one a stage; there are 2 depths, "
         "3 widths, 3 heads, 3 patch_sizes, 3 strides, 3 paddings"),
        ("convnext", dict(depths=(1, 1)), "ConvNeXt takes as many of each, .* 2 depths, 4 widths"),
        ("vgg", dict(channels=(8, 8)), "VGG takes as many of each, .* 5 stages, 2 channels"),
        ("coatnet", dict(widths=(8, 8)), "CoAtNet takes as many of each, .* 2 widths, 4 depths"),
        ("alexnet", dict(channels=(8, 8)), "AlexNet takes 5; there are 2 channels"),
        ("googlenet", dict(stem=(8, 8)), "GoogLeNet takes 3; there are 2 stem, 3 stem_strides"),
        ("lenet", dict(channels=(6, 16)), "LeNet takes 3; there are 2 channels"),
    ],
)  # fmt: skip
def test_lengths_that_do_not_fit_are_named(name, fields, words):
    module = models.create(name, **fields)
    with pytest.raises(UserError, match=words):
        jax.eval_shape(module.init, keys.root(0), jnp.zeros((1, 64, 64, 3)))
