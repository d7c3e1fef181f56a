"""Scaled dot-product attention."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxdl.ops import attention_cpu, attention_tpu, forms
from jaxdl.ops.derivatives import with_reference
from jaxdl.ops.wide import wide_dtype


def attention(
    query: jax.Array,
    key: jax.Array,
    value: jax.Array,
    *,
    mask: jax.Array | None = None,
    causal: bool = False,
    scale: float | None = None,
    drop: Callable[[jax.Array], jax.Array] | None = None,
) -> jax.Array:
    """``softmax(q kᵀ scale + mask) v`` for every head (Vaswani et al., 2017, section 3.2.1).

    Args:
      query: (batch, T, heads, head_dim).
      key: (batch, S, heads, head_dim).
      value: (batch, S, heads, head_dim).
      mask: broadcasts to (batch, heads, T, S). Of booleans (or integers): where it is False (0) is
        not attended to. Of floats: added to the scaled scores, with a gradient of its own, as T5's
        relative positions need; -inf, or its dtype's lowest number, is not attended to. A row
        that may attend to nothing attends to all keys equally. `join_masks` makes one of several.
      causal: query t sees keys up to t + S - T only.
      scale: factor on the scores; ``head_dim ** -0.5`` by default.
      drop: dropout of the weights (batch, heads, T, S). With it every platform runs the reference:
        the faster forms never hold all weights as they are.

    Returns:
      (batch, T, heads, head_dim) in the dtype of ``value``. The softmax is taken in float32 (or
      wider, where the inputs are).
    """
    query, mask = _prepare(query, mask, scale)
    if drop is not None:
        return _reference(query, key, value, mask, causal, drop)
    # Each form has a backward pass of its own, that keeps what it needs: the CPU's keeps weights,
    # the kernels sums of rows. What another platform's would keep the compiler drops.
    reference = functools.partial(_reference, causal=causal)
    whole = lambda kernel: None if kernel is None else with_reference(kernel, reference)
    return forms.by_platform(
        reference,
        query,
        key,
        value,
        mask,
        cpu=attention_cpu.form(query, key, causal),
        gpu=whole(_cudnn(query, key, value, mask, causal)),
        tpu=whole(attention_tpu.form(query, key, value, mask, causal)),
    )


def attention_weights(
    query: jax.Array,
    key: jax.Array,
    *,
    mask: jax.Array | None = None,
    causal: bool = False,
    scale: float | None = None,
) -> jax.Array:
    """How much each query attends to each key: what `attention` weighs the values by.

    Args:
      query: (batch, T, heads, head_dim).
      key: (batch, S, heads, head_dim).
      mask: as `attention`'s, like the others.
      causal: query t sees keys up to t + S - T only.
      scale: factor on the scores.

    Returns:
      (batch, heads, T, S) float32 (or wider, where the inputs are); rows sum to 1.
    """
    query, mask = _prepare(query, mask, scale)
    return _weights(query, key, mask, causal)


def join_masks(*masks: jax.Array | None) -> jax.Array | None:
    """One mask for `attention` that does what all of them do.

    Args:
      *masks: as `attention` takes them, of shapes that broadcast to each other. None hides nothing.

    Returns:
      None if all are; booleans if all are: where every one is True; else floats: their sum, and
      -inf where one of the booleans is False.
    """
    given = [_as_mask(mask) for mask in masks if mask is not None]
    seen = [mask for mask in given if mask.dtype == bool]
    added = [mask for mask in given if mask.dtype != bool]
    seen = functools.reduce(jnp.logical_and, seen) if seen else None
    if not added:
        return seen
    added = functools.reduce(jnp.add, added)
    return added if seen is None else jnp.where(seen, added, -jnp.inf)


def _as_mask(mask: jax.Array) -> jax.Array:
    """Booleans or floats."""
    mask = jnp.asarray(mask)
    return mask if jnp.issubdtype(mask.dtype, jnp.floating) else mask.astype(bool)


def _prepare(
    query: jax.Array, mask: jax.Array | None, scale: float | None
) -> tuple[jax.Array, jax.Array | None]:
    """(queries with their scale, booleans or floats of four axes)."""
    query = query * (query.shape[-1] ** -0.5 if scale is None else scale)
    if mask is not None:
        mask = _as_mask(mask)
        mask = mask.reshape((1,) * (4 - mask.ndim) + mask.shape)
    return query, mask


def _reference(
    query: jax.Array,
    key: jax.Array,
    value: jax.Array,
    mask: jax.Array | None,
    causal: bool,
    drop: Callable[[jax.Array], jax.Array] = lambda weights: weights,
) -> jax.Array:
    """The meaning, for queries that are scaled and masks of four axes."""
    weights_BxHxTxS = _weights(query, key, mask, causal).astype(value.dtype)
    return jnp.einsum("bhts,bshd->bthd", drop(weights_BxHxTxS), value)


def _weights(query: jax.Array, key: jax.Array, mask: jax.Array | None, causal: bool) -> jax.Array:
    T, S = query.shape[1], key.shape[1]
    wide = wide_dtype(query.dtype)
    scores_BxHxTxS = jnp.einsum("bthd,bshd->bhts", query, key, preferred_element_type=wide)
    seen = jnp.arange(T)[:, None] + (S - T) >= jnp.arange(S) if causal else True
    if mask is not None and mask.dtype != bool:
        scores_BxHxTxS = scores_BxHxTxS + mask
        mask = mask > jnp.finfo(mask.dtype).min
    seen = seen if mask is None else seen & mask
    # The lowest finite number, not -inf: an empty row must not become NaN.
    scores_BxHxTxS = jnp.where(seen, scores_BxHxTxS, jnp.finfo(wide).min)
    return jax.nn.softmax(scores_BxHxTxS, axis=-1)


def _cudnn(query, key, value, mask, causal):
    """cuDNN's fused kernel, None where it does not apply: it never writes the scores.

    NVIDIA's form of FlashAttention (Dao et al., 2022), for 16-bit inputs. Its causal mask starts
    at the first key, so T must be S.
    """
    halves = query.dtype in (jnp.bfloat16, jnp.float16)
    square = query.shape[1] == key.shape[1]
    if not halves or mask is not None or (causal and not square) or jax.default_backend() != "gpu":
        return None

    def form(query, key, value, mask):
        return jax.nn.dot_product_attention(
            query, key, value, scale=1.0, is_causal=causal, implementation="cudnn"
        )

    try:  # The library knows its own limits, by head size, device and version, as it is traced.
        jax.eval_shape(form, query, key, value, mask)
    except (NotImplementedError, RuntimeError, ValueError):
        return None
    return form
