"""Angles."""

import jax
import jax.numpy as jnp


def wrap(angle: jax.Array) -> jax.Array:
    """The same angle [rad] in [-π, π), any shape; one that is there already keeps every bit."""
    return angle - 2 * jnp.pi * jnp.floor((angle + jnp.pi) / (2 * jnp.pi))
