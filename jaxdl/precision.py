"""The dtype of the computation; parameters, statistics, softmax and losses are float32 always."""

import jax
import jax.numpy as jnp

from jaxdl.registry import choose

DTYPES = {"float32": jnp.float32, "bf16": jnp.bfloat16}


def compute_dtype(name: str) -> jnp.dtype:
    """The dtype that layers compute in.

    Args:
      name: "float32", "bf16", or "auto": bf16 on GPU and TPU, whose matrix units want it, and
        float32 on CPU, where bf16 convolutions are three times slower.

    Raises:
      UserError: another name.
    """
    if name == "auto":
        name = "float32" if jax.default_backend() == "cpu" else "bf16"
    return choose("precision", name, {**DTYPES, "auto": None})
