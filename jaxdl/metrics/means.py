"""Metrics that add up: (sum, weight) pairs, divided once, at the very end.

A mean of means over unequal batches is wrong; a sum over a weight is right however the examples
were cut into microbatches, devices, hosts and steps.
"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl.ops.wide import wide_dtype


class Mean(NamedTuple):
    """A weighted sum and its weight.

    Attributes:
      total: Σ w x, float32, any shape; float64 of what is.
      weight: Σ w, in the same dtype, a scalar.
    """

    total: jax.Array
    weight: jax.Array

    @classmethod
    def of(cls, values: jax.Array, weights: jax.Array | None = None) -> "Mean":
        """Of one value an example: ``values`` (batch,), ``weights`` (batch,) or None for ones."""
        values = jnp.asarray(values, wide_dtype(values.dtype))
        if weights is None:
            return cls(values.sum(), jnp.asarray(values.size, values.dtype))
        weights = weights.astype(values.dtype)
        # A padded example's value may be anything, NaN too: it is left out, not multiplied by 0.
        return cls(jnp.where(weights > 0, values * weights, 0).sum(), weights.sum())

    @classmethod
    def once(cls, value: jax.Array) -> "Mean":
        """Of a figure that a step has one of: a norm, a learning rate."""
        value = jnp.asarray(value)
        # A weak type, of Python's numbers and of arithmetic with nothing else, says nothing.
        value = value.astype(jnp.float32 if value.weak_type else wide_dtype(value.dtype))
        return cls(value, jnp.ones((), value.dtype))


Metrics = Mapping[str, Mean]


def add(a: Metrics, b: Metrics) -> Metrics:
    """The metrics of both together; same names and shapes."""
    return jax.tree.map(jnp.add, a, b)


def zeros(like: Metrics) -> Metrics:
    """Metrics of nothing yet, in the shapes and dtypes of ``like`` (abstract arrays will do)."""
    return jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), like)


def divide(metrics: Metrics) -> dict[str, float | list[float]]:
    """Each sum over its weight, on the host: a float, or a list for a vector; NaN over 0.

    The weights of a population have an axis of members, as the sums have in front.
    """
    result = {}
    for name, pair in metrics.items():
        total, weight = np.asarray(pair.total, np.float64), np.asarray(pair.weight, np.float64)
        weight = weight.reshape(weight.shape + (1,) * (total.ndim - weight.ndim))
        value = np.divide(total, weight, out=np.full_like(total, np.nan), where=weight != 0)
        result[name] = value.tolist() if value.ndim else float(value)
    return result


def medians(figures: Mapping[str, Any]) -> dict[str, float]:
    """The median over members of each figure that is a list of numbers; NaN where none is finite.

    Members without one (NaN or None, as of a member that has stopped) are left out.
    """
    result = {}
    for name, values in figures.items():
        found = np.asarray(values, np.float64)
        found = found[np.isfinite(found)] if found.ndim == 1 else np.array([])
        result[name] = float(np.median(found)) if found.size else math.nan
    return result
