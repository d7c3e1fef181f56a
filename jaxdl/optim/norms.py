"""Euclidean norms of pytrees, by leaf and by layer, in few programs.

A compiler on a CPU makes one program of each sum that stands by itself, and each takes it some
15 ms; of an EfficientNet's gradient there are two hundred. Vectors of one length are therefore
summed together, and so are gradient and update. Matrices are not: they would have to be copied.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl.trees import path_name


def squares(*trees: Any) -> jax.Array:
    """Σ x² of each leaf, in float32.

    Args:
      *trees: pytrees of arrays, all of one structure.

    Returns:
      (trees, leaves), the leaves in the tree's order.
    """
    leaves = jax.tree.leaves(trees)
    shape = len(trees), len(leaves) // len(trees)
    if not leaves:
        return jnp.zeros(shape, jnp.float32)
    together: dict[Any, list[int]] = {}
    for i, leaf in enumerate(leaves):
        together.setdefault(leaf.size if leaf.ndim < 2 else (i, leaf.shape), []).append(i)
    sums = [_sums([leaves[i] for i in group]) for group in together.values()]
    order = np.argsort([i for group in together.values() for i in group])
    return (
        jnp.concatenate(sums)
        .at[order]
        .get(mode="promise_in_bounds", unique_indices=True)
        .reshape(shape)
    )


def _sums(arrays: Sequence[jax.Array]) -> jax.Array:
    """Σ x² of arrays of one shape, vectors or one alone: (arrays,)."""
    # Squared when they are one array: before, it would be a program for each.
    together = jnp.stack([x.reshape(-1) for x in arrays]) if len(arrays) > 1 else arrays[0][None]
    wide = together.astype(jnp.float32)
    return jnp.square(wide).sum(tuple(range(1, wide.ndim)))


def by_layer(tree: Any, squared: jax.Array) -> tuple[list[str], jax.Array]:
    """The norm of each layer's leaves together, a layer being a leaf's parent in the tree.

    Args:
      tree: the pytree, or one of its structure.
      squared: (..., leaves) as of `squares`.

    Returns:
      ``block_0/attention/query``, … in the tree's order, a leaf at the top being its own layer;
      and their norms (..., layers), float32.
    """
    layers: dict[str, list[int]] = {}
    for i, (path, _) in enumerate(jax.tree_util.tree_leaves_with_path(tree)):
        layers.setdefault(path_name(path[:-1] or path), []).append(i)
    most = max(map(len, layers.values()), default=0)
    # Behind the leaves stands a zero, for layers that have fewer.
    zero = squared.shape[-1]
    places = np.array([own + [zero] * (most - len(own)) for own in layers.values()], np.int32)
    places = places.reshape(len(layers), most)
    padded = jnp.concatenate([squared, jnp.zeros((*squared.shape[:-1], 1), squared.dtype)], -1)
    each = padded.at[..., places].get(mode="promise_in_bounds")
    return list(layers), jnp.sqrt(each.sum(-1))
