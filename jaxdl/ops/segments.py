"""Reductions over segments: rows that are numbered by what they belong to, edges by their node.

Each costs as much as there are rows, holds no table of rows by segments, and has derivatives of any
order in both modes.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax

from jaxdl.ops.wide import widen
from jaxdl.registry import choose


def segment_sum(values: jax.Array, ids: jax.Array, count: int) -> jax.Array:
    """Σ of the rows of each segment; 0 where there are none.

    Args:
      values: (rows, …) floating; added in at least float32.
      ids: (rows,) integers, ascending: the segment of each row. Rows whose number is ``count`` or
        more are padding, and belong to none.
      count: how many segments there are.

    Returns:
      (count, …), of the dtype of ``values``.
    """
    total = jax.ops.segment_sum(widen(values), ids, num_segments=count, indices_are_sorted=True)
    return total.astype(values.dtype)


def segment_mean(values: jax.Array, ids: jax.Array, count: int) -> jax.Array:
    """The mean of the rows of each segment, 0 where there are none; otherwise as `segment_sum`."""
    rows = segment_sum(jnp.ones(ids.shape, jnp.float32), ids, count)
    total = segment_sum(widen(values), ids, count)
    return (total / _beside(jnp.maximum(rows, 1), total)).astype(values.dtype)


def segment_max(values: jax.Array, ids: jax.Array, count: int) -> jax.Array:
    """The largest of the rows of each segment, 0 where there are none; otherwise as `segment_sum`.

    Each of equal maxima has the same share of the gradient, as in PyTorch's ``scatter_reduce``.
    """
    fixed = _computed_once(lax.stop_gradient(values))
    top = _top(fixed, ids, count)
    wins = widen(fixed == _rows(top, ids, jnp.inf))
    ties = jnp.maximum(segment_sum(wins, ids, count), 1)
    share = (wins / _rows(ties, ids, 1)).astype(values.dtype)
    # The sum is 0, and has the derivative of the maximum.
    own = segment_sum(share * (values - fixed), ids, count)
    rows = segment_sum(jnp.ones(ids.shape, jnp.float32), ids, count)
    return jnp.where(_beside(rows, top) > 0, top, 0) + own


def segment_softmax(scores: jax.Array, ids: jax.Array, count: int) -> jax.Array:
    """``exp(s) / Σ exp(s)`` over the rows of each segment.

    The segment's maximum is subtracted first, so that scores of any finite size give finite
    results. Arguments as of `segment_sum`.

    Returns:
      The shape and dtype of ``scores``; 0 in padding.
    """
    wide = widen(scores)
    top = _top(lax.stop_gradient(wide), ids, count)
    weights = jnp.exp(wide - _rows(top, ids, jnp.inf))
    total = segment_sum(weights, ids, count)
    return (weights / _rows(total, ids, 1)).astype(scores.dtype)


REDUCTIONS: dict[str, Callable[[jax.Array, jax.Array, int], jax.Array]] = {
    "max": segment_max,
    "mean": segment_mean,
    "sum": segment_sum,
}


def segment_reduction(name: str) -> Callable[[jax.Array, jax.Array, int], jax.Array]:
    """`segment_sum`, `segment_mean` or `segment_max` by ``name``, "sum", "mean" or "max".

    Raises:
      UserError: the name is unknown.
    """
    return choose("aggregation", name, REDUCTIONS)


def _top(values: jax.Array, ids: jax.Array, count: int) -> jax.Array:
    """(count, …): the largest of each segment, -inf where there is none."""
    return jax.ops.segment_max(values, ids, num_segments=count, indices_are_sorted=True)


def _rows(of_segments: jax.Array, ids: jax.Array, of_none: float) -> jax.Array:
    """(rows, …): each row's segment's value, ``of_none`` in padding."""
    chosen = of_segments.at[jnp.asarray(ids)]
    return chosen.get(mode="fill", fill_value=of_none, indices_are_sorted=True)


def _computed_once(values: jax.Array) -> jax.Array:
    """``values``, in memory.

    Compilers compute cheap values anew for each use, and may round them otherwise there: none of
    them then equals their maximum. `jax.lax.optimization_barrier` does not keep XLA from it on
    CPUs (jax 0.10.2); what is scattered it does not compute again.
    """
    places = jnp.arange(len(values))
    empty = jnp.zeros_like(values)
    return empty.at[places].set(values, unique_indices=True, indices_are_sorted=True)


def _beside(rows: jax.Array, x: jax.Array) -> jax.Array:
    """``rows`` (rows,) as (rows, 1, …), of as many axes as ``x``."""
    return rows.reshape(-1, *(1,) * (x.ndim - 1))
