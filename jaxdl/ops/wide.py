"""At least float32, for what loses too many digits in less: statistics, sums, logits and losses."""

from typing import Any

import jax
import jax.numpy as jnp


def wide_dtype(dtype: Any) -> jnp.dtype:
    """float32, or ``dtype`` itself where that holds more."""
    return jnp.promote_types(dtype, jnp.float32)


def widen(x: jax.Array) -> jax.Array:
    """``x``, of any shape, in at least float32."""
    return x.astype(wide_dtype(x.dtype))
