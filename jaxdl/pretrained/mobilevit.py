"""MobileViT's published weights (Mehta and Rastegari, 2021), as timm and transformers have them."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from jaxdl.data.preprocess import Preprocess
from jaxdl.errors import UserError
from jaxdl.models.mobilevit import MobileViT
from jaxdl.pretrained import config as settings
from jaxdl.pretrained import register
from jaxdl.pretrained.architecture import Architecture, Naming, Published, images
from jaxdl.pretrained.mapping import (
    QKV,
    Rule,
    Table,
    attention_out,
    batch_norm,
    conv,
    dense,
    norm,
    pointwise,
    qkv_apart,
    qkv_packed,
)


def _units(convolution: str, batch: str) -> Callable[..., tuple[Rule, ...]]:
    """Makes the rules of `jaxdl.layers.ConvNorm`s in a module, from {ours: theirs}."""

    def units(theirs: str, ours: str, names: Mapping[str, str]) -> tuple[Rule, ...]:
        return tuple(
            made
            for name, there in names.items()
            for made in (
                *conv(f"{theirs}{there}.{convolution}", f"{ours}{name}/conv"),
                *batch_norm(f"{theirs}{there}.{batch}", f"{ours}{name}/norm"),
            )
        )

    return units


def _block(theirs: str, ours: str, names: Mapping[str, str]) -> tuple[Rule, ...]:
    """A transformer block's rules but those of query, key and value, from {ours: theirs}."""
    return (
        *norm(f"{theirs}.{names['norm_attention']}", f"{ours}/norm_attention"),
        *attention_out(f"{theirs}.{names['out']}", f"{ours}/attention"),
        *norm(f"{theirs}.{names['norm_feed_forward']}", f"{ours}/norm_feed_forward"),
        *dense(f"{theirs}.{names['up']}", f"{ours}/feed_forward/up"),
        *dense(f"{theirs}.{names['down']}", f"{ours}/feed_forward/down"),
    )


def _timm() -> Table:
    units = _units("conv", "bn")
    top, block = "stages.{i}.1", "block_{i}_1/block_{k}"
    names = dict(
        norm_attention="norm1",
        out="attn.proj",
        norm_feed_forward="norm2",
        up="mlp.fc1",
        down="mlp.fc2",
    )
    return Table(
        rules=(
            *units("", "", dict(stem="stem", last="final_conv")),
            *units(
                "stages.{i}.{j}.",
                "block_{i}_{j}/",
                dict(expand="conv1_1x1", depthwise="conv2_kxk", project="conv3_1x1"),
            ),
            *units(
                f"{top}.",
                "block_{i}_1/",
                dict(local="conv_kxk", unembed="conv_proj", fuse="conv_fusion"),
            ),
            *pointwise(f"{top}.conv_1x1", "block_{i}_1/embed"),
            *norm(f"{top}.norm", "block_{i}_1/norm"),
            *_block(f"{top}.transformer.{{k}}", block, names),
            *qkv_packed(f"{top}.transformer.{{k}}.attn.qkv.", f"{block}/attention"),
            *dense("head.fc", "head"),
        )
    )


def _transformers(module: MobileViT) -> Table:
    """Stages with a transformer have other names than those without."""
    units = _units("convolution", "normalization")
    residual = dict(expand="expand_1x1", depthwise="conv_3x3", project="reduce_1x1")
    across = dict(local="conv_kxk", unembed="conv_projection", fuse="fusion")
    names = dict(
        norm_attention="layernorm_before",
        out="attention.output.dense",
        norm_feed_forward="layernorm_after",
        up="intermediate.dense",
        down="output.dense",
    )
    rules = [
        *units("mobilevit.", "", dict(stem="conv_stem", last="conv_1x1_exp")),
        *dense("classifier", "head"),
    ]
    for i in range(len(module.widths)):
        theirs, ours = f"mobilevit.encoder.layer.{i}", f"block_{i}"
        if i < len(module.widths) - len(module.tokens):
            rules += units(f"{theirs}.layer.{{j}}.", f"{ours}_{{j}}/", residual)
            continue
        rules += units(f"{theirs}.downsampling_layer.", f"{ours}_0/", residual)
        rules += units(f"{theirs}.", f"{ours}_1/", across)
        rules += pointwise(f"{theirs}.conv_1x1.convolution", f"{ours}_1/embed")
        rules += norm(f"{theirs}.layernorm", f"{ours}_1/norm")
        theirs, ours = f"{theirs}.transformer.layer.{{k}}", f"{ours}_1/block_{{k}}"
        rules += _block(theirs, ours, names)
        apart = {name: f"{theirs}.attention.attention.{name}" for name in QKV}
        rules += qkv_apart(apart, f"{ours}/attention")
    return Table(tuple(rules), base="mobilevit.")


# {config.json's key: values with which the module computes the same}.
_FIXED = dict(
    num_channels=(3,),
    hidden_act=("silu", "swish"),
    output_stride=(32,),
    qkv_bias=(True,),
)
# {the module's field: (config.json's key, its value there where it is left out)}.
_NUMBERS = dict(
    heads=("num_attention_heads", 4),
    mlp_ratio=("mlp_ratio", 2.0),
    expand_ratio=("expand_ratio", 4.0),
    patch_size=("patch_size", 2),
    kernel_size=("conv_kernel_size", 3),
    norm_epsilon=("layer_norm_eps", 1e-5),
)
_NECK, _TOKENS = "neck_hidden_sizes", "hidden_sizes"


def _read(config: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """The fields that a MobileViTForImageClassification has in a module of ours."""
    settings.check(config, path, "mobilevit", _FIXED)
    fields = {}
    for field, (key, default) in _NUMBERS.items():
        kinds = (int, float) if isinstance(default, float) else (int,)
        fields[field] = config.get(key, default)
        if type(fields[field]) not in kinds or fields[field] <= 0:
            raise UserError(f"{path}: {key}={fields[field]!r} must be a number over 0")
    neck = config.get(_NECK, [16, 32, 64, 96, 128, 160, 640])
    tokens = config.get(_TOKENS, [144, 192, 240])
    for key, value, length in ((_NECK, neck, 7), (_TOKENS, tokens, 3)):
        whole = isinstance(value, list) and all(type(x) is int and x > 0 for x in value)
        if not whole or len(value) != length:
            raise UserError(f"{path}: {key}={value!r} must be {length} whole numbers from 1 on")
    stem, *widths, last = neck
    sizes = dict(stem_width=stem, widths=tuple(widths), last_width=last, tokens=tuple(tokens))
    return {**sizes, **fields}


def _write(module: MobileViT) -> dict[str, Any]:
    """Raises UserError for what transformers has built in otherwise."""
    for field in ("depths", "strides", "activation"):
        value, built_in = getattr(module, field), getattr(MobileViT, field)
        if value != built_in:
            raise UserError(f"transformers has no MobileViT with {field}={value!r}: {built_in!r}")
    return dict(
        {key: values[0] for key, values in _FIXED.items()},
        model_type="mobilevit",
        architectures=["MobileViTForImageClassification"],
        image_size=256,
        hidden_sizes=list(module.tokens),
        neck_hidden_sizes=[module.stem_width, *module.widths, module.last_width],
        hidden_dropout_prob=module.dropout,
        attention_probs_dropout_prob=module.attention_dropout,
        classifier_dropout_prob=module.head_dropout,
        num_labels=module.num_classes,
        **{key: getattr(module, field) for field, (key, _) in _NUMBERS.items()},
    )


_RAW = dict(size=256, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
_NAMES = dict(xxs="xx-small", xs="x-small", s="small")

MOBILEVIT = register("mobilevit")(
    Architecture(
        model="mobilevit",
        inputs=images(256),
        namings={
            "timm": Naming(
                _timm(),
                models={
                    f"mobilevit_{size}": Published(
                        f"mobilevit_{size}",
                        preprocess=Preprocess(resize=284, interpolation="bicubic", **_RAW),
                    )
                    for size in _NAMES
                },
            ),
            "transformers": Naming(
                _transformers,
                models={
                    f"apple/mobilevit-{name}": Published(
                        f"mobilevit_{size}",
                        preprocess=Preprocess(resize=288, channels="bgr", **_RAW),
                    )
                    for size, name in _NAMES.items()
                },
                read=_read,
                write=_write,
                classes={
                    "MobileViTForImageClassification": {},
                    "MobileViTModel": dict(num_classes=0),
                },
            ),
        },
        model_types=("mobilevit",),
        head=("head",),
    )
)
