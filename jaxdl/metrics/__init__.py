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
from jaxdl.metrics.means import Mean, Metrics, add, divide, medians, zeros

__all__ = [
    "DIRECTIONS",
    "HIGH",
    "LOW",
    "Mean",
    "Metrics",
    "add",
    "direction",
    "divide",
    "is_better",
    "medians",
    "need_direction",
    "rank",
    "zeros",
]
