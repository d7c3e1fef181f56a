"""Optimizer chains, and learning rates over time."""

from jaxdl.optim.chain import (
    create,
    decay_mask,
    group_factors,
    layer_factors,
    matching,
    names,
)

__all__ = [
    "create",
    "decay_mask",
    "group_factors",
    "layer_factors",
    "matching",
    "names",
]
