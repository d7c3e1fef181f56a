"""ViT's and DeiT's published weights, as torchvision, timm, transformers and Google have them."""

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
from jaxdl.pretrained.mapping import Shape
from jaxdl.pretrained.vit_tables import (
    BIG_VISION,
    GOOGLE,
    TIMM,
    TRANSFORMERS,
    TRANSFORMERS_ALONE,
    TRANSFORMERS_MEMORY,
    torchvision,
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
    """The fields that the encoder has in a module of ours."""
    settings.check(config, path, "vit", _FIXED)
    sizes = settings.sizes(config, path, _SIZES)
    hidden = settings.sizes(config, path, dict(hidden="intermediate_size"))["hidden"]
    return dict(
        sizes,
        mlp_ratio=hidden / sizes["width"],
        norm_epsilon=float(config.get("layer_norm_eps", 1e-12)),
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


def _google_published() -> dict[str, Published]:
    """By the files' names, "-224" where they were not tuned at the usual 384 pixels."""
    models = [f"ViT-{size}" for size in ("B_16", "B_32", "L_16", "L_32")]
    seen = dict(interpolation="bilinear", squash=True, **HALVES)
    return {
        f"{name}{end}": Published(
            f"vit_{name[4:].replace('_', '').lower()}",
            preprocess=Preprocess(size=side, resize=side, **seen),
        )
        for name in models
        for end, side in {"": 384, "-224": 224}.items()
    }


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
    tables = ("pos_embedding", "pos_embed", "embeddings.position_embeddings")
    table = [shape for name, shape in shapes.items() if name.endswith(tables)]
    # (width, 3, patch, patch); Google's (patch, patch, 3, width).
    kernels = ("conv_proj.weight", "patch_embed.proj.weight", "patch_embeddings.projection.weight")
    patch = [shape[-1] for name, shape in shapes.items() if name.endswith(kernels)]
    patch += [shape[0] for name, shape in shapes.items() if name.endswith("embedding/kernel")]
    return _grid(table[0][1])[0] * patch[0] if table and patch else None


VIT = register("vit")(
    Architecture(
        model="vit",
        inputs=images(),
        namings={
            "torchvision": Naming(
                torchvision("0", "3"),
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
            "torchvision before 0.13": Naming(torchvision("linear_1", "linear_2")),
            "timm": Naming(TIMM, models=_timm_published()),
            "transformers": Naming(
                TRANSFORMERS,
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
                classes={
                    "ViTForImageClassification": {},
                    "ViTModel": dict(num_classes=0),
                    "ViTForMaskedImageModeling": dict(num_classes=0),
                },
            ),
            "transformers' ViTModel": Naming(
                TRANSFORMERS_ALONE,
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
            "transformers in memory": Naming(TRANSFORMERS_MEMORY),
            # Its own code has gelu by tanh; timm, and ours, the exact one with the same weights.
            "Google": Naming(
                GOOGLE,
                models=_google_published(),
            ),
            "Google's big_vision": Naming(BIG_VISION),
        },
        model_types=("vit",),
        head=("head",),
        resize={"position": _resize},
        image_size=_image_size,
    )
)
