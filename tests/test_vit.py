"""ViT: published sizes, maps of patches, other image sizes, and the names of its checkpoints."""

import functools
import json
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import shipped
from flax import linen as nn
from launching import built
from safetensors.numpy import load_file, save_file

from jaxdl import keys, layers, models, pretrained, process
from jaxdl.errors import UserError
from jaxdl.pretrained.vit import VIT
from jaxdl.report import attention_maps

GOLDEN = Path(__file__).parent / "golden"
sys.path.insert(0, str(GOLDEN))

import seeded  # noqa: E402

# As timm's VisionTransformer of the same sizes has them.
PARAMETERS = {
    "vit_ti8": 5_719_720,
    "vit_ti14": 5_694_376,
    "vit_ti16": 5_717_416,
    "vit_ti32": 6_131_560,
    "vit_s8": 22_055_272,
    "vit_s14": 22_004_584,
    "vit_s16": 22_050_664,
    "vit_s32": 22_878_952,
    "vit_b8": 86_576_872,
    "vit_b14": 86_475_496,
    "vit_b16": 86_567_656,
    "vit_b32": 88_224_232,
    "vit_l8": 304_338_920,
    "vit_l14": 304_203_752,
    "vit_l16": 304_326_632,
    "vit_l32": 306_535_400,
    "vit_h8": 632_214_760,
    "vit_h14": 632_045_800,
    "vit_h16": 632_199_400,
    "vit_h32": 634_960_360,
}
SMALL = dict(patch_size=4, width=16, depth=2, heads=2, num_classes=5)


def jitted(f):
    return jax.jit(f, compiler_options=process.options_to_run_once())


def made(side=16, **fields):
    """A small model, its variables moved away from zeros, and images."""
    module = models.create("vit", **{**SMALL, **fields})
    images = seeded.images((2, side, side, 3))
    shapes = jax.eval_shape(module.init, keys.root(0), images)
    draw = lambda path, x: jnp.asarray(0.3 * seeded.normal(str(path), x.shape), x.dtype)
    return module, jax.tree_util.tree_map_with_path(draw, shapes), images


@pytest.mark.parametrize("name", shipped.sizes(PARAMETERS, "jaxdl/models/vit.py"))
def test_parameter_count_is_the_published_one(name):
    images = jnp.zeros((1, 224, 224, 3))
    variables = jax.eval_shape(models.create(name).init, keys.root(0), images)
    assert sum(x.size for x in jax.tree.leaves(variables)) == PARAMETERS[name]


def test_every_size_with_every_patch_is_counted():
    assert {name for name in shipped.model_names() if name.startswith("vit_")} == set(PARAMETERS)


@pytest.mark.parametrize("pool", ["token", "mean"])
def test_features_are_the_last_blocks_patches_where_they_stand_in_the_image(pool):
    module, variables, images = made(pool=pool)
    images = images[:, :, :12]
    if "position" in variables["params"]:
        grids, prefix = ((4, 4), (4, 3)), int(pool == "token")
        table = variables["params"]["position"]
        variables["params"]["position"] = layers.resize_positions(table, *grids, prefix)

    @jitted
    def run(variables, images):
        chosen = lambda module, _: module.name == "block_1"
        logits, kept = module.apply(variables, images, capture_intermediates=chosen)
        tokens = kept["intermediates"]["block_1"]["__call__"][0]
        return logits, tokens, module.apply(variables, images, features=True)

    logits, tokens, pyramid = run(variables, images)
    assert logits.shape == (2, 5)
    assert {stride: x.shape for stride, x in pyramid.items()} == {4: (2, 4, 3, 16)}
    patches = tokens[:, -12:].reshape(2, 4, 3, 16)
    np.testing.assert_allclose(pyramid[4], patches, rtol=1e-6, atol=1e-6)


def test_without_classes_there_are_the_features_that_the_head_reads():
    module, variables, images = made(dtype=jnp.bfloat16)
    head = variables["params"].pop("head")
    features = jitted(module.copy(num_classes=0).apply)(variables, images)
    assert features.dtype == jnp.float32
    variables["params"]["head"] = head
    logits = jitted(module.apply)(variables, images)
    np.testing.assert_allclose(logits, features @ head["kernel"] + head["bias"], rtol=1e-4)


def test_epsilon_is_that_of_all_norms():
    module, variables, images = made(norm_epsilon=1e-12)
    seen = []

    def record(call, args, kwargs, context):
        if isinstance(context.module, layers.LayerNorm):
            seen.append(context.module.epsilon)
        return call(*args, **kwargs)

    with nn.intercept_methods(record):
        jax.eval_shape(module.apply, variables, images)
    assert seen == [1e-12] * 5


def test_sizes_that_cannot_work_say_which_would():
    module, variables, images = made()
    with pytest.raises(UserError, match="must be multiples of 4"):
        module.apply(variables, images[:, :15])
    with pytest.raises(UserError, match="4x2 patches need 9 positions, the table has 17"):
        module.apply(variables, images[:, :, :8])


# Positions of other image sizes.


@pytest.mark.parametrize("name", np.load(GOLDEN / "positions.npz").files)
def test_positions_are_resized_as_by_pytorch(name):
    grids = [tuple(map(int, part.split("x"))) for part in name.split("_")]
    places = seeded.normal(name, (1, 5, *grids[0])).astype(np.float32).transpose(0, 2, 3, 1)
    expected = np.load(GOLDEN / "positions.npz")[name]
    for prefix in (0, 1, 2):
        front = np.full((1, prefix, 5), 7, np.float32)
        table = np.concatenate([front, places.reshape(1, -1, 5)], axis=1)
        resized = layers.resize_positions(table, *grids, prefix)
        assert resized.dtype == jnp.float32
        np.testing.assert_array_equal(resized[:, :prefix], front)
        np.testing.assert_allclose(resized[:, prefix:], expected, atol=1e-5)


@pytest.mark.parametrize("pool", ["token", "mean"])
def test_a_checkpoint_is_loaded_for_another_image_size(pool, tmp_path):
    module, variables, _ = made(pool=pool)
    path = tmp_path / "vit.safetensors"
    pretrained.save(module, variables, path, naming="timm")
    fields = dict(SMALL, pool=pool)
    same, there = pretrained.load(path, "vit", **fields)
    assert same == module
    jax.tree.map(np.testing.assert_array_equal, there, variables)
    _, larger = pretrained.load(path, "vit", image_size=24, **fields)
    table, prefix = variables["params"]["position"], int(pool == "token")
    expected = layers.resize_positions(table, (4, 4), (6, 6), prefix)
    np.testing.assert_array_equal(larger["params"].pop("position"), expected)
    variables["params"].pop("position")
    jax.tree.map(np.testing.assert_array_equal, larger, variables)


def test_a_table_that_is_no_square_is_refused():
    table = np.zeros((1, 13, 4), np.float32)
    with pytest.raises(UserError, match="13 positions cannot become 17"):
        VIT.resize["position"](table, (1, 17, 4))
    with pytest.raises(UserError, match="16 positions cannot become 10"):
        VIT.resize["position"](table[:, [0] * 16], (1, 10, 4))


# What it looks at.


def attended(weights):
    """Abnar and Zuidema's rollout of (layers, heads, T, T), in float64, a token at a time."""
    weights = np.asarray(weights, np.float64).mean(axis=1)
    T = weights.shape[-1]
    whole = np.zeros((T, T))
    for start in range(T):
        flow = np.eye(T)[start]  # how much of this token's input is in each
        for layer in weights:
            flow = np.array([0.5 * flow[t] + 0.5 * layer[t] @ flow for t in range(T)])
        whole[:, start] = flow
    return whole


@pytest.mark.parametrize("pool, remat", [("token", False), ("mean", True)])
def test_what_reaches_the_head_of_each_patch_is_the_attention_rolled_out(pool, remat):
    module, variables, images = made(pool=pool, position="sincos", remat=remat, depth=3)
    images = images[:, :, :12]
    found = jitted(functools.partial(attention_maps.to_patches, module))(variables, images)
    assert (found.shape, found.dtype) == ((2, 4, 3), jnp.float32)
    layers_of = attention_maps.collect(module, variables, images)
    assert len(layers_of) == 3
    for i in range(2):
        whole = attended([weights[i] for weights in layers_of.values()])
        expected = whole[0, 1:] if pool == "token" else whole.mean(axis=0)
        np.testing.assert_allclose(found[i].reshape(-1), expected, rtol=1e-5)
        assert np.ptp(expected) > 0.01 * expected.mean()
    assert attention_maps.images_at_once(module, variables, images) > 1e4


def test_what_is_too_large_or_attends_otherwise_is_not_looked_at():
    def at_once(name, side, **fields):
        module, images = (
            models.create(name, **fields),
            jax.ShapeDtypeStruct((8, side, side, 3), "f4"),
        )
        shapes = jax.eval_shape(module.init, keys.root(0), images)
        return attention_maps.images_at_once(module, shapes, images)

    assert at_once("vit_b16", 224, depth=2) == 2**27 // (2 * 12 * 197**2)
    assert at_once("vit_ti8", 448, depth=2, pool="mean") == 2**27 // (2 * 3 * 3136**2)
    assert at_once("vit_ti8", 896, depth=1) == 0
    assert at_once("cvt", 32, depths=(1, 1, 1), widths=(8, 8, 8), heads=(1, 1, 1)) == 0
    assert at_once("mlp", 32) == 0


def test_a_report_shows_where_a_vit_looks():
    size = ("--config.data.test_fraction=.05", "--config.eval.batch_size=64")
    one = built("vit", *size)
    state, split = one.init_state(), one.run.data.test
    shown = one.task.artifacts(state, split, one.key)
    assert list(shown)[-2:] == ["Most wrong", "Attention"]
    picture = shown["Attention"]
    assert "Abnar and Zuidema" in picture.caption
    assert len(picture.data) < 60_000


def test_patches_are_coloured_by_what_they_count_for(monkeypatch):
    seen = {}
    grid = lambda images, captions, caption, columns: seen.update(
        images=images, captions=captions, columns=columns
    )
    monkeypatch.setattr(attention_maps.draw, "image_grid", grid)
    images = np.zeros((2, 4, 6, 1), np.uint8)  # white
    shares = np.array([[[0.1, 0.2, 0.1], [0.1, 0.1, 0.4]], [[0.0] * 3] * 2])
    attention_maps.over_images(images, shares, ["a", "b"])
    assert seen["captions"] == ["a", "b", "10.0% to 40.0%", "0.0% to 0.0%"]
    assert seen["columns"] == 2
    pair = seen["images"]
    assert pair.shape == (4, 4, 6, 3)
    np.testing.assert_array_equal(pair[[0, 1, 3]], 1)  # of one that looks nowhere, nothing
    share = (1 - pair[2, :, :, 2]) / (1 - attention_maps.draw.rgb(attention_maps.draw.COLORS[1])[2])
    expected = np.kron([[0, 1 / 3, 0], [0, 0, 1]], np.ones((2, 2)))
    np.testing.assert_allclose(share / share.max(), expected, atol=1e-6)


# Names of checkpoints.


@pytest.mark.parametrize("name, pool", [("vision_transformer", "token"), ("big_vision", "mean")])
def test_googles_arrays_give_the_logits_that_timm_makes_of_them(name, pool):
    """golden/vit_npz is made by golden/make_vit_npz.py."""
    fields = dict(patch_size=8, width=16, depth=2, heads=2, pool=pool)
    module, variables = pretrained.load(GOLDEN / "vit_npz" / f"{name}.npz", "vit", **fields)
    with np.load(GOLDEN / "vit_npz" / f"{name}_logits.npz") as expected:
        logits = module.apply(variables, expected["images"])
        assert module.num_classes == 3
        np.testing.assert_allclose(logits, expected["logits"], rtol=1e-5, atol=1e-5)


def test_a_representation_layer_of_googles_belongs_to_its_head(tmp_path):
    with np.load(GOLDEN / "vit_npz" / "vision_transformer.npz") as file:
        arrays = dict(file)
    arrays |= {"pre_logits/kernel": np.zeros((16, 16)), "pre_logits/bias": np.zeros(16)}
    np.savez(tmp_path / "x.npz", **arrays)
    fields = dict(patch_size=8, width=16, depth=2, heads=2)
    with pytest.raises(UserError, match="2 extra: pre_logits/kernel, pre_logits/bias"):
        pretrained.load(tmp_path / "x.npz", "vit", **fields)
    pretrained.load(tmp_path / "x.npz", "vit", num_classes=0, **fields)


def test_an_encoder_trained_on_masked_images_is_read_without_its_decoder(tmp_path):
    module, variables, _ = made(norm_epsilon=1e-12)
    pretrained.save(module, variables, tmp_path, naming="transformers")
    file, settings = tmp_path / "model.safetensors", tmp_path / "config.json"
    tensors = {k: x for k, x in load_file(file).items() if not k.startswith("classifier")}
    more = {"decoder.0.weight": (12, 16, 1, 1), "decoder.0.bias": (12,)}
    more |= {"vit.embeddings.mask_token": (1, 1, 16)}
    # transformers writes names in order, the decoder's first.
    save_file({k: np.zeros(s, np.float32) for k, s in more.items()} | tensors, file)
    config = json.loads(settings.read_text())
    named = lambda name: json.dumps({**config, "architectures": [name]})
    settings.write_text(named("ViTForMaskedImageModeling"))
    again, there = pretrained.load(tmp_path)
    assert again == module.copy(num_classes=0)
    variables["params"].pop("head")
    jax.tree.map(np.testing.assert_array_equal, there, variables)
    settings.write_text(named("ViTForDepth"))
    message = r"architectures=\['ViTForDepth'\]: of model_type 'vit' only ViTForImageClass.* can be"
    with pytest.raises(UserError, match=message):
        pretrained.load(tmp_path)


@pytest.mark.parametrize("naming", VIT.namings)
def test_every_naming_is_read_back(naming, tmp_path):
    module, variables, _ = made()
    path = tmp_path / "vit.safetensors"
    pretrained.save(module, variables, path, naming=naming)
    again, there = pretrained.load(path, "vit", **SMALL)
    assert again == module
    jax.tree.map(np.testing.assert_array_equal, there, variables)


def test_older_torchvision_files_differ_in_the_feed_forward_layers_only(tmp_path):
    module, variables, _ = made()
    names = []
    for naming in ("torchvision", "torchvision before 0.13"):
        pretrained.save(module, variables, tmp_path / "vit.safetensors", naming=naming)
        names.append(set(load_file(tmp_path / "vit.safetensors")))
    block = "encoder.layers.encoder_layer_0.mlp"
    assert {f"{block}.0.weight", f"{block}.3.bias"} < names[0] - names[1]
    assert {f"{block}.linear_1.weight", f"{block}.linear_2.bias"} < names[1] - names[0]
    assert len(names[0] - names[1]) == 8


def test_settings_of_transformers_are_read_and_written(tmp_path):
    module, variables, _ = made(side=24, mlp_ratio=3.0, norm_epsilon=1e-12)
    pretrained.save(module, variables, tmp_path, naming="transformers")
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["image_size"] == 24
    assert (config["intermediate_size"], config["layer_norm_eps"]) == (48, 1e-12)
    again, there = pretrained.load(tmp_path)
    assert again == module
    jax.tree.map(np.testing.assert_array_equal, there, variables)
    (tmp_path / "config.json").write_text(json.dumps({**config, "hidden_act": "gelu_new"}))
    with pytest.raises(UserError, match=r"config\.json: hidden_act='gelu_new'"):
        pretrained.load(tmp_path)
    with pytest.raises(UserError, match="no ViT with pool='mean'"):
        pretrained.save(*made(pool="mean")[:2], tmp_path, naming="transformers")


def test_a_vit_model_of_transformers_has_no_head_and_a_pooler_that_nothing_reads(tmp_path):
    module, variables, _ = made(norm_epsilon=1e-12)
    pretrained.save(module, variables, tmp_path, naming="transformers")
    file, settings = tmp_path / "model.safetensors", tmp_path / "config.json"
    tensors = {name.removeprefix("vit."): x for name, x in load_file(file).items()}
    tensors = {name: x for name, x in tensors.items() if not name.startswith("classifier")}
    tensors["pooler.dense.weight"] = np.zeros((16, 16), np.float32)
    save_file(tensors, file)
    config = json.loads(settings.read_text())
    settings.write_text(json.dumps({**config, "architectures": ["ViTModel"]}))
    again, there = pretrained.load(tmp_path)
    assert again == module.copy(num_classes=0)
    variables["params"].pop("head")
    jax.tree.map(np.testing.assert_array_equal, there, variables)
    again, there = pretrained.load(tmp_path, num_classes=3)
    assert there["params"]["head"]["bias"].shape == (3,)


def test_names_of_libraries_mean_the_size_patch_and_preparation_that_they_say():
    for library, naming in VIT.namings.items():
        for name, published in naming.models.items():
            assert published.model in PARAMETERS, name
            side = published.preprocess.size
            usual = {"torchvision": 224, "Google": 384}.get(library)
            assert str(side) in name or side == usual or name == "vit_h_14", name
            letter = published.model.removeprefix("vit_")[0]
            assert f"{letter}" in name.lower().replace("vit", ""), name
    timm = VIT.namings["timm"].models
    assert timm["vit_small_patch32_384"].preprocess.resize == 384
    assert timm["vit_small_patch16_224"].preprocess.mean == (0.5, 0.5, 0.5)
    assert timm["deit_small_patch16_224"].preprocess.mean[0] == 0.485
    assert timm["deit_small_patch16_224"].preprocess.resize == 248
