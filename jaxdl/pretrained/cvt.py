"""CvT's published weights (Wu et al., 2021), as transformers has them, and as the authors do."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxdl.data.preprocess import Preprocess
from jaxdl.errors import UserError
from jaxdl.models.cvt import CvT
from jaxdl.pretrained import config as settings
from jaxdl.pretrained import register
from jaxdl.pretrained.architecture import Architecture, Naming, Published, images
from jaxdl.pretrained.mapping import (
    QKV,
    Table,
    attention_out,
    batch_norm,
    conv,
    dense,
    norm,
    qkv_apart,
    rule,
)


def _table(names: Mapping[str, str], last_stage: int) -> Table:
    """The table of {ours: theirs}, where stages, blocks and qkv have places."""
    block, ours = names["block"], "block_{i}_{j}"
    rules = [
        rule(names["class_token"].format(i=last_stage), "class_token"),
        *conv(names["embed"], "embed_{i}"),
        *norm(names["embed_norm"], "embed_norm_{i}"),
        *norm(f"{block}.{names['norm_attention']}", f"{ours}/norm_attention"),
        *attention_out(f"{block}.{names['out']}", f"{ours}/attention"),
        *norm(f"{block}.{names['norm_feed_forward']}", f"{ours}/norm_feed_forward"),
        *dense(f"{block}.{names['up']}", f"{ours}/feed_forward/up"),
        *dense(f"{block}.{names['down']}", f"{ours}/feed_forward/down"),
        *norm(names["norm"], "norm"),
        *dense(names["head"], "head"),
    ]
    of = lambda key, name: f"{block}.{names[key]}".replace("qkv", names[name])
    for name in QKV:
        here = f"{ours}/attention/{name}_conv"
        rules += conv(of("conv", name), f"{here}/conv")
        rules += batch_norm(of("batch_norm", name), f"{here}/norm")
    rules += qkv_apart({name: of("matrix", name) for name in QKV}, f"{ours}/attention")
    return Table(tuple(rules))


_stage, _map = "cvt.encoder.stages.{i}", "attention.attention.convolution_projection_qkv"
_TRANSFORMERS = dict(
    {name: name for name in QKV},
    class_token=f"{_stage}.cls_token",
    embed=f"{_stage}.embedding.convolution_embeddings.projection",
    embed_norm=f"{_stage}.embedding.convolution_embeddings.normalization",
    block=f"{_stage}.layers.{{j}}",
    norm_attention="layernorm_before",
    conv=f"{_map}.convolution_projection.convolution",
    batch_norm=f"{_map}.convolution_projection.normalization",
    matrix="attention.attention.projection_qkv",
    out="attention.output.dense",
    norm_feed_forward="layernorm_after",
    up="intermediate.dense",
    down="output.dense",
    norm="layernorm",
    head="classifier",
)
_AUTHORS = dict(
    {name: name[0] for name in QKV},
    class_token="stage{i}.cls_token",
    embed="stage{i}.patch_embed.proj",
    embed_norm="stage{i}.patch_embed.norm",
    block="stage{i}.blocks.{j}",
    norm_attention="norm1",
    conv="attn.conv_proj_qkv.conv",
    batch_norm="attn.conv_proj_qkv.bn",
    matrix="attn.proj_qkv",
    out="attn.proj",
    norm_feed_forward="norm2",
    up="mlp.fc1",
    down="mlp.fc2",
    norm="norm",
    head="head",
)

# {the module's field: config.json's key}: a number a stage in both.
_STAGES = dict(
    depths="depth",
    widths="embed_dim",
    heads="num_heads",
    patch_sizes="patch_sizes",
    strides="patch_stride",
    paddings="patch_padding",
)
# The same of fields that all stages of ours share.
_SHARED = dict(kernel_size="kernel_qkv", key_stride="stride_kv", mlp_ratio="mlp_ratio")
# {config.json's key: the only value of all stages with which the module computes the same}.
_FIXED = dict(qkv_projection_method="dw_bn", qkv_bias=True, stride_q=1)
_PADDINGS = ("padding_q", "padding_kv")


def _stages(config: Mapping[str, Any], path: Path, key: str, default: tuple) -> tuple:
    """One value a stage of a config.json."""
    value, depths = config.get(key, list(default)), config.get("depth", [1, 2, 10])
    length = len(depths) if isinstance(depths, list) and depths else 3
    if not isinstance(value, list) or len(value) != length:
        raise UserError(f"{path}: {key}={value!r} must be {length} values, one a stage")
    return tuple(value)


def _read(config: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """The fields that a CvtForImageClassification has in a module of ours.

    layer_norm_eps is not read: the library does not either, and has PyTorch's default.
    """
    settings.check(config, path, "cvt", dict(num_channels=(3,)))
    published = CvT()
    fields = {}
    for field, key in {**_STAGES, **_SHARED}.items():
        shared = field in _SHARED
        value = getattr(published, field)
        found = _stages(config, path, key, (value,) * 3 if shared else value)
        kinds = (int, float) if field == "mlp_ratio" else (int,)
        if any(type(x) not in kinds or x < (field != "paddings") for x in found):
            raise UserError(f"{path}: {key}={list(found)!r} must be numbers from 1 on")
        if shared and len(set(found)) > 1:
            raise UserError(f"{path}: {key}={list(found)!r}, but model 'cvt' has one for all")
        fields[field] = found[0] if shared else found
    same = {**_FIXED, **dict.fromkeys(_PADDINGS, fields["kernel_size"] // 2)}
    for key, value in same.items():
        found = _stages(config, path, key, (value,) * len(fields["depths"]))
        if set(found) != {value}:
            raise UserError(f"{path}: {key}={list(found)!r}, but model 'cvt' has {value!r}")
    *early, last = _stages(config, path, "cls_token", (False, False, True))
    if any(early):
        raise UserError(f"{path}: cls_token={[*early, last]!r}, but only the last stage has one")
    return {**fields, "pool": "token" if last else "mean"}


def _write(module: CvT) -> dict[str, Any]:
    count = len(module.depths)
    each = lambda value: [value] * count
    in_last = lambda value, others: [*[others] * (count - 1), value]
    return dict(
        {key: each(value) for key, value in _FIXED.items()},
        model_type="cvt",
        architectures=["CvtForImageClassification"],
        num_channels=3,
        cls_token=in_last(module.pool == "token", False),
        drop_path_rate=in_last(module.drop_path, 0.0),
        drop_rate=each(module.dropout),
        attention_drop_rate=each(module.attention_dropout),
        num_labels=module.num_classes,
        **{key: each(module.kernel_size // 2) for key in _PADDINGS},
        **{key: each(getattr(module, field)) for field, key in _SHARED.items()},
        **{key: list(getattr(module, field)) for field, key in _STAGES.items()},
    )


# At 384 pixels the library squeezes the whole image into the square.
_WIDE = Preprocess(size=384, resize=384, interpolation="bicubic", squash=True)
_USUAL = Preprocess(interpolation="bicubic")

CVT = register("cvt")(
    Architecture(
        model="cvt",
        inputs=images(),
        namings={
            "transformers": Naming(
                lambda module: _table(_TRANSFORMERS, len(module.depths) - 1),
                models={
                    "microsoft/cvt-13": Published("cvt_13", preprocess=_USUAL),
                    "microsoft/cvt-21": Published("cvt_21", preprocess=_USUAL),
                    "microsoft/cvt-13-384": Published("cvt_13", preprocess=_WIDE),
                    "microsoft/cvt-21-384": Published("cvt_21", preprocess=_WIDE),
                    "microsoft/cvt-13-384-22k": Published("cvt_13", preprocess=_WIDE),
                    "microsoft/cvt-21-384-22k": Published("cvt_21", preprocess=_WIDE),
                    "microsoft/cvt-w24-384-22k": Published("cvt_w24", preprocess=_WIDE),
                },
                read=_read,
                write=_write,
                classes={"CvtForImageClassification": {}},
            ),
            "the authors": Naming(lambda module: _table(_AUTHORS, len(module.depths) - 1)),
        },
        model_types=("cvt",),
        head=("head",),
    )
)
