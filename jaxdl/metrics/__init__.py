"""Sums with weights, divided once, and figures of whole sets."""

from jaxdl.metrics.means import Mean, Metrics, add, divide, is_better, medians, rank, zeros

__all__ = ["Mean", "Metrics", "add", "divide", "is_better", "medians", "rank", "zeros"]
