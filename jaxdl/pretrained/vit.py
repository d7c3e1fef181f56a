"""ViT's and DeiT's published weights, as torchvision, timm and transformers have them."""

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jaxdl import layers
from jaxdl.data.preprocess import Preprocess
from jaxdl.errors import UserError
from jaxdl.models.vit import ViT
from jaxdl.pretrained import config as settings
from jaxdl.pretrained import register
from jaxdl.pretrained.architecture import Architecture, Naming, Published, images
from jaxdl.pretrained.mapping import (
    QKV,
    Shape,
    Table,
    attention_out,
    conv,
    dense,
    norm,
    qkv_apart,
    qkv_packed,
    rule,
)

_attention, _feed_forward = "block_{i}/attention", "block_{i}/feed_forward"
_block = "encoder.layers.encoder_layer_{i}"


def _torchvision(first: str, second: str) -> Table:
    """The feed-forward layers' names differ between versions."""
    return Table(
        rules=(
            rule("class_token", "class_token"),
            rule("encoder.pos_embedding", "position"),
            *conv("conv_proj", "patch_embed"),
            *norm(f"{_block}.ln_1", "block_{i}/norm_attention"),
            *qkv_packed(f"{_block}.self_attention.in_proj_", _attention),
            *attention_out(f"{_block}.self_attention.out_proj", _attention),
            *norm(f"{_block}.ln_2", "block_{i}/norm_feed_forward"),
            *dense(f"{_block}.mlp.{first}", f"{_feed_forward}/up"),
            *dense(f"{_block}.mlp.{second}", f"{_feed_forward}/down"),
            *norm("encoder.ln", "norm"),
            *dense("heads.head", "head"),
        )
    )


_TIMM = Table(
    rules=(
        rule("cls_token", "class_token"),
        rule("pos_embed", "position"),
        *conv("patch_embed.proj", "patch_embed"),
        *norm("blocks.{i}.norm1", "block_{i}/norm_attention"),
        *qkv_packed("blocks.{i}.attn.qkv.", _attention),
        *attention_out("blocks.{i}.attn.proj", _attention),
        *norm("blocks.{i}.norm2", "block_{i}/norm_feed_forward"),
        *dense("blocks.{i}.mlp.fc1", f"{_feed_forward}/up"),
        *dense("blocks.{i}.mlp.fc2", f"{_feed_forward}/down"),
        *norm("norm", "norm"),
        *dense("head", "head"),
    )
)


def _transformers(
    base: str, block: str, attention: Mapping[str, str], first: str, second: str
) -> Table:
    """The table for names of which all but the classifier's begin with ``base``."""
    block = f"{base}{block}"
    return Table(
        rules=(
            rule(f"{base}embeddings.cls_token", "class_token"),
            rule(f"{base}embeddings.position_embeddings", "position"),
            *conv(f"{base}embeddings.patch_embeddings.projection", "patch_embed"),
            *norm(f"{block}.layernorm_before", "block_{i}/norm_attention"),
            *qkv_apart({name: f"{block}.{attention[name]}" for name in QKV}, _attention),
            *attention_out(f"{block}.{attention['out']}", _attention),
            *norm(f"{block}.layernorm_after", "block_{i}/norm_feed_forward"),
            *dense(f"{block}.{first}", f"{_feed_forward}/up"),
            *dense(f"{block}.{second}", f"{_feed_forward}/down"),
            *norm(f"{base}layernorm", "norm"),
            *dense("classifier", "head"),
        ),
        # Of ViTModel; no classifier reads it.
        ignored=(rf"{re.escape(base)}pooler\.dense\.(weight|bias)",),
    )


# In files, whatever the version; version 5 has other names in memory.
_FILES = dict(
    block="encoder.layer.{i}",
    attention={
        **{name: f"attention.attention.{name}" for name in QKV},
        "out": "attention.output.dense",
    },
    first="intermediate.dense",
    second="output.dense",
)
_MEMORY = dict(
    block="layers.{i}",
    attention={
        **{name: f"attention.{name[0]}_proj" for name in QKV},
        "out": "attention.o_proj",
    },
    first="mlp.fc1",
    second="mlp.fc2",
)

# {the module's field: config.json's key}.
_SIZES = dict(
    patch_size="patch_size",
    width="hidden_size",
    depth="num_hidden_layers",
    heads="num_attention_heads",
)
# {config.json's key: values with which the module computes the same}.
_FIXED = dict(hidden_act=("gelu",), qkv_bias=(True,), num_channels=(3,))


def _read(config: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """The fields that a ViTForImageClassification or a ViTModel has in a module of ours."""
    settings.check(config, path, "vit", _FIXED)
    sizes = settings.sizes(config, path, _SIZES)
    hidden = settings.sizes(config, path, dict(hidden="intermediate_size"))["hidden"]
    return dict(
        sizes,
        mlp_ratio=hidden / sizes["width"],
        norm_epsilon=float(config.get("layer_norm_eps", 1e-12)),
        **(dict(num_classes=0) if config.get("architectures") == ["ViTModel"] else {}),
    )


def _write(module: ViT) -> dict[str, Any]:
    """Raises UserError for what transformers does not have."""
    for field, value in dict(pool="token", position="learned").items():
        if getattr(module, field) != value:
            raise UserError(f"transformers has no ViT with {field}={getattr(module, field)!r}")
    return dict(
        {key: values[0] for key, values in _FIXED.items()},
        model_type="vit",
        architectures=["ViTForImageClassification"],
        image_size=224,
        intermediate_size=int(module.mlp_ratio * module.width),
        layer_norm_eps=module.norm_epsilon,
        num_labels=module.num_classes,
        **{key: getattr(module, field) for field, key in _SIZES.items()},
    )


HALVES = dict(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
_LETTERS = dict(tiny="ti", small="s", base="b", large="l", huge="h")


def _published(name: str, crop: float = 1.0, fields: Mapping[str, Any] = {}, **how: Any):
    """What a name like vit_small_patch16_224 says; ``crop`` is the part of a side that is seen."""
    pattern = "(tiny|small|base|large|huge).patch([0-9]+).*?_?([0-9]{3})"
    size, patch, pixels = re.search(pattern, name).groups()
    side = int(pixels)
    prepare = Preprocess(size=side, resize=math.floor(side / crop), **how)
    return Published(f"vit_{_LETTERS[size]}{patch}", fields, prepare)


# {size: {patch: pixels of the images}} of timm's models with classes of ImageNet.
_SIDES = {
    "tiny": {16: (224, 384)},
    "small": {32: (224, 384), 16: (224, 384)},
    "base": {32: (224, 384), 16: (224, 384), 8: (224,)},
    "large": {32: (384,), 16: (224, 384)},
}
_HEADLESS = (
    "vit_small_patch16_224.dino",
    "vit_small_patch8_224.dino",
    "vit_base_patch16_224.dino",
    "vit_base_patch8_224.dino",
    "vit_base_patch16_224.mae",
    "vit_large_patch16_224.mae",
    "vit_huge_patch14_224.mae",
)


def _timm_published() -> dict[str, Published]:
    """By timm's names, with the part behind the dot where it changes more than the weights."""
    names = [
        f"{size}_patch{patch}_{side}"
        for size, patches in _SIDES.items()
        for patch, sides in patches.items()
        for side in sides
    ]
    deit = ("tiny_patch16_224", "small_patch16_224", "base_patch16_224", "base_patch16_384")

    def timm(name: str, **others: Any) -> Published:
        return _published(name, 0.9 if "224" in name else 1.0, interpolation="bicubic", **others)

    wide, none = dict(num_classes=21843), dict(num_classes=0)
    found = {f"vit_{name}": timm(name, **HALVES) for name in names}
    found |= {f"deit_{name}": timm(name) for name in deit}
    found |= {
        f"vit_{name}.augreg_in21k": timm(name, fields=wide, **HALVES)
        for name in names
        if "224" in name
    }
    found |= {name: timm(name, fields=none) for name in _HEADLESS}
    huge, mean = "vit_huge_patch14_224", "vit_huge_patch14_gap_224"
    found[f"{huge}.orig_in21k"] = timm(huge, fields=none, **HALVES)
    found[f"{mean}.in1k_ijepa"] = timm(mean, fields=dict(pool="mean", **none))
    return found


def _grid(length: int) -> tuple[int, int]:
    """(patches along a side, tokens in front) of a table of positions of a square."""
    side = math.isqrt(length)
    return side, length - side * side


def _resize(table: np.ndarray, shape: Shape) -> np.ndarray:
    """A table of positions for another number of patches."""
    (old, before), (new, now) = _grid(table.shape[1]), _grid(shape[1])
    if before != now or before > 1:
        raise UserError(
            f"{table.shape[1]} positions cannot become {shape[1]}: both must be those of a square "
            "of patches, with a class token or both without"
        )
    return np.asarray(layers.resize_positions(table, (old, old), (new, new), before))


def _image_size(shapes: Mapping[str, Shape]) -> int | None:
    """From the table of positions and the kernel that embeds patches."""
    tables = ("encoder.pos_embedding", "pos_embed", "embeddings.position_embeddings")
    table = [shape for name, shape in shapes.items() if name.endswith(tables)]
    kernel = [shape for shape in shapes.values() if len(shape) == 4]
    return _grid(table[0][1])[0] * kernel[0][-1] if table and kernel else None


VIT = register("vit")(
    Architecture(
        model="vit",
        inputs=images(),
        namings={
            "torchvision": Naming(
                _torchvision("0", "3"),
                models=dict(
                    vit_b_16=Published("vit_b16"),
                    vit_b_32=Published("vit_b32"),
                    vit_l_16=Published("vit_l16", preprocess=Preprocess(resize=242)),
                    vit_l_32=Published("vit_l32"),
                    vit_h_14=Published(
                        "vit_h14",
                        preprocess=Preprocess(size=518, resize=518, interpolation="bicubic"),
                    ),
                ),
            ),
            # The files that it publishes are of this kind.
            "torchvision before 0.13": Naming(_torchvision("linear_1", "linear_2")),
            "timm": Naming(_TIMM, models=_timm_published()),
            "transformers": Naming(
                _transformers("vit.", **_FILES),
                models={
                    f"google/{name}": _published(
                        name, fields=dict(norm_epsilon=1e-12), squash=True, **HALVES
                    )
                    for name in (
                        "vit-base-patch16-224",
                        "vit-base-patch16-384",
                        "vit-base-patch32-384",
                        "vit-large-patch16-224",
                        "vit-large-patch16-384",
                        "vit-large-patch32-384",
                    )
                },
                read=_read,
                write=_write,
            ),
            "transformers' ViTModel": Naming(
                _transformers("", **_FILES),
                models={
                    f"google/{name}-in21k": _published(
                        name, fields=dict(norm_epsilon=1e-12, num_classes=0), squash=True, **HALVES
                    )
                    for name in (
                        "vit-base-patch16-224",
                        "vit-base-patch32-224",
                        "vit-large-patch16-224",
                        "vit-large-patch32-224",
                        "vit-huge-patch14-224",
                    )
                },
            ),
            "transformers in memory": Naming(_transformers("vit.", **_MEMORY)),
        },
        model_types=("vit",),
        head=("head",),
        resize={"position": _resize},
        image_size=_image_size,
    )
)
