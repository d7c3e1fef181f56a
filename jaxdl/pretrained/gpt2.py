"""GPT-2's published weights (Radford et al., 2019), as Hugging Face's GPT2LMHeadModel has them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flax import linen as nn

from jaxdl.pretrained import config, register
from jaxdl.pretrained.architecture import Architecture, Naming, tokens
from jaxdl.pretrained.mapping import Rule, Table, attention_out, merge, norm, qkv_packed, rule


def _dense(theirs: str, ours: str) -> tuple[Rule, Rule]:
    """Theirs are called Conv1D; their matrices are (in, out), like ours."""
    return rule(f"{theirs}.weight", f"{ours}/kernel"), rule(f"{theirs}.bias", f"{ours}/bias")


_attention = "block_{i}/attention"

TABLE = Table(
    rules=(
        rule("wte.weight", "token/embedding"),
        rule("wpe.weight", "position", steps=[merge(0, 1)]),
        *norm("h.{i}.ln_1", "block_{i}/norm_attention"),
        *qkv_packed("h.{i}.attn.c_attn.", _attention, layout=()),
        *attention_out("h.{i}.attn.c_proj", _attention, layout=()),
        *norm("h.{i}.ln_2", "block_{i}/norm_feed_forward"),
        *_dense("h.{i}.mlp.c_fc", "block_{i}/feed_forward/up"),
        *_dense("h.{i}.mlp.c_proj", "block_{i}/feed_forward/down"),
        *norm("ln_f", "norm"),
    ),
    prefixes=("transformer.", ""),
    # Causal masks, which older files have among the parameters.
    ignored=(r"h\.\d+\.attn\.(bias|masked_bias)",),
    tied={"lm_head.weight": "wte.weight"},
)

_SIZES = dict(
    vocab_size="vocab_size", context="n_positions", width="n_embd", depth="n_layer", heads="n_head"
)

_FIXED = dict(
    model_type=("gpt2",),
    activation_function=("gelu_new", "gelu_pytorch_tanh"),
    layer_norm_epsilon=(1e-5,),
    scale_attn_weights=(True,),
    scale_attn_by_inverse_layer_idx=(False,),
    tie_word_embeddings=(True,),
)


def _read(settings: Mapping[str, Any], path: Path) -> dict[str, Any]:
    config.check(settings, path, "gpt", _FIXED)
    return config.sizes(settings, path, _SIZES)


def _write(module: nn.Module) -> dict[str, Any]:
    sizes = {key: getattr(module, field) for field, key in _SIZES.items()}
    fixed = {key: values[0] for key, values in _FIXED.items()}
    return {**fixed, "architectures": ["GPT2LMHeadModel"], **sizes}


GPT2 = register("gpt2")(
    Architecture(
        model="gpt",
        inputs=tokens(1),
        optional=("head",),
        namings=dict(
            transformers=Naming(
                TABLE, read=_read, write=_write, classes={"GPT2LMHeadModel": {}, "GPT2Model": {}}
            )
        ),
        model_types=("gpt2",),
    )
)
