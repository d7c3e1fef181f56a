"""Environments of gymnax: inside the compiled step, as jaxdl's own are.

Their draws, of starts and of steps, come from a word of their own in the state, so that a run's
seed tells all of them. What gymnax calls ``terminated`` ends an episode; its time limit is
`jaxdl.envs.vectorised`'s, and so is every new start: gymnax's own ``step``, which begins anew by
itself, is not called.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl.envs import draws
from jaxdl.envs.environment import Environment
from jaxdl.envs.look import observed
from jaxdl.errors import UserError, nearest, one_line


class State(NamedTuple):
    """Of one environment.

    Attributes:
      own: gymnax's.
      words: of the draws to come, (2,) uint32.
      observation: of this state, float32, in gymnax's shape.
    """

    own: Any
    words: jax.Array
    observation: jax.Array


def create(name: str) -> Environment:
    """The environment that gymnax calls ``name``, with its default parameters.

    Observations are laid out in a row, numbers of a `Discrete` space as one of n.

    Raises:
      UserError: gymnax is not installed, has no such environment or cannot make it, or its actions
        or observations are of another kind than numbers.
    """
    theirs, params = _made(name)
    observe, size = _observing(name, theirs.observation_space(params))
    actions = _actions(name, theirs.action_space(params))

    def reset(key: jax.Array) -> tuple[State, jax.Array]:
        first, later = jax.random.split(key)
        seen, own = theirs.reset_env(first, params)
        seen = observe(seen)
        return State(_strong(own), jax.random.bits(later, (2,), jnp.uint32), seen), seen.ravel()

    def step(state: State, action: jax.Array) -> tuple[State, jax.Array, jax.Array, jax.Array]:
        now, later = jax.random.split(draws.of_words(state.words))
        seen, own, reward, terminated, _ = theirs.step_env(now, state.own, action, params)
        seen = observe(seen)
        state = State(_strong(own), jax.random.bits(later, (2,), jnp.uint32), seen)
        return state, seen.ravel(), jnp.float32(reward), jnp.bool_(terminated)

    return Environment(
        reset,
        step,
        draw=lambda axes, state: observed(axes, state.observation),
        observation_size=size,
        max_steps=int(params.max_steps_in_episode),
        truncated=lambda state: jnp.bool_(theirs.is_truncated(state.own, params)),
        **actions,
    )


def _made(name: str) -> tuple[Any, Any]:
    try:
        import gymnax
    except ImportError as error:
        raise UserError(
            f"env='gymnax:{name}' needs {error.name}: pip install -e '.[gymnax]' (gymnax 1.0 takes "
            "jax below 0.12)"
        ) from error
    if name not in gymnax.registered_envs:
        raise UserError(
            f"unknown environment of gymnax {name!r}: {nearest(name, gymnax.registered_envs)}"
        )
    try:
        return gymnax.make(name)
    except Exception as error:  # a download, for one
        raise UserError(f"gymnax cannot make {name}: {one_line(error)}") from error


def _observing(name: str, space: Any) -> tuple[Callable[[Any], jax.Array], int]:
    """From gymnax's observations to float32 in their own shape, and how many numbers that are."""
    if hasattr(space, "n"):
        return lambda seen: jax.nn.one_hot(seen, space.n, dtype=jnp.float32), int(space.n)
    if hasattr(space, "low"):
        return lambda seen: jnp.asarray(seen, jnp.float32), math.prod(space.shape)
    raise UserError(
        f"gymnax's {name} shows {type(space).__name__}: only a Box or a Discrete is taken"
    )


def _actions(name: str, space: Any) -> dict[str, Any]:
    """What `Environment` says of its actions."""
    if hasattr(space, "n"):
        return dict(actions=int(space.n))
    if not hasattr(space, "low") or len(space.shape) != 1:
        raise UserError(
            f"gymnax's {name} takes {space!r}: only a Discrete, or a Box with one axis, is taken"
        )
    low, high = (np.broadcast_to(np.float32(x), space.shape) for x in (space.low, space.high))
    return dict(action_size=space.shape[0], action_low=low, action_high=high)


def _strong(tree: Any) -> Any:
    """Arrays whose dtype is theirs: states begin with Python's numbers, whose dtype may change."""
    of = lambda x: jax.lax.convert_element_type(x, jnp.asarray(x).dtype)
    return jax.tree.map(of, tree)
