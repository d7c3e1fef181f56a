"""Which matrix a parameter is: how many numbers go into each of a layer's units."""

import math
import re
from typing import Any

import jax

from jaxdl.trees import path_name

# (width, heads, head_dim): the units are behind the first axis. Elsewhere the last one has them.
_SPLIT = re.compile(r"(^|/)(query|key|value)/kernel$")
# No map from some features to others, however many axes there are.
_NO_MAP = re.compile(r"(embedding|bias|scale|table|token)$")


def inputs(name: str, shape: tuple[int, ...]) -> int:
    """How many axes, from the first on, a unit sums over: those of a kernel's rows.

    A convolution's are all but the last, of an image (k, k, c, features) or along time (k, c,
    features); attention's kernels are (width, heads, head_dim) going in and (heads, head_dim,
    width) coming out. A bias is one unit.
    """
    if len(shape) < 2 or name.rpartition("/")[2] == "bias":
        return len(shape)
    return 1 if _SPLIT.search(name) and len(shape) == 3 else len(shape) - 1


def is_map(name: str, shape: tuple[int, ...]) -> bool:
    """Whether a layer multiplies by it: not what is looked up or added."""
    return len(shape) > 1 and not _NO_MAP.search(name)


def as_matrices(params: Any) -> Any:
    """Each parameter with its units in columns: (inputs, units), or (inputs,) of one unit."""

    def matrix(path: Any, x: jax.Array) -> jax.Array:
        rows = inputs(path_name(path), x.shape)
        return x.reshape(-1) if rows == x.ndim else x.reshape(math.prod(x.shape[:rows]), -1)

    return jax.tree.map_with_path(matrix, params)
