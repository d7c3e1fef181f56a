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
from jaxdl.layers.normalization import BatchNorm, LayerNorm
from jaxdl.registry import choose

_NORMS: dict[str, Callable[[bool, Any, str], Any]] = {
    "": lambda train, dtype, name: lambda x: x,
    "batch": lambda train, dtype, name: BatchNorm(not train, dtype=dtype, name=name),
    "graph": lambda train, dtype, name: GraphNorm(dtype=dtype, name=name),
    "layer": lambda train, dtype, name: LayerNorm(epsilon=1e-5, dtype=dtype, name=name),
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
      dropout: rate in front of every layer.
      train: whether dropout draws.
      residual: what a hidden layer reads is added to what it says, by a linear map
        ``residual_0`` and so on where their features differ (He et al., 2015).
      jump: "concatenate" or "max" has a dense head read all hidden layers, the latter if they are
        equally wide; "" has the last layer on the graph be the head.
      norm: in front of each activation: "batch", "graph", "layer" or "" for none.
      head: the last layer on the graph; None for ``layer``'s.
      dtype: of the computation.
      only: the one layer to be computed, counted from 0, the head being the last: a graph that is
        too large for all of them goes through one after the other. x is what the layer before it
        told; of a head that reads all layers, what each of them did.

    Returns:
      (nodes, num_classes), in at least float32, of as many nodes as the last layer tells of; of one
      layer what it tells.

    Raises:
      UserError: no such norm or jump, or the maximum of layers that are not equally wide.
    """
    make_norm, joined = choose("norm", norm, _NORMS), choose("jump", jump, _JUMPS)
    each = []
    for i, features in enumerate(hidden):
        if only not in (None, i):
            continue
        dropped = Dropout(dropout)(x, train=train)
        new = make_norm(train, dtype, f"norm_{i}")(layer(features, f"conv_{i}")(dropped))
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
    x = Dropout(dropout)(joined(each) if each else x, train=train)
    if jump:
        return Dense(num_classes, dtype=dtype, wide=True, name="head")(x)
    return ops.widen((head or layer(num_classes, "head"))(x))
