"""Whisper's published weights (Radford et al., 2022), as transformers and as OpenAI have them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from jaxdl.errors import UserError
from jaxdl.models.whisper import STRIDE, Whisper
from jaxdl.pretrained import config as settings
from jaxdl.pretrained import register
from jaxdl.pretrained.architecture import Architecture, Naming, tokens
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
    transpose,
)


def _attention(theirs: str, ours: str, names: Mapping[str, str], out: str) -> tuple[Rule, ...]:
    apart = {name: f"{theirs}.{names[name]}" for name in QKV}
    return *qkv_apart(apart, ours), *attention_out(f"{theirs}.{out}", ours)


def _conv(theirs: str, ours: str) -> tuple[Rule, ...]:
    """A convolution along time, whose kernel is (out, in, k) there."""
    return (
        rule(f"{theirs}.weight", f"{ours}/kernel", steps=[transpose(2, 1, 0)]),
        rule(f"{theirs}.bias", f"{ours}/bias"),
    )


_IN_TRANSFORMERS = {name: f"{name[0]}_proj" for name in QKV}
_IN_OPENAI = {name: name for name in QKV}


def _transformers_side(side: str) -> tuple[Rule, ...]:
    base = f"model.{side}"
    theirs, ours = f"{base}.layers.{{i}}", f"{side}_block_{{i}}"
    attend = lambda theirs, ours: _attention(theirs, ours, _IN_TRANSFORMERS, "out_proj")
    return (
        *attend(f"{theirs}.self_attn", f"{ours}/attention"),
        *norm(f"{theirs}.self_attn_layer_norm", f"{ours}/norm_attention"),
        *attend(f"{theirs}.encoder_attn", f"{ours}/cross_attention"),
        *norm(f"{theirs}.encoder_attn_layer_norm", f"{ours}/norm_cross_attention"),
        *dense(f"{theirs}.fc1", f"{ours}/feed_forward/up"),
        *dense(f"{theirs}.fc2", f"{ours}/feed_forward/down"),
        *norm(f"{theirs}.final_layer_norm", f"{ours}/norm_feed_forward"),
        *norm(f"{base}.layer_norm", f"{side}_norm"),
    )


def _openai_side(side: str, last: str) -> tuple[Rule, ...]:
    theirs, ours = f"{side}.blocks.{{i}}", f"{side}_block_{{i}}"
    attend = lambda theirs, ours: _attention(theirs, ours, _IN_OPENAI, "out")
    return (
        *attend(f"{theirs}.attn", f"{ours}/attention"),
        *norm(f"{theirs}.attn_ln", f"{ours}/norm_attention"),
        *attend(f"{theirs}.cross_attn", f"{ours}/cross_attention"),
        *norm(f"{theirs}.cross_attn_ln", f"{ours}/norm_cross_attention"),
        *dense(f"{theirs}.mlp.0", f"{ours}/feed_forward/up"),
        *dense(f"{theirs}.mlp.2", f"{ours}/feed_forward/down"),
        *norm(f"{theirs}.mlp_ln", f"{ours}/norm_feed_forward"),
        *norm(f"{side}.{last}", f"{side}_norm"),
    )


def _ends(base: str, positions: str, table: str) -> tuple[Rule, ...]:
    """What stands before the blocks of both sides, behind what all names begin with."""
    return (
        *_conv(f"{base}encoder.conv1", "conv_1"),
        *_conv(f"{base}encoder.conv2", "conv_2"),
        rule(f"{base}encoder.{positions}", "constants/encoder_position", steps=[merge(0, 1)]),
        rule(f"{base}decoder.{table}", "token/embedding"),
        rule(f"{base}decoder.{positions}", "decoder_position", steps=[merge(0, 1)]),
    )


_TABLE = "model.decoder.embed_tokens.weight"
_TRANSFORMERS = Table(
    rules=(
        *_ends("model.", "embed_positions.weight", "embed_tokens.weight"),
        *_transformers_side("encoder"),
        *_transformers_side("decoder"),
    ),
    tied={"proj_out.weight": _TABLE},
    base="model.",
)
_OPENAI = Table(
    rules=(
        *_ends("", "positional_embedding", "token_embedding.weight"),
        *_openai_side("encoder", "ln_post"),
        *_openai_side("decoder", "ln"),
    ),
)


def _without_decoder(table: Table, module: Whisper) -> Table:
    """Of an encoder alone the rest of a file is left."""
    rest = () if module.decoder_depth else (r"(model\.)?decoder\..*", r"proj_out\.weight")
    tied = table.tied if module.decoder_depth else {}
    return table._replace(ignored=rest, tied=tied)


_SIZES = dict(
    vocab_size="vocab_size",
    bands="num_mel_bins",
    context="max_target_positions",
    width="d_model",
    encoder_depth="encoder_layers",
    decoder_depth="decoder_layers",
)
_STATES = dict(states="max_source_positions")
# Settings that both sides have, and that are one field of ours.
_BOTH = dict(heads="{}_attention_heads", hidden="{}_ffn_dim")
_FIXED = dict(
    model_type=("whisper",), scale_embedding=(False,), tie_word_embeddings=(True,),
    activation_function=("gelu",),
)  # fmt: skip


def _read(config: Mapping[str, Any], path: Path) -> dict[str, Any]:
    settings.check(config, path, "whisper", _FIXED)
    return dict(
        **settings.sizes(config, path, _SIZES),
        **settings.sides(config, path, "whisper", _BOTH),
        frames=STRIDE * settings.sizes(config, path, _STATES)["states"],
    )


# The special tokens that a published vocabulary's size tells: what ends a text, what begins one.
_ENGLISH, _EVERY = (50256, 50257), (50257, 50258)


def _write(module: Whisper) -> dict[str, Any]:
    if not module.decoder_depth:
        raise UserError("transformers has no Whisper without a decoder")
    if module.activation != "gelu":
        raise UserError(
            f"activation={module.activation!r}: transformers' Whisper is written by gelu"
        )
    if module.frames % STRIDE:
        raise UserError(f"frames={module.frames}: transformers' Whisper reads an even number")
    end, start = _ENGLISH if module.vocab_size == 51864 else _EVERY
    known = module.vocab_size > start
    return dict(
        {key: _FIXED[key][0] for key in _FIXED},
        architectures=["WhisperForConditionalGeneration"],
        is_encoder_decoder=True,
        **{key: getattr(module, field) for field, key in _SIZES.items()},
        **settings.their_sides(module, _BOTH),
        max_source_positions=module.frames // STRIDE,
        bos_token_id=end if known else None,
        pad_token_id=end if known else None,
        eos_token_id=end if known else None,
        decoder_start_token_id=start if known else 0,
    )


_DIMS = dict(
    bands="n_mels",
    frames="n_audio_ctx",
    vocab_size="n_vocab",
    context="n_text_ctx",
    width="n_audio_state",
    heads="n_audio_head",
    encoder_depth="n_audio_layer",
    decoder_depth="n_text_layer",
)


def _beside(said: Mapping[str, Any], path: Path) -> dict[str, Any] | None:
    """The sizes in OpenAI's files, {"dims": …, "model_state_dict": …}."""
    dims = said.get("dims")
    if not isinstance(dims, dict) or not set(_DIMS.values()) <= set(dims):
        return None
    fields = settings.sizes(dims, path, _DIMS)
    for ours, key in (("width", "n_text_state"), ("heads", "n_text_head")):
        if dims.get(key) != fields[ours]:
            raise UserError(
                f"{path}: {_DIMS[ours]}={fields[ours]} and {key}={dims.get(key)!r}, but model "
                "'whisper' has as many in both"
            )
    return {**fields, "frames": STRIDE * fields["frames"], "hidden": 4 * fields["width"]}


def _frames_and_target(module: Whisper, image_size: int | None) -> tuple:
    frames = jax.ShapeDtypeStruct((1, STRIDE, module.bands), jnp.float32)
    return (frames, *tokens(1)(module, image_size)) if module.decoder_depth else (frames,)


WHISPER = register("whisper")(
    Architecture(
        model="whisper",
        inputs=_frames_and_target,
        namings=dict(
            transformers=Naming(
                lambda module: _without_decoder(_TRANSFORMERS, module),
                read=_read,
                write=_write,
                classes={"WhisperForConditionalGeneration": {}, "WhisperModel": {}},
            ),
            openai=Naming(lambda module: _without_decoder(_OPENAI, module), beside=_beside),
        ),
        model_types=("whisper",),
        optional=("constants",),
    )
)
