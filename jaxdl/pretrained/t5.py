"""T5's published weights (Raffel et al., 2020), as transformers has them, and mT5's."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jaxdl.errors import UserError
from jaxdl.models.t5 import T5
from jaxdl.pretrained import config as settings
from jaxdl.pretrained import register
from jaxdl.pretrained.architecture import Architecture, Naming, source_and_target
from jaxdl.pretrained.fit import Found
from jaxdl.pretrained.mapping import Rule, Table, attention_out, dense, norm, qkv_apart, rule

_QKVO = dict(query="q", key="k", value="v", out="o")
_HEAD, _SHARED = "lm_head.weight", "shared.weight"


def _attention(theirs: str, ours: str) -> tuple[Rule, ...]:
    names = {name: f"{theirs}.{letter}" for name, letter in _QKVO.items()}
    return *qkv_apart(names, ours), *attention_out(names["out"], ours)


def _side(side: str, gated: bool) -> tuple[Rule, ...]:
    """The rules of the encoder or the decoder: a block of theirs is a list of layers."""
    theirs, ours = f"{side}.block.{{i}}.layer", f"{side}_block_{{i}}"
    last = 1 if side == "encoder" else 2
    cross = (
        *_attention(f"{theirs}.1.EncDecAttention", f"{ours}/cross_attention"),
        *norm(f"{theirs}.1.layer_norm", f"{ours}/norm_cross_attention"),
    )
    wide, ff = f"{theirs}.{last}.DenseReluDense", f"{ours}/feed_forward"
    up = (*dense(f"{wide}.wi_0", f"{ff}/gate"), *dense(f"{wide}.wi_1", f"{ff}/up"))
    return (
        rule(
            f"{side}.block.0.layer.0.SelfAttention.relative_attention_bias.weight",
            f"{side}_position/embedding",
        ),
        *_attention(f"{theirs}.0.SelfAttention", f"{ours}/attention"),
        *norm(f"{theirs}.0.layer_norm", f"{ours}/norm_attention"),
        *(cross if side == "decoder" else ()),
        *(up if gated else dense(f"{wide}.wi", f"{ff}/up")),
        *dense(f"{wide}.wo", f"{ff}/down"),
        *norm(f"{theirs}.{last}.layer_norm", f"{ours}/norm_feed_forward"),
        *norm(f"{side}.final_layer_norm", f"{side}_norm"),
    )


def _table(module: T5) -> Table:
    alone = not module.decoder_depth
    copies = ["encoder.embed_tokens.weight", "decoder.embed_tokens.weight"]
    copies += [_HEAD] if module.tied and not alone else []
    # Older files have positions in cross-attention too, which nothing reads.
    unused = r"decoder\.block\.0\.layer\.1\.EncDecAttention\.relative_attention_bias\.weight"
    return Table(
        rules=(
            rule(_SHARED, "token/embedding"),
            *_side("encoder", module.gated),
            *_side("decoder", module.gated),
            *dense("lm_head", "head"),
        ),
        ignored=(r"decoder\..*", r"lm_head\.weight") if alone else (unused,),
        tied=dict.fromkeys(copies, _SHARED),
    )


_SIZES = dict(
    vocab_size="vocab_size",
    width="d_model",
    head_dim="d_kv",
    hidden="d_ff",
    encoder_depth="num_layers",
    decoder_depth="num_decoder_layers",
    heads="num_heads",
    buckets="relative_attention_num_buckets",
    longest="relative_attention_max_distance",
)
_GATED = "gated-"


def _read(config: Mapping[str, Any], path: Path) -> dict[str, Any]:
    given = {
        "relative_attention_num_buckets": 32,
        "relative_attention_max_distance": 128,
        **config,
    }
    if given.get("num_decoder_layers") is None:
        given["num_decoder_layers"] = given.get("num_layers")
    form = str(given.get("feed_forward_proj", "relu"))
    # In their files this is the form by tanh, whatever the word.
    word = "gelu_new" if form == f"{_GATED}gelu" else form.removeprefix(_GATED)
    scales = given.get("scale_decoder_outputs", given.get("tie_word_embeddings", True))
    return dict(
        settings.sizes(given, path, _SIZES),
        gated=form.startswith(_GATED),
        activation=settings.activation(word, path, "feed_forward_proj"),
        norm_epsilon=settings.number(given, path, "layer_norm_epsilon", 1e-6),
        scale_output=bool(scales) and given.get("model_type") != "mt5",
    )


def _told(found: Found) -> dict[str, Any]:
    """Whether the output layer is the table of tokens: settings say "tied" either way."""
    heads = [name for name in found.names if name == _HEAD or name.endswith(f".{_HEAD}")]
    tables = [name.removesuffix(_HEAD) + _SHARED for name in heads]
    tied = all(
        table in found.names and np.array_equal(found.read(head), found.read(table))
        for head, table in zip(heads, tables, strict=True)
    )
    return dict(tied=tied)


def _write(module: T5) -> dict[str, Any]:
    word = settings.their_activation(module.activation)
    if module.gated:
        if word == "gelu":
            raise UserError("transformers has no T5 gated by the exact gelu: gelu_tanh is its own")
        word = _GATED + ("gelu" if word == "gelu_new" else word)
    alone = not module.decoder_depth
    sizes = {key: getattr(module, field) for field, key in _SIZES.items()}
    return dict(
        {**sizes, **(dict(num_decoder_layers=module.encoder_depth) if alone else {})},
        model_type="t5",
        architectures=["T5EncoderModel" if alone else "T5ForConditionalGeneration"],
        is_encoder_decoder=not alone,
        feed_forward_proj=word,
        layer_norm_epsilon=module.norm_epsilon,
        tie_word_embeddings=module.tied,
        scale_decoder_outputs=module.scale_output,
        pad_token_id=0,
        eos_token_id=1,
        decoder_start_token_id=0,
    )


_WHOLE = ("T5ForConditionalGeneration", "T5WithLMHeadModel", "MT5ForConditionalGeneration")
_ENCODERS = ("T5EncoderModel", "MT5EncoderModel")

T5_ = register("t5")(
    Architecture(
        model="t5",
        inputs=source_and_target,
        namings=dict(
            transformers=Naming(
                _table,
                read=_read,
                write=_write,
                classes={
                    **{name: {} for name in _WHOLE},
                    **{name: dict(decoder_depth=0) for name in _ENCODERS},
                },
            )
        ),
        model_types=("t5", "mt5"),
        optional=("score",),
        told=_told,
    )
)
