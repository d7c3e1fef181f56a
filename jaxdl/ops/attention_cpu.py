"""Attention for a CPU: few large products, no work on keys that no query of a block can see.

As (batch, heads, T, head_dim) every product is one batched matrix product without transpositions;
a block of queries under a causal mask takes only the keys that it can see; and the weights are
kept without the division by their sum, which is made on the narrower result (Rabe and Staats, 2021,
section 2). bf16 is widened: a CPU's products of it are no faster.
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax

from jaxdl.ops.derivatives import with_backward
from jaxdl.ops.wide import wide_dtype

# More blocks skip more of the masked half, but each is a smaller product.
MOST_BLOCKS = 4
SHORTEST_BLOCK = 64

# From so many queries without a mask on, where nothing is differentiated, one head comes after the
# other: before jax 0.12 XLA's own memory for scores, which it counts nowhere, is twice what all of
# them take, 108 MB of Whisper's 1,500 queries of six heads; so 36 MB, in .93 of the processor time.
# Later ones need 30 MB, and no loop.
MANY_QUERIES = 768 if jax.__version_info__ < (0, 12) else None

# Fewer scores than this are cheaper as they come than with the rearrangement (measured on steps of
# a ViT with 16 tokens, which took 10% longer, and with 65, which took 2% less).
FEWEST_SCORES = 64 * 64


def form(query: jax.Array, key: jax.Array, causal: bool) -> Callable | None:
    """`attention` as a function (query, key, value, mask), None for short sequences."""
    if query.shape[:2] == (1, 1):
        return of_one_query
    few = query.shape[1] * key.shape[1] < FEWEST_SCORES
    return None if few else functools.partial(attention, causal=causal)


def of_one_query(query, key, value, mask):
    """As `jaxdl.ops.attention` for the one query of one sequence, which sees all or what is masked.

    The scores are a matrix of keys times a vector: as a vector times that matrix XLA transposes it
    first, of 1,500 keys in five times what the product takes (jax 0.10.2 and 0.12.0.1). Of several
    sequences it does not.
    """
    wide = wide_dtype(query.dtype)
    q, k, v = (_heads_first(x.astype(wide)) for x in (query, key, value))
    scores = jnp.einsum("bhsd,bhd->bhs", k, q[:, :, 0])[:, :, None]
    seen = _seen(slice(0, 1), key.shape[1], 1, key.shape[1], mask, causal=False)
    weights = jax.nn.softmax(_masked(scores, seen, mask), axis=-1)
    return _heads_first(jnp.einsum("bhts,bhsd->bhtd", weights, v)).astype(value.dtype)


def _blocks(T: int, S: int, masked: bool, causal: bool) -> list[tuple[slice, int]]:
    """(queries, number of keys that they take) for each block."""
    if not causal or masked or T > S:
        return [(slice(0, T), S)]  # a row that sees nothing attends to all keys
    length = -(-T // max(1, min(MOST_BLOCKS, T // SHORTEST_BLOCK)))
    ends = [min(start + length, T) for start in range(0, T, length)]
    return [(slice(start, end), end + S - T) for start, end in zip([0, *ends], ends, strict=False)]


def _seen(queries: slice, keys: int, T: int, S: int, mask, causal: bool):
    """Booleans that broadcast to a block's (batch, heads, queries, keys), None if all is seen."""
    seen = None
    if causal:
        seen = jnp.arange(queries.start, queries.stop)[:, None] + (S - T) >= jnp.arange(keys)
    if mask is not None:
        open_ = mask if mask.dtype == bool else mask > jnp.finfo(mask.dtype).min
        seen = open_ if seen is None else seen & open_
    return seen


def _masked(scores: jax.Array, seen: jax.Array | None, mask: jax.Array | None) -> jax.Array:
    """Scores with what is added to them, the lowest number where nothing is seen."""
    if mask is not None and mask.dtype != bool:
        scores = scores + mask
    return scores if seen is None else jnp.where(seen, scores, jnp.finfo(scores.dtype).min)


def _heads_first(x: jax.Array) -> jax.Array:
    """(batch, T, heads, head_dim) -> (batch, heads, T, head_dim), and back."""
    return x.transpose(0, 2, 1, 3)


def _forward(query, key, value, mask, causal):
    """As `jaxdl.ops.attention`, for queries that are scaled and a mask of four axes or None."""
    wide = wide_dtype(query.dtype)
    q, k, v = (_heads_first(x.astype(wide)) for x in (query, key, value))
    T, S = q.shape[2], k.shape[2]
    out, kept = [], []
    for queries, keys in _blocks(T, S, mask is not None, causal):
        scores = jnp.einsum("bhtd,bhsd->bhts", q[:, :, queries], k[:, :, :keys])
        scores = _masked(scores, _seen(queries, keys, T, S, mask, causal), mask)
        top = lax.stop_gradient(scores.max(axis=-1, keepdims=True))
        weights = jnp.exp(scores - top)
        share = 1 / weights.sum(axis=-1, keepdims=True)
        out.append(jnp.einsum("bhts,bhsd->bhtd", weights, v[:, :, :keys]) * share)
        kept.append((weights, share))
    y = jnp.concatenate(out, axis=2)
    return _heads_first(y).astype(value.dtype), (query, key, value, mask, y, kept)


def _backward(causal, residuals, g):
    query, key, value, mask, y, kept = residuals
    q, k, v, g = (_heads_first(x.astype(y.dtype)) for x in (query, key, value, g))
    T, S = q.shape[2], k.shape[2]
    dq, dk, dv, dmask = [], jnp.zeros_like(k), jnp.zeros_like(v), None
    for (queries, keys), (weights, share) in zip(
        _blocks(T, S, mask is not None, causal), kept, strict=True
    ):
        # With p = weights · share: dscores = p (g vᵀ - Σ g y).
        g_block = g[:, :, queries] * share
        dweights = jnp.einsum("bhtd,bhsd->bhts", g_block, v[:, :, :keys])
        centre = (g_block * y[:, :, queries]).sum(axis=-1, keepdims=True)
        dscores = weights * (dweights - centre)
        seen = _seen(queries, keys, T, S, mask, causal)
        if mask is not None or (causal and T > S):  # Else what is not seen has a weight of 0.
            dscores = jnp.where(seen, dscores, 0)
        dq.append(jnp.einsum("bhts,bhsd->bhtd", dscores, k[:, :, :keys]))
        more = ((0, 0), (0, 0), (0, S - keys), (0, 0))
        dk += jnp.pad(jnp.einsum("bhts,bhtd->bhsd", dscores, q[:, :, queries]), more)
        dv += jnp.pad(jnp.einsum("bhts,bhtd->bhsd", weights, g_block), more)
        if mask is not None and mask.dtype != bool:
            spread = [axis for axis, size in enumerate(mask.shape) if size == 1]
            dmask = dscores.sum(axis=spread, keepdims=True).astype(mask.dtype)
    back = lambda dx, x: _heads_first(dx).astype(x.dtype)
    return back(jnp.concatenate(dq, axis=2), query), back(dk, key), back(dv, value), dmask


def _value(query, key, value, mask, causal):
    many = MANY_QUERIES is not None and query.shape[1] >= MANY_QUERIES
    if causal or mask is not None or not many:
        return _forward(query, key, value, mask, causal)[0]
    one = lambda heads: _forward(*(x[:, :, None] for x in heads), None, False)[0][:, :, 0]
    by_head = tuple(jnp.moveaxis(x, 2, 0) for x in (query, key, value))
    return jnp.moveaxis(lax.map(one, by_head), 0, 2)


attention = with_backward(_forward, _backward, static=(4,), value=_value)
