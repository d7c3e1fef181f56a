"""Low-rank adaptation (Hu et al., 2021, "LoRA", section 4.1): matrices learn a change of few ranks.

A kernel W (in, out) stays as it is, and ``W + (α / r) A B`` computes, with A (in, r) drawn and B
(r, out) zeros at first. What learns is A and B, and whole what is new, such as a head. Parameters
are what they would be without, once they are `merged`: nothing else knows of it.
"""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxdl import keys
from jaxdl.errors import UserError
from jaxdl.optim.chain import matching
from jaxdl.trees import path_name

_DOWN, _UP = "lora_a", "lora_b"


class Adapted(NamedTuple):
    """What does not learn.

    Attributes:
      params: as the run began.
      scale: α / r, float32.
    """

    params: Any
    scale: jax.Array


# What an encoder-decoder says beside its logits, by a layer that is new in each run.
_NEW = "^score/"


class Settings(NamedTuple):
    """Of ``config.lora``.

    Attributes:
      rank: r; 0 is off.
      alpha: α.
      layers: regular expressions of names of layers whose kernels are adapted.
      whole: of names of parameters that learn as they are; they may match none. A value or a
        reward that an encoder-decoder has beside its logits always does: no checkpoint has it.
    """

    rank: int = 0
    alpha: float = 16.0
    layers: Sequence[str] = ()
    whole: Sequence[str] = ()


def begin(params: Any, key: jax.Array, settings: Settings) -> tuple[dict[str, Any], Adapted]:
    """What learns, and what does not.

    Args:
      params: a module's, nested dicts.
      key: of A, whose entries are uniform with variance 1 / (3 in), as in the authors' code.
      settings: with a rank of 1 at least.

    Returns:
      (the parameters that learn, as a module's tree in which adapted layers have ``lora_a`` and
      ``lora_b``; what is to be kept beside them).

    Raises:
      UserError: a pattern matches no layer with a dense kernel, or the rank is more than one has.
    """
    chosen = jax.tree.leaves(matching(params, settings.layers, "config.lora.layers"))
    found: dict[str, Any] = {}
    adapted = 0
    for i, (path, leaf) in enumerate(jax.tree_util.tree_leaves_with_path(params)):
        name = path_name(path)
        names = name.split("/")
        if any(re.search(pattern, name) for pattern in (*settings.whole, _NEW)):
            _put(found, names, leaf)
            continue
        is_kernel = names[-1] == "kernel" and leaf.ndim in (2, 3)
        if not (is_kernel and chosen[i]):
            continue
        sizes = _sizes(name, leaf.shape)
        if settings.rank > min(sizes):
            raise UserError(
                f"config.lora.rank={settings.rank}: {name} is of {sizes[0]} x {sizes[1]}, which "
                f"has no more than {min(sizes)}"
            )
        bound = 1 / math.sqrt(sizes[0])
        shape = (sizes[0], settings.rank)
        own = jax.random.fold_in(keys.named(key, "lora"), i)
        down = jax.random.uniform(own, shape, jnp.float32, -bound, bound)
        _put(found, [*names[:-1], _DOWN], down)
        _put(found, [*names[:-1], _UP], jnp.zeros((settings.rank, sizes[1]), jnp.float32))
        adapted += 1
    if not adapted:
        raise UserError(f"config.lora.layers={tuple(settings.layers)}: none has a dense kernel")
    scale = jnp.asarray(settings.alpha / settings.rank, jnp.float32)
    return found, Adapted(params, scale)


def merged(adapted: Adapted | None, params: Any) -> Any:
    """The parameters that compute: ``params`` themselves where nothing is adapted."""
    if adapted is None:
        return params

    def one(path: tuple, leaf: jax.Array) -> jax.Array:
        names = path_name(path).split("/")
        layer = _get(params, names[:-1])
        if layer is None:
            return leaf
        if names[-1] in layer:
            return layer[names[-1]]
        if names[-1] != "kernel" or _DOWN not in layer:
            return leaf
        change = layer[_DOWN] @ layer[_UP]
        return leaf + adapted.scale * change.reshape(leaf.shape)

    return jax.tree_util.tree_map_with_path(one, adapted.params)


def _sizes(name: str, shape: tuple[int, ...]) -> tuple[int, int]:
    """Features that a kernel takes and gives: attention's have an axis of heads of their own."""
    given = shape[:-1] if name.endswith("out/kernel") else shape[:1]
    return math.prod(given), math.prod(shape) // math.prod(given)


def _put(tree: dict[str, Any], names: Sequence[str], leaf: Any) -> None:
    for name in names[:-1]:
        tree = tree.setdefault(name, {})
    tree[names[-1]] = leaf


def _get(tree: Mapping[str, Any], names: Sequence[str]) -> Mapping[str, Any] | None:
    for name in names:
        tree = tree.get(name)
        if tree is None:
            return None
    return tree
