"""Sums with weights, divided once, and figures of whole sets."""

from jaxdl.metrics.directions import (
    DIRECTIONS,
    HIGH,
    LOW,
    direction,
    is_better,
    need_direction,
    rank,
)
from jaxdl.metrics.means import Mean, Means, Metrics, add, divide, medians, names, zeros

__all__ = [
    "DIRECTIONS",
    "HIGH",
    "LOW",
    "Mean",
    "Means",
    "Metrics",
    "add",
    "direction",
    "divide",
    "is_better",
    "medians",
    "names",
    "need_direction",
    "rank",
    "zeros",
]
