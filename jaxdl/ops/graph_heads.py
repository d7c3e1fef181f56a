"""What neighbours hold, summed by weights that each edge has for each head.

The rows that edges carry are many times those of the nodes. As one array they would be most of the
memory of graph attention, and as such arrays do not fit into caches, most of its time too: on CPUs
they are made, used and forgotten a few thousand edges at a time, in both passes.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jaxdl.ops.derivatives import with_backward
from jaxdl.ops.forms import by_platform
from jaxdl.ops.graph import Edges
from jaxdl.ops.graph_parts import joined, over_parts
from jaxdl.ops.graph_rows import Rows, sum_in_rows
from jaxdl.ops.segments import segment_sum
from jaxdl.ops.wide import widen

# Edges at a time. Below so many all are taken at once: a loop has a price, too.
_AT_ONCE, _FEW = 4096, 65536


class Ends(NamedTuple):
    """Of `jaxdl.ops.Edges`, what sums need; no part of it has a derivative."""

    source: jax.Array
    target: jax.Array
    rows: tuple[Rows, Rows] | None = None


def sum_of_heads(x: jax.Array, weights: jax.Array, edges: Edges) -> jax.Array:
    """Σ of weight(j → i) x_j over the edges that arrive at i, head by head.

    Args:
      x: (nodes, heads, features) floating; added in at least float32.
      weights: (edges, heads) floating; those of the edges themselves are not used. In parts where
        ``edges`` are.
      edges: between the nodes. A target that is no node is padding.

    Returns:
      (nodes, heads, features), of the dtype of ``x``; 0 where no edge arrives.
    """
    if edges.source.ndim == 1:
        return _sum(x, weights, Ends(edges.source, edges.target, edges.rows), len(x))
    own = len(x) // len(edges.source)
    each = lambda x, weights, *ends: _sum(x, weights, Ends(*ends), own)
    return joined(over_parts(each, x, weights, edges.source, edges.target))


def _forward(
    x: jax.Array,
    weights: jax.Array,
    ends: Ends,
    nodes: int,
) -> tuple[jax.Array, tuple]:
    given = (x, weights, ends)
    few, form = (functools.partial(each, nodes) for each in (_few_forward, _form(_FORWARD, ends)))
    return by_platform(few, *given, cpu=form), given


def _backward(nodes: int, kept: tuple, slope: jax.Array) -> tuple[jax.Array, jax.Array, None]:
    found = by_platform(_few_backward, *kept, slope, cpu=_form(_BACKWARD, kept[2]))
    return *found, None


def _form(forms: tuple[Callable, Callable, Callable], ends: Ends) -> Callable:
    few, in_parts, in_rows = forms
    if ends.rows is not None:
        return in_rows
    return few if len(ends.source) <= _FEW else in_parts


def _few_forward(
    nodes: int,
    x: jax.Array,
    weights: jax.Array,
    ends: Ends,
) -> jax.Array:
    return segment_sum(x[ends.source] * weights[..., None].astype(x.dtype), ends.target, nodes)


def _few_backward(
    x: jax.Array,
    weights: jax.Array,
    ends: Ends,
    slope: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    arrived = _arrived(slope, ends.target)
    total = jnp.zeros(x.shape, arrived.dtype).at[ends.source].add(arrived * weights[..., None])
    return total.astype(x.dtype), (arrived * x[ends.source]).sum(axis=-1).astype(weights.dtype)


def _forward_in_parts(
    nodes: int,
    x: jax.Array,
    weights: jax.Array,
    ends: Ends,
) -> jax.Array:
    def add(total: Any, weights: Any, source: Any, target: Any, first: Any) -> jax.Array:
        sent = widen(x[source] * weights[..., None].astype(x.dtype))
        return total.at[target].add(sent, mode="drop", indices_are_sorted=True)

    empty = jnp.zeros((nodes, *x.shape[1:]), widen(x).dtype)
    return _over_parts(nodes, weights, ends, add, empty).astype(x.dtype)


def _backward_in_parts(
    x: jax.Array,
    weights: jax.Array,
    ends: Ends,
    slope: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    def add(made: Any, weights: Any, source: Any, target: Any, first: Any) -> Any:
        total, products = made
        arrived = _arrived(slope, target)
        total = total.at[source].add(arrived * weights[..., None])
        return total, _with_products(products, arrived, x[source], first)

    empty = (jnp.zeros(x.shape, widen(slope).dtype), _no_products(weights, slope))
    total, products = _over_parts(len(slope), weights, ends, add, empty)
    return total.astype(x.dtype), products[: len(weights)].astype(weights.dtype)


def _forward_in_rows(
    nodes: int,
    x: jax.Array,
    weights: jax.Array,
    ends: Ends,
) -> jax.Array:
    return sum_in_rows(x, weights, ends.source, ends.rows[0]).astype(x.dtype)


def _backward_in_rows(
    x: jax.Array,
    weights: jax.Array,
    ends: Ends,
    slope: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    def add(products: Any, weights: Any, source: Any, target: Any, first: Any) -> jax.Array:
        return _with_products(products, _arrived(slope, target), x[source], first)

    empty = _no_products(weights, slope)
    products = _over_parts(len(slope), weights, ends, add, empty)
    total = sum_in_rows(slope, weights, ends.target, ends.rows[1])
    return total.astype(x.dtype), products[: len(weights)].astype(weights.dtype)


def _no_products(weights: jax.Array, slope: jax.Array) -> jax.Array:
    """Room for what `_with_products` writes, for all parts."""
    count = len(weights)
    return jnp.zeros((count + -count % _AT_ONCE, *weights.shape[1:]), widen(slope).dtype)


def _with_products(
    products: jax.Array, arrived: jax.Array, sent: jax.Array, first: jax.Array
) -> jax.Array:
    """With the derivatives by the weights of one part of the edges, from the ``first`` one on."""
    own = (arrived * sent).sum(axis=-1)
    return lax.dynamic_update_slice_in_dim(products, own, first, axis=0)


def _over_parts(
    nodes: int,
    weights: jax.Array,
    ends: Ends,
    add: Callable[[Any, jax.Array, jax.Array, jax.Array, jax.Array], Any],
    made: Any,
) -> Any:
    """``add(made, weights, source, target, first)`` for one part of the edges after the other.

    What fills up the last part has weight 0 and arrives nowhere.
    """
    count = len(weights)
    filled = lambda x, by: jnp.pad(
        x, [(0, -count % _AT_ONCE), *[(0, 0)] * (x.ndim - 1)], constant_values=by
    )
    columns = filled(weights, 0), filled(ends.source, 0), filled(ends.target, nodes)

    def step(i: jax.Array, made: Any) -> Any:
        at = i * _AT_ONCE
        return add(made, *(lax.dynamic_slice_in_dim(x, at, _AT_ONCE) for x in columns), at)

    return lax.fori_loop(0, -(-count // _AT_ONCE), step, made)


def _arrived(slope: jax.Array, target: jax.Array) -> jax.Array:
    """What edges carry back of ``slope`` (nodes, heads, features), in at least float32."""
    return widen(slope).at[target].get(mode="fill", fill_value=0, indices_are_sorted=True)


# Of few edges, of many, and of those that lie in rows.
_FORWARD = (_few_forward, _forward_in_parts, _forward_in_rows)
_BACKWARD = (_few_backward, _backward_in_parts, _backward_in_rows)
_sum = with_backward(_forward, _backward, static=(3,))
