"""Where attention looks: the weights that a model's layers give each place, collected and drawn."""

import re
from typing import Any

import jax
import numpy as np
from flax import linen as nn

from jaxdl.report import draw
from jaxdl.trees import path_name

# The most that a picture shows.
_LAYERS, _HEADS = 6, 8


def collect(module: nn.Module, variables: Any, *inputs: Any) -> dict[str, np.ndarray]:
    """The attention weights of every layer in one forward pass.

    Args:
      module: any; of its layers those count that are `jaxdl.layers.MultiHeadAttention`.
      variables: its own.
      *inputs: of its `__call__`.

    Returns:
      {"block_0/attention": (batch, heads, T, S), …} float32, by the numbers in the names; empty
      where nothing attends.
    """
    run = lambda variables, *inputs: module.apply(variables, *inputs, mutable=["intermediates"])
    if not jax.eval_shape(run, variables, *inputs)[1]:
        return {}  # without compiling what would find nothing
    _, kept = jax.jit(run)(variables, *inputs)
    found = {
        path_name(path[:-2]): np.asarray(leaf, np.float32)
        for path, leaf in jax.tree_util.tree_leaves_with_path(kept["intermediates"])
        if path_name(path[-2:-1]) == "weights"
    }
    number = lambda name: [int(x) if x.isdigit() else x for x in re.split(r"(\d+)", name)]
    return {name: found[name] for name in sorted(found, key=number)}


def picture(maps: dict[str, np.ndarray], caption: str = "") -> draw.Picture:
    """The maps of the first example, a row a layer and a column a head.

    Args:
      maps: of `collect`, at least one; the first heads of layers evenly spread are shown.
      caption: what was looked at.
    """
    names = list(maps)
    chosen = np.unique(np.linspace(0, len(names) - 1, _LAYERS).round().astype(int))
    heads = min(_HEADS, *(maps[names[i]].shape[1] for i in chosen))
    shown = [(names[i], head, maps[names[i]][0, head]) for i in chosen for head in range(heads)]
    return draw.image_grid(
        np.stack([weights / weights.max() for _, _, weights in shown])[..., None],
        [f"{name.removesuffix('/attention')}, head {head}" for name, head, _ in shown],
        f"{caption} A row of a map is a place, its columns are those it looks at; the darkest is "
        "the highest weight of the map.",
        columns=heads,
    )
