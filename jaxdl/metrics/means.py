"""Metrics that add up: (sum, weight) pairs, divided once, at the very end.

A mean of means over unequal batches is wrong; a sum over a weight is right however the examples
were cut into microbatches, devices, hosts and steps.
"""

import dataclasses
import functools
import math
from collections.abc import Iterator, Mapping, Sequence
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


@functools.partial(
    jax.tree_util.register_dataclass, data_fields=["total", "weight"], meta_fields=["names"]
)
@dataclasses.dataclass(frozen=True)
class Means:
    """Many figures of one weight, summed as one array: far fewer programs than as many `Mean`.

    Attributes:
      total: Σ w x, (n,) float32; with an axis of members in front in a population.
      weight: Σ w, float32, as `Mean`'s.
      names: the n figures' names, as they are logged; the one that the metric has is not.
    """

    total: jax.Array
    weight: jax.Array
    names: tuple[str, ...]

    @classmethod
    def once(cls, names: Sequence[str], values: jax.Array) -> "Means":
        """Of figures ``values`` (n,) that a step has one of each."""
        return cls(*Mean.once(values), tuple(names))


Metrics = Mapping[str, Mean | Means]


def names(metrics: Metrics) -> list[str]:
    """The figures' names, as `divide` gives them."""
    each = lambda name, pair: pair.names if isinstance(pair, Means) else (name,)
    return [figure for name, pair in metrics.items() for figure in each(name, pair)]


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
    for name, pair in _each(metrics):
        total, weight = np.asarray(pair.total, np.float64), np.asarray(pair.weight, np.float64)
        weight = weight.reshape(weight.shape + (1,) * (total.ndim - weight.ndim))
        value = np.divide(total, weight, out=np.full_like(total, np.nan), where=weight != 0)
        result[name] = value.tolist() if value.ndim else float(value)
    return result


def _each(metrics: Metrics) -> Iterator[tuple[str, Mean]]:
    for name, pair in metrics.items():
        if isinstance(pair, Means):
            yield from (
                (n, Mean(pair.total[..., i], pair.weight)) for i, n in enumerate(pair.names)
            )
        else:
            yield name, pair


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
