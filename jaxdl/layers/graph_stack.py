"""Layers on graphs, one upon the other."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jaxdl import ops
from jaxdl.errors import UserError
from jaxdl.layers.dense import Dense
from jaxdl.layers.dropout import Dropout
from jaxdl.layers.graph_norm import GraphNorm
from jaxdl.layers.graph_pool import GraphPool
from jaxdl.layers.normalization import BatchNorm, LayerNorm
from jaxdl.registry import choose

_NORMS: dict[str, Callable[[jax.Array, ops.Members | None, bool, Any, str], jax.Array]] = {
    "": lambda x, members, train, dtype, name: x,
    "batch": lambda x, members, train, dtype, name: BatchNorm(not train, dtype=dtype, name=name)(
        x, weights=None if members is None else members.is_node
    ),
    "graph": lambda x, members, train, dtype, name: GraphNorm(dtype=dtype, name=name)(
        x, *(members or ())
    ),
    "layer": lambda x, members, train, dtype, name: LayerNorm(epsilon=1e-5, dtype=dtype, name=name)(
        x
    ),
}
# Of Xu et al., 2018, "Representation Learning on Graphs with Jumping Knowledge Networks", section
# 4: what all layers say, as one.
_JUMPS: dict[str, Callable[[list[jax.Array]], jax.Array]] = {
    "": lambda each: each[-1],
    "concatenate": lambda each: jnp.concatenate(each, axis=-1),
    "max": lambda each: jnp.stack(each).max(axis=0),
}


def graph_stack(
    x: jax.Array,
    layer: Callable[[int, str], Callable[[jax.Array], jax.Array]],
    hidden: Sequence[int],
    num_classes: int,
    *,
    activation: Callable[[jax.Array], jax.Array],
    dropout: float,
    train: bool,
    residual: bool = False,
    jump: str = "",
    norm: str = "",
    head: Callable[[jax.Array], jax.Array] | None = None,
    pool: str = "",
    sizes: jax.Array | None = None,
    dtype: Any = None,
    only: int | None = None,
) -> jax.Array:
    """Hidden layers, ``conv_0`` and so on, and ``head``; called in a module's compact method.

    Args:
      x: (nodes, features).
      layer: (features, name) -> a layer on the graph, with as many features out; it may tell of
        the first nodes alone.
      hidden: features of each hidden layer.
      num_classes: features out.
      activation: behind each hidden layer.
      dropout: rate in front of every layer; with ``pool`` not of what nodes are given, which is a
        place or a kind rather than many words.
      train: whether dropout draws.
      residual: what a hidden layer reads is added to what it says, by a linear map
        ``residual_0`` and so on where their features differ (He et al., 2015).
      jump: "concatenate" or "max" has a dense head read all hidden layers, the latter if they are
        equally wide; "" has the last layer on the graph be the head.
      norm: in front of each activation: "batch", "graph", "layer" or "" for none.
      head: the last layer on the graph; None for ``layer``'s.
      pool: of `GraphPool`: a dense head reads what each of several graphs is pooled to, and not a
        node; "" of nodes.
      sizes: (graphs,) the nodes of each graph, where ``x`` is of `jaxdl.ops.pack_graphs`; None of
        one graph whose nodes are named.
      dtype: of the computation.
      only: the one layer to be computed, counted from 0, the head being the last: a graph that is
        too large for all of them goes through one after the other. x is what the layer before it
        told; of a head that reads all layers, what each of them did.

    Returns:
      (nodes, num_classes), of as many nodes as the last layer tells of, or (graphs, num_classes),
      in at least float32; of one layer what it tells.

    Raises:
      UserError: no such norm, jump or pool, one of ``pool`` and ``sizes`` without the other, or
        the maximum of layers that are not equally wide.
    """
    normalise, joined = choose("norm", norm, _NORMS), choose("jump", jump, _JUMPS)
    if bool(pool) != (sizes is not None):
        raise UserError(
            f"model.pool={pool!r} must be set where whole graphs are classified, and only there"
        )
    members = None if sizes is None else ops.members_of(sizes, len(x))
    each = []
    for i, features in enumerate(hidden):
        if only not in (None, i):
            continue
        given = i == 0 and members is not None
        dropped = x if given else Dropout(dropout)(x, train=train)
        new = layer(features, f"conv_{i}")(dropped)
        new = normalise(new, members, train, dtype, f"norm_{i}")
        if residual:
            dropped = dropped[: len(new)]
            if dropped.shape != new.shape:
                how = dict(use_bias=False, dtype=dtype, name=f"residual_{i}")
                dropped = Dense(new.shape[-1], **how)(dropped)
            new += dropped.astype(new.dtype)
        x = activation(new)
        each.append(x)
    if only is not None:
        if only < len(hidden):
            return x
        each = [*x] if jump else [x]
    each = [told[: len(each[-1])] for told in each]
    if jump == "max" and len({x.shape for x in each}) > 1:
        widths = ", ".join(str(x.shape[-1]) for x in each)
        raise UserError(f'jump="max" needs hidden layers of one width, not of {widths} features')
    x = joined(each) if each else x
    if members is not None:
        x = GraphPool(pool, dtype=dtype, name="pool")(x, members)
    x = Dropout(dropout)(x, train=train)
    if jump or members is not None:
        return Dense(num_classes, dtype=dtype, wide=True, name="head")(x)
    return ops.widen((head or layer(num_classes, "head"))(x))
