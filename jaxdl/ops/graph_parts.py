"""A graph in parts, as many on each device: nodes, and with them the edges that arrive there.

What edges bring is added where it is wanted. From elsewhere come the rows of nodes alone, all at
once, and in the backward pass their sums go back the same way; no edge leaves its device.
"""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import PartitionSpec

from jaxdl.ops.mesh import BATCH_AXES, free_axes


def over_parts(compute: Callable[..., Any], everywhere: Any, *own: jax.Array) -> jax.Array:
    """``compute(everywhere, *(x[i] for x in own))`` of each part i, one beside the other.

    Args:
      compute: what is done with one part.
      everywhere: pytree of (rows, …), of the nodes of all parts, one part's after the other's.
      *own: (parts, …) each.

    Returns:
      (parts, …). On the devices of the mesh in force (`jax.set_mesh`), if there is one that divides
      them, each device computes its own parts.
    """
    each = jax.vmap(compute, in_axes=(None, *[0] * len(own)))
    mesh = jax.sharding.get_abstract_mesh()
    axes = tuple(name for name in free_axes(mesh) if name in BATCH_AXES)
    if not axes or len(own[0]) % math.prod(mesh.shape[name] for name in axes):
        return each(everywhere, *own)
    fetched = lambda x: lax.all_gather(x, axes, tiled=True)
    part = PartitionSpec(axes)
    # The check of what varies over which axis does not know derivatives that are written by hand.
    return jax.shard_map(
        lambda everywhere, *own: each(jax.tree.map(fetched, everywhere), *own),
        in_specs=part,
        out_specs=part,
        axis_names=set(axes),
        check_vma=False,
    )(everywhere, *own)


def joined(x: jax.Array) -> jax.Array:
    """(parts, nodes, …) as (parts · nodes, …)."""
    return x.reshape(-1, *x.shape[2:])


def places_in_parts(degrees: np.ndarray, parts: int) -> np.ndarray:
    """Where each node lies, so that all parts have as many nodes and, nearly, as many edges.

    They are dealt out from the one with most edges on, in turns that go back and forth.

    Args:
      degrees: (nodes,) how many edges arrive at each.
      parts: how many there are.

    Returns:
      (nodes,) integers: part p has the places from ``p · n`` on, n being nodes / parts, rounded up;
      the last of them may be empty.
    """
    turn, seat = np.divmod(np.arange(len(degrees)), parts)
    part = np.where(turn % 2, parts - 1 - seat, seat)
    found = np.empty(len(degrees), np.int64)
    found[np.argsort(-degrees, kind="stable")] = part * -(-len(degrees) // parts) + turn
    return found


def edges_in_parts(edges: Any, at: np.ndarray, parts: int, room: int = 1) -> Any:
    """A graph's edges by part; on the host.

    Args:
      edges: `jaxdl.ops.Edges` (edges,).
      at: (nodes,) of `places_in_parts`.
      parts: how many there are.
      room: edges of a part at least.

    Returns:
      `jaxdl.ops.Edges` (parts, edges): sources are places, targets count from the first of their
      part on, and one behind its last, of weight 0, fills up.
    """
    nodes = -(-len(at) // parts)
    columns = [np.asarray(x) for x in edges if x is not None]
    source, target = at[columns[0]], at[columns[1]]
    order = np.lexsort((source, target))
    ends = np.searchsorted(target[order], nodes * np.arange(parts + 1))
    most = max(int(np.diff(ends).max()), room)
    part, target = np.divmod(target, nodes)
    row = part[order], np.arange(len(order)) - ends[part[order]]

    def laid(column: np.ndarray, empty: float) -> jax.Array:
        made = np.full((parts, most, *column.shape[1:]), empty, column.dtype)
        made[row] = column[order]
        return jnp.asarray(made)

    numbers = (source.astype(np.int32), 0), (target.astype(np.int32), nodes)
    return type(edges)(
        *(laid(*each) for each in numbers), *(laid(column, 0) for column in columns[2:])
    )
