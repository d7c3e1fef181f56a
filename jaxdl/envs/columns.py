"""Environments by columns: each number of a state is an array of its own.

What XLA fuses on a CPU into one loop over environments it vectorises, but for arrays that are put
together of several: rows of numbers of different origin, as of a position and a speed, are written
one number at a time. So loops over steps carry columns, and rows are made where they are read.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxdl.envs import Environment

# Longer vectors stay whole: a column each would take long to compile.
LONGEST = 16


class Columns(NamedTuple):
    """A vector, or rows of them.

    Attributes:
      parts: its numbers, each (…).
    """

    parts: tuple[jax.Array, ...]


def of(tree: Any, axes: int = 1) -> Any:
    """``tree`` with Columns for vectors, which have ``axes`` axes in front; the rest as it is."""

    def split(x: jax.Array) -> Any:
        if x.ndim != axes + 1 or not 0 < x.shape[-1] <= LONGEST:
            return x
        return Columns(tuple(x[..., i] for i in range(x.shape[-1])))

    return jax.tree.map(split, tree)


def whole(tree: Any) -> Any:
    """``tree`` with vectors along a last axis for Columns."""
    is_columns = lambda x: isinstance(x, Columns)
    put = lambda x: jnp.stack(x.parts, axis=-1) if is_columns(x) else x
    return jax.tree.map(put, tree, is_leaf=is_columns)


def split(env: Environment) -> Environment:
    """The same environment with states and observations by columns; actions stay whole."""

    def step(state: Any, action: jax.Array) -> tuple[Any, Any, jax.Array, jax.Array]:
        state, observation, reward, terminated = env.step(whole(state), action)
        return *of((state, observation), 0), reward, terminated

    truncated, again = env.truncated, env.again
    return env._replace(
        reset=lambda key: of(env.reset(key), 0),
        step=step,
        truncated=truncated and (lambda state: truncated(whole(state))),
        again=again and (lambda state: of(again(whole(state)), 0)),
    )
