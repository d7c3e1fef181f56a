"""Floating-point operations of the products and convolutions in a jaxpr.

XLA's own analysis counts the body of a loop once, however often it runs.
"""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr


class Products(NamedTuple):
    """Floating-point operations of products and convolutions, a multiplication and an addition 2.

    Attributes:
      full: with the body of every `scan` as often as it runs.
      once: with the body of every loop once, as XLA's analysis has it.
    """

    full: float
    once: float


def count(jaxpr: Jaxpr | ClosedJaxpr, dtype: Any = None) -> Products:
    """Counts the products of a program; given a ``dtype``, those of two arrays of it.

    A `while` loop counts once in both figures, since its length is not known, and of the branches
    of a `cond` the cheapest counts. Of an operation with a form a platform (`jaxdl.ops.forms`) it
    is the reference, whatever the forms save. What a custom kernel does inside is not seen.
    """
    full = once = 0.0
    for eqn in getattr(jaxpr, "jaxpr", jaxpr).eqns:
        name = eqn.primitive.name
        if name in _PRODUCTS:
            counts = dtype is None or all(v.aval.dtype == dtype for v in eqn.invars)
            found = Products(*[_PRODUCTS[name](eqn) if counts else 0.0] * 2)
        elif name == "cond":
            found = min((count(branch, dtype) for branch in _branches(eqn)), default=(0, 0))
        else:
            inner = [count(sub, dtype) for sub in _inside(eqn.params)]
            times = eqn.params["length"] if name == "scan" else 1
            found = Products(times * sum(x.full for x in inner), sum(x.once for x in inner))
        full, once = full + found[0], once + found[1]
    return Products(full, once)


def _branches(eqn: Any) -> tuple[ClosedJaxpr, ...]:
    """All branches; of one form a platform the reference, which computes what is written."""
    branches, platforms = eqn.params["branches"], eqn.params.get("branches_platforms")
    if platforms is None:
        return branches
    return tuple(branch for branch, own in zip(branches, platforms, strict=True) if own is None)


def _inside(params: dict[str, Any]) -> Iterator[Jaxpr | ClosedJaxpr]:
    for value in params.values():
        for item in value if isinstance(value, tuple | list) else (value,):
            if isinstance(item, Jaxpr | ClosedJaxpr):
                yield item


def _dot(eqn: Any) -> float:
    (contracted, _), _ = eqn.params["dimension_numbers"]
    depth = math.prod(eqn.invars[0].aval.shape[i] for i in contracted)
    return 2.0 * depth * eqn.outvars[0].aval.size


def _convolution(eqn: Any) -> float:
    """Pairs of a kernel tap and an element under it; padding and the zeros of dilation are free."""
    p, (x, kernel), out = eqn.params, (v.aval.shape for v in eqn.invars), eqn.outvars[0].aval
    numbers = p["dimension_numbers"]
    taps = 1.0
    for i, at in enumerate(numbers.lhs_spec[2:]):
        o = np.arange(out.shape[numbers.out_spec[2 + i]])[:, None]
        k = np.arange(kernel[numbers.rhs_spec[2 + i]])
        place = o * p["window_strides"][i] + k * p["rhs_dilation"][i] - p["padding"][i][0]
        last = (x[at] - 1) * p["lhs_dilation"][i]
        taps *= ((place >= 0) & (place <= last) & (place % p["lhs_dilation"][i] == 0)).sum()
    features = out.shape[numbers.out_spec[0]] * out.shape[numbers.out_spec[1]]
    return 2.0 * taps * features * kernel[numbers.rhs_spec[1]] / p["batch_group_count"]


_PRODUCTS = {"dot_general": _dot, "conv_general_dilated": _convolution}
