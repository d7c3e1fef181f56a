"""BART's published weights (Lewis et al., 2019), as transformers has them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxdl.errors import UserError
from jaxdl.models.bart import BART
from jaxdl.pretrained import config as settings
from jaxdl.pretrained import register
from jaxdl.pretrained.architecture import Architecture, Naming, source_and_target
from jaxdl.pretrained.mapping import (
    QKV,
    Rule,
    Table,
    attention_out,
    dense,
    merge,
    norm,
    qkv_apart,
    rule,
)

_BASE = "model."


def _attention(theirs: str, ours: str) -> tuple[Rule, ...]:
    names = {name: f"{theirs}.{name[0]}_proj" for name in QKV}
    return *qkv_apart(names, ours), *attention_out(f"{theirs}.out_proj", ours)


def _side(side: str) -> tuple[Rule, ...]:
    """The rules of the encoder or the decoder."""
    theirs, ours = f"{_BASE}{side}.layers.{{i}}", f"{side}_block_{{i}}"
    return (
        rule(f"{_BASE}{side}.embed_positions.weight", f"{side}_position", steps=[merge(0, 1)]),
        *norm(f"{_BASE}{side}.layernorm_embedding", f"{side}_norm"),
        *_attention(f"{theirs}.self_attn", f"{ours}/attention"),
        *norm(f"{theirs}.self_attn_layer_norm", f"{ours}/norm_attention"),
        *_attention(f"{theirs}.encoder_attn", f"{ours}/cross_attention"),
        *norm(f"{theirs}.encoder_attn_layer_norm", f"{ours}/norm_cross_attention"),
        *dense(f"{theirs}.fc1", f"{ours}/feed_forward/up"),
        *dense(f"{theirs}.fc2", f"{ours}/feed_forward/down"),
        *norm(f"{theirs}.final_layer_norm", f"{ours}/norm_feed_forward"),
    )


_SHARED = f"{_BASE}shared.weight"
_TABLE = Table(
    rules=(
        rule(_SHARED, "token/embedding"),
        *_side("encoder"),
        *_side("decoder"),
        rule("final_logits_bias", "constants/final_logits_bias"),
    ),
    # Of files that were converted from the authors'.
    ignored=(r"model\.(encoder|decoder)\.version",),
    tied=dict.fromkeys(
        (
            f"{_BASE}encoder.embed_tokens.weight",
            f"{_BASE}decoder.embed_tokens.weight",
            "lm_head.weight",
        ),
        _SHARED,
    ),
    base=_BASE,
)


def _table(module: BART) -> Table:
    """That of the tensors; of an encoder alone the rest of a file is left."""
    rest = () if module.decoder_depth else (r"model\.decoder\..*", r"final_logits_bias")
    return _TABLE._replace(ignored=(*_TABLE.ignored, *rest))


_SIZES = dict(
    vocab_size="vocab_size",
    context="max_position_embeddings",
    width="d_model",
    encoder_depth="encoder_layers",
    decoder_depth="decoder_layers",
)
# Settings that both sides have, and that are one field of ours.
_BOTH = dict(heads="{}_attention_heads", hidden="{}_ffn_dim")
_FIXED = dict(
    model_type=("bart",),
    scale_embedding=(False,),
    normalize_before=(False,),
    normalize_embedding=(True,),
    add_bias_logits=(False,),
    add_final_layer_norm=(False,),
    extra_pos_embeddings=(2,),
    static_position_embeddings=(False,),
    tie_word_embeddings=(True,),
)


def _read(config: Mapping[str, Any], path: Path) -> dict[str, Any]:
    settings.check(config, path, "bart", _FIXED)
    fields = settings.sizes(config, path, _SIZES)
    fields |= settings.sides(config, path, "bart", _BOTH)
    word = config.get("activation_function", "gelu")
    return dict(fields, activation=settings.activation(word, path, "activation_function"))


def _write(module: BART) -> dict[str, Any]:
    if not module.decoder_depth:
        raise UserError("transformers has no BART without a decoder")
    fixed = ("model_type", "scale_embedding", "tie_word_embeddings")
    return dict(
        {key: _FIXED[key][0] for key in fixed},
        architectures=["BartForConditionalGeneration"],
        is_encoder_decoder=True,
        **{key: getattr(module, field) for field, key in _SIZES.items()},
        **settings.their_sides(module, _BOTH),
        num_hidden_layers=module.encoder_depth,
        activation_function=settings.their_activation(module.activation),
        bos_token_id=0,
        pad_token_id=1,
        eos_token_id=2,
        decoder_start_token_id=2,
    )


BART_ = register("bart")(
    Architecture(
        model="bart",
        inputs=source_and_target,
        namings=dict(
            transformers=Naming(
                _table,
                read=_read,
                write=_write,
                classes={"BartForConditionalGeneration": {}, "BartModel": {}},
            )
        ),
        model_types=("bart",),
        optional=("constants", "score"),
    )
)
