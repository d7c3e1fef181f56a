"""The names of a pytree's leaves."""

from collections.abc import Sequence
from typing import Any

import jax


def path_name(path: Sequence[Any]) -> str:
    """A leaf's place in a pytree as text: ``block_0/attention/query/kernel``."""
    return jax.tree_util.keystr(path, simple=True, separator="/")


def leaf_names(tree: Any) -> list[str]:
    """The names of all leaves, in the tree's order."""
    return [path_name(path) for path, _ in jax.tree_util.tree_leaves_with_path(tree)]
