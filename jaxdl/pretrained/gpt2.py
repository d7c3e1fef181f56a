"""GPT-2's published weights (Radford et al., 2019), as Hugging Face's GPT2LMHeadModel has them."""

import jax
import jax.numpy as jnp

from jaxdl.pretrained import register
from jaxdl.pretrained.architecture import Architecture
from jaxdl.pretrained.mapping import Rule, Table, concatenate, merge, norm, rule

_QKV = ("query", "key", "value")


def _dense(theirs: str, ours: str) -> tuple[Rule, Rule]:
    """Theirs are called Conv1D; their matrices are (in, out), like ours."""
    return rule(f"{theirs}.weight", f"{ours}/kernel"), rule(f"{theirs}.bias", f"{ours}/bias")


_attention = "block_{i}/attention"

TABLE = Table(
    rules=(
        rule("wte.weight", "token/embedding"),
        rule("wpe.weight", "position", steps=[merge(0, 1)]),
        *norm("h.{i}.ln_1", "block_{i}/norm_attention"),
        rule(
            "h.{i}.attn.c_attn.weight",
            *(f"{_attention}/{name}/kernel" for name in _QKV),
            steps=[merge(1, 2), concatenate(1)],
        ),
        rule(
            "h.{i}.attn.c_attn.bias",
            *(f"{_attention}/{name}/bias" for name in _QKV),
            steps=[merge(0, 1), concatenate(0)],
        ),
        rule("h.{i}.attn.c_proj.weight", f"{_attention}/out/kernel", steps=[merge(0, 1)]),
        rule("h.{i}.attn.c_proj.bias", f"{_attention}/out/bias"),
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

GPT2 = register("gpt2")(
    Architecture(
        model="gpt",
        inputs=lambda module: (jax.ShapeDtypeStruct((1, 1), jnp.int32),),
        table=TABLE,
        sizes=dict(
            vocab_size="vocab_size",
            context="n_positions",
            width="n_embd",
            depth="n_layer",
            heads="n_head",
        ),
        fixed=dict(
            model_type=("gpt2",),
            activation_function=("gelu_new", "gelu_pytorch_tanh"),
            layer_norm_epsilon=(1e-5,),
            scale_attn_weights=(True,),
            scale_attn_by_inverse_layer_idx=(False,),
            tie_word_embeddings=(True,),
        ),
        written=dict(architectures=["GPT2LMHeadModel"]),
    )
)
