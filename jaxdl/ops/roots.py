"""Roots that have a slope everywhere, for norms and distances that may be 0."""

import jax
import jax.numpy as jnp


def safe_sqrt(x: jax.Array, above: float = 0.0) -> jax.Array:
    """``√x`` where x > ``above``, and elsewhere 0, of slope 0.

    At 0 the root has no derivative: autodiff gives inf there, and NaN behind a factor of 0. Zero is
    the subgradient of least norm of a length at 0, so that two vectors that lie together do not
    move each other.

    Args:
      x: of any shape, floating; what is negative counts as 0.
      above: at least 0, such as what rounding leaves of a difference that should be 0.
    """
    inside = x > above
    return jnp.where(inside, jnp.sqrt(jnp.where(inside, x, 1)), 0)
