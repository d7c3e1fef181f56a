"""U-Net computes what its paper has, of any encoder's maps too."""

import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl import keys, models
from jaxdl.errors import UserError

GOLDEN = Path(__file__).parent / "golden"
sys.path.insert(0, str(GOLDEN))

import seeded  # noqa: E402

SMALL = dict(num_classes=3, width=4, depth=2, dropout=0.0)
SHAPES = {"unpadded": (2, 44, 48, 2), "padded": (2, 12, 8, 2)}


def shapes(model, *image, channels=3):
    """Shapes of its variables, and of its logits for one image."""
    height, width = image if len(image) > 1 else image * 2
    x = jax.ShapeDtypeStruct((1, height, width, channels), jnp.float32)
    variables = jax.eval_shape(lambda x: model.init(keys.root(0), x), x)
    return variables, jax.eval_shape(model.apply, variables, x).shape


def nested(flat):
    tree = {}
    for name, x in flat.items():
        *path, last = name.split("/")
        node = tree
        for part in path:
            node = node.setdefault(part, {})
        node[last] = jnp.asarray(x)
    return tree


@pytest.mark.parametrize("name, image, found", [("unet", 572, 388), ("unet_padded", 64, 64)])
def test_parameters_and_maps_are_the_papers(name, image, found):
    variables, logits = shapes(models.create(name), image, channels=1)
    assert sum(x.size for x in jax.tree.leaves(variables)) == 31_030_658
    assert logits == (1, found, found, 2)


@pytest.mark.parametrize("form", SHAPES)
def test_values_and_gradients_are_those_of_the_definition_in_torch(form):
    with np.load(GOLDEN / "unet.npz") as file:
        of = lambda part: {
            k.removeprefix(f"{form}/{part}/"): file[k]
            for k in file
            if k.startswith(f"{form}/{part}/")
        }
        drawn, gradients, logits = of("shape"), of("gradient"), file[f"{form}/logits"]
    weights = {
        name: np.moveaxis(seeded.weight(name, (shape[-1], *shape[:-1])), 0, -1)
        for name, shape in drawn.items()
    }
    model = models.create("unet", **SMALL, padded=form == "padded")
    image, g = seeded.images(SHAPES[form]), seeded.normal(f"{form}/g", logits.shape)

    def total(params, image):
        found = model.apply({"params": params}, image)
        return (found * g).sum(), found

    (_, found), grads = jax.jit(jax.value_and_grad(total, (0, 1), has_aux=True))(
        nested(weights), image
    )
    np.testing.assert_allclose(found, logits, atol=2e-5 * np.abs(logits).max())
    for name, wanted in gradients.items():
        leaf = grads[1] if name == "image" else grads[0]
        for part in () if name == "image" else name.split("/"):
            leaf = leaf[part]
        difference = np.abs(seeded.summary(name, leaf) - wanted).max()
        assert difference < 1e-4 * wanted[0], name


def test_a_padded_one_takes_images_of_any_size():
    model = models.create("unet_padded", **SMALL)
    whole = np.random.default_rng(0).normal(size=(1, 12, 8, 1)).astype(np.float32)
    variables = model.init(keys.root(0), whole)
    part = whole[:, :10, :7]
    repeated = np.pad(part, ((0, 0), (0, 2), (0, 1), (0, 0)), mode="edge")
    found, wanted = (model.apply(variables, x) for x in (part, repeated))
    assert found.shape == (1, 10, 7, 3)
    np.testing.assert_array_equal(found, wanted[:, :10, :7])


def test_patches_are_places_of_the_largest_map():
    small = dict(width=2, depth=1, padded=True, dropout=0.0)
    model = models.create("unet", **small, num_classes=3, patch=2)
    x = np.random.default_rng(0).normal(size=(2, 10, 7, 2)).astype(np.float32)
    variables = jax.jit(model.init)(keys.root(0), x)
    variables["params"]["head"]["bias"] = jnp.arange(12.0)
    found = jax.jit(model.apply)(variables, x)
    assert found.shape == (2, 10, 7, 3)
    whole = np.pad(x, ((0, 0), (0, 2), (0, 1), (0, 0)), mode="edge")
    phases = [(i, j) for i in range(2) for j in range(2)]
    places = np.concatenate([whole[:, i::2, j::2] for i, j in phases], axis=-1)
    same = models.create("unet", **small, num_classes=12)
    of_places = np.asarray(jax.jit(same.apply)(variables, places))
    for n, (i, j) in enumerate(phases):
        wanted = of_places[..., 3 * n : 3 * n + 3]
        own = found[:, i::2, j::2]
        np.testing.assert_allclose(own, wanted[:, : own.shape[1], : own.shape[2]], atol=1e-5)


@pytest.mark.parametrize(
    "fields", [dict(padded=True, patch=2, batch_norm=True), dict(padded=False)]
)
def test_the_head_may_see_each_pixel_beside_what_the_map_says(fields):
    model = models.create(
        "unet", num_classes=3, width=2, depth=1, dropout=0.0, head_width=5, **fields
    )
    x = np.random.default_rng(0).normal(size=(2, 20, 24, 2)).astype(np.float32)
    variables = jax.jit(model.init)(keys.root(0), x)
    params = variables["params"]
    patch = fields.get("patch", 1)
    params["told"]["bias"] = jnp.linspace(-1, 1, 5 * patch**2)
    params["head"]["bias"] = jnp.linspace(1, 2, 3)
    seen = lambda variables, x: model.apply(
        variables, x, capture_intermediates=lambda module, _: module.name == "up_0_1"
    )
    found, kept = jax.jit(seen)(variables, x)
    largest = np.asarray(kept["intermediates"]["up_0_1"]["__call__"][0], np.float64)
    around = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge").astype(np.float64)
    if not fields["padded"]:
        around = around[:, 8:-8, 8:-8]  # an unpadded one of depth 1 tells of 16 pixels fewer
    told, beside, head = (
        {name: np.asarray(leaf, np.float64) for name, leaf in params[layer].items()}
        for layer in ("told", "seen", "head")
    )
    B, H, W, _ = found.shape
    wanted = np.empty((B, H, W, 3))
    for i in range(H):
        for j in range(W):
            own = 5 * (i % patch * patch + j % patch) + np.arange(5)
            hidden = largest[:, i // patch, j // patch] @ told["kernel"][:, own]
            hidden = hidden + told["bias"][own]
            window = around[:, i : i + 3, j : j + 3]
            hidden = hidden + np.einsum("bijc,ijcf->bf", window, beside["kernel"])
            wanted[:, i, j] = np.maximum(hidden, 0) @ head["kernel"] + head["bias"]
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_its_activation_stands_behind_every_convolution():
    small = dict(num_classes=2, width=2, depth=1, padded=True, dropout=0.0)
    model = models.create("unet", **small, activation="tanh")
    x = np.random.default_rng(0).normal(size=(1, 4, 6, 1)).astype(np.float32)
    variables = jax.jit(model.init)(keys.root(0), x)
    seen = lambda variables, x: model.apply(variables, x, capture_intermediates=True)
    made = jax.jit(seen)(variables, x)[1]["intermediates"]
    behind = {name: at for name, at in made.items() if "conv" in at}
    assert len(behind) == 6  # two of each map on the way down and up, and of the smallest
    for name, at in behind.items():
        (out,), (conv,) = at["__call__"], at["conv"]["__call__"]
        np.testing.assert_allclose(out, np.tanh(conv), atol=1e-6, err_msg=name)


def test_sizes_that_an_unpadded_one_takes():
    model = models.create("unet")
    for side in (188, 204, 572):
        assert shapes(model, side, 188)[1][1] == model.output_side(side) == side - 184
        assert model.input_side(side - 184) == side
    assert model.input_side(1) == 188
    assert model.input_side(388 + 1) == 572 + 16
    with pytest.raises(UserError, match=r"images of 570 pixels .* such as 556 or 572;"):
        model.output_side(570)
    with pytest.raises(UserError, match=r"above 184, such as 188; config.model.padded=true"):
        shapes(model, 128)


def test_dropout_and_batch_norm_are_where_they_belong():
    model = models.create("unet_padded", **{**SMALL, "dropout": 0.5, "batch_norm": True})
    x = np.ones((2, 8, 8, 1), np.float32)
    variables = model.init(keys.root(0), x)
    apply = lambda key: model.apply(
        variables, x, train=True, rngs={"dropout": keys.root(key)}, mutable=["batch_stats"]
    )
    (first, stats), (second, _) = apply(0), apply(1)
    assert (np.asarray(first) != second).any()
    assert set(stats["batch_stats"]) == {
        f"{name}_{j}" for name in ("down_0", "down_1", "bottom", "up_0", "up_1") for j in range(2)
    }
    assert "bias" not in variables["params"]["down_0_0"]["conv"]
    traced = jax.make_jaxpr(lambda: apply(0))()
    assert str(traced).count("random_bits") == 2


# Each with the stride of its smallest map, 2^depth.
BACKBONES = {
    "resnet18": 5, "vgg11": 5, "vit_s16": 4, "convnext_t": 5, "efficientnet_b0": 5, "googlenet": 5,
    "cvt_13": 4, "coatnet_0": 5, "mobilevit_xxs": 5,
}  # fmt: skip


@pytest.mark.parametrize("name", BACKBONES)
def test_any_encoder_of_images_goes_down(name):
    model = models.create("unet_padded", backbone=name, depth=BACKBONES[name], width=4)
    variables, logits = shapes(model, 64)
    assert logits == (1, 64, 64, 2)
    own = jax.eval_shape(
        lambda x: models.create(name, num_classes=0).init(keys.root(0), x, features=True),
        jnp.zeros((1, 64, 64, 3)),
    )
    same = lambda a, b: jax.tree.map(lambda x, y: x.shape == y.shape, a, b)
    assert jax.tree.all(same(variables["params"]["backbone"], own["params"]))


def test_a_backbones_maps_are_seen_again_on_the_way_up():
    fields = ("stages=(1,1)", "width=4", "stem=small")
    model = models.create(
        "unet_padded", backbone="resnet", backbone_fields=fields, depth=1, width=8, dropout=0.0
    )
    x = np.random.default_rng(0).normal(size=(1, 6, 6, 3)).astype(np.float32)
    variables = model.init(keys.root(0), x)
    backbone = model.create_backbone()
    of_backbone = {k: v["backbone"] for k, v in variables.items() if "backbone" in v}
    maps = backbone.apply(of_backbone, x, features=True)
    params = variables["params"]
    double = params["double_0"]
    # What comes up begins as large as it was: of four weights a pixel sees one.
    assert maps[2].shape[-1] * np.var(double["kernel"]) == pytest.approx(1, rel=0.25)
    up = np.einsum("bhwc,ijfc->bhiwjf", maps[2], double["kernel"]).reshape(1, 6, 6, 8)
    seen = jnp.concatenate([maps[1], up + double["bias"]], axis=-1)
    for j in range(2):
        conv = params[f"up_0_{j}"]["conv"]
        seen = jax.lax.conv_general_dilated(
            seen, conv["kernel"], (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        seen = jax.nn.relu(seen + conv["bias"])
    wanted = seen @ params["head"]["kernel"] + params["head"]["bias"]
    np.testing.assert_allclose(model.apply(variables, x), wanted, atol=1e-5)


BAD = {
    r"resnet18'? gives maps of strides 2, 4, 8, 16, 32, and config.model.depth=4": dict(
        backbone="resnet18", padded=True
    ),
    r"'bert' gives no maps": dict(backbone="bert", padded=True),
    r"'mlp' gives no maps": dict(backbone="mlp", padded=True),
    r"maps do not lie upon one another": dict(backbone="alexnet", depth=5, padded=True),
    r"needs config.model.padded=true": dict(backbone="resnet18", depth=5),
    r"unknown model 'resnet81'": dict(backbone="resnet81", depth=5, padded=True),
    r"model 'resnet' has no 'widht'.*'width'": dict(
        backbone="resnet", backbone_fields=("widht=3",), padded=True
    ),
    r"'width' is not 'field=value'": dict(
        backbone="resnet", backbone_fields=("width",), padded=True
    ),
    r"is of a backbone, and there is none": dict(backbone_fields=("width=3",)),
    r"depth=0, .*must be at least 1": dict(depth=0),
    r"patch=0 must be at least 1": dict(patch=0),
    r"head_width=-1 at least 0": dict(head_width=-1),
    r"patch=2 needs config.model.padded=true": dict(patch=2),
    r"patch=4 needs .* no backbone": dict(patch=4, padded=True, backbone="resnet18", depth=5),
}


@pytest.mark.parametrize("says", BAD)
def test_what_cannot_work_is_one_line(says):
    with pytest.raises(UserError, match=says):
        shapes(models.create("unet", **BAD[says]), 64)
