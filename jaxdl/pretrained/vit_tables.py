"""What ViT's tensors are called, by torchvision, timm, transformers and Google."""

import re
from collections.abc import Mapping

from jaxdl.pretrained.mapping import (
    QKV,
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


def torchvision(first: str, second: str) -> Table:
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


TIMM = Table(
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
        # Of ViTModel and ViTForMaskedImageModeling; no classifier reads them.
        ignored=(
            rf"{re.escape(base)}pooler\.dense\.(weight|bias)",
            rf"{re.escape(base)}embeddings\.mask_token",
            r"decoder\.0\.(weight|bias)",
        ),
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

TRANSFORMERS = _transformers("vit.", **_FILES)
TRANSFORMERS_ALONE = _transformers("", **_FILES)
TRANSFORMERS_MEMORY = _transformers("vit.", **_MEMORY)


def _google(attention: int, norm_feed_forward: int, feed_forward: int, position: str) -> Table:
    """Of Google's .npz files, which have Flax's layouts, by the numbers of a block's parts."""
    block = "Transformer/encoderblock_{i}"
    attending = f"{block}/MultiHeadDotProductAttention_{attention}"
    dense = f"{block}/MlpBlock_{feed_forward}/Dense"
    pairs = {
        "embedding": "patch_embed",
        f"{block}/LayerNorm_0": "block_{i}/norm_attention",
        f"{block}/LayerNorm_{norm_feed_forward}": "block_{i}/norm_feed_forward",
        **{f"{attending}/{name}": f"{_attention}/{name}" for name in (*QKV, "out")},
        f"{dense}_0": f"{_feed_forward}/up",
        f"{dense}_1": f"{_feed_forward}/down",
        "Transformer/encoder_norm": "norm",
        "head": "head",
    }
    return Table(
        rules=(
            rule("cls", "class_token"),
            rule(position, "position"),
            *(
                rule(f"{theirs}/{part}", f"{ours}/{part}")
                for theirs, ours in pairs.items()
                for part in ("scale" if "norm" in ours else "kernel", "bias")
            ),
        ),
        before_head=(r"pre_logits/(kernel|bias)",),
    )


GOOGLE = _google(1, 2, 3, "Transformer/posembed_input/pos_embedding")
BIG_VISION = _google(0, 1, 0, "pos_embedding")
