"""At least float32, for what loses too many digits in less: statistics, sums, logits and losses."""

from typing import Any

import jax
import jax.numpy as jnp


def wide_dtype(dtype: Any) -> jnp.dtype:
    """float32, or ``dtype`` itself where that holds more."""
    dtype = jax.dtypes.canonicalize_dtype(dtype)
    holds_more = jnp.issubdtype(dtype, jnp.floating) and dtype.itemsize > 4
    return dtype if holds_more else jnp.dtype(jnp.float32)


def widen(x: jax.Array) -> jax.Array:
    """``x``, of any shape, in at least float32."""
    return x.astype(wide_dtype(x.dtype))
