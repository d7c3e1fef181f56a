"""Scaled dot-product attention."""

import jax
import jax.numpy as jnp


def attention(
    query: jax.Array,
    key: jax.Array,
    value: jax.Array,
    *,
    mask: jax.Array | None = None,
    causal: bool = False,
    scale: float | None = None,
) -> jax.Array:
    """``softmax(q kᵀ scale + mask) v`` for every head (Vaswani et al., 2017, section 3.2.1).

    Args:
      query: (batch, T, heads, head_dim).
      key: (batch, S, heads, head_dim).
      value: (batch, S, heads, head_dim).
      mask: booleans that broadcast to (batch, heads, T, S); False is not attended to. A row
        without any True attends to all keys equally.
      causal: query t sees keys up to t + S - T only.
      scale: factor on the scores; ``head_dim ** -0.5`` by default.

    Returns:
      (batch, T, heads, head_dim) in the dtype of ``value``. The softmax is taken in float32 (or
      wider, where the inputs are).
    """
    T, S = query.shape[1], key.shape[1]
    scale = query.shape[-1] ** -0.5 if scale is None else scale
    wide = jnp.promote_types(query.dtype, jnp.float32)
    scores_BxHxTxS = jnp.einsum("bthd,bshd->bhts", query * scale, key, preferred_element_type=wide)
    if causal:
        seen_TxS = jnp.arange(T)[:, None] + (S - T) >= jnp.arange(S)
        mask = seen_TxS if mask is None else mask & seen_TxS
    if mask is not None:
        # The lowest finite number, not -inf: an empty row must not become NaN.
        scores_BxHxTxS = jnp.where(mask, scores_BxHxTxS, jnp.finfo(wide).min)
    weights_BxHxTxS = jax.nn.softmax(scores_BxHxTxS, axis=-1).astype(value.dtype)
    return jnp.einsum("bhts,bshd->bthd", weights_BxHxTxS, value)
