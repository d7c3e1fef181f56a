"""What an environment is."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np


class Environment(NamedTuple):
    """One environment. Nothing in it need know of time limits: `jaxdl.envs.vectorised` keeps them.

    Attributes:
      reset: (key) -> (state, observation), a start drawn from the key.
      step: (state, action) -> (state, observation, reward, terminated); no randomness but by what
        the state holds. The action is an int32 scalar in [0, actions) or float32 (action_size,),
        which is clipped to its bounds; the reward is a float32 scalar; terminated, a bool scalar,
        tells that the state is an end by the rules of the task, not by the clock.
      draw: (axes, state) paints one frame on matplotlib axes; the state is of NumPy arrays.
      observation_size: of an observation, float32 (observation_size,).
      max_steps: after so many steps an episode is cut off.
      actions: how many discrete actions there are, or None.
      action_size: numbers in a continuous action, or None.
      action_low: the least of each, a number or (action_size,).
      action_high: the most of each, likewise.
      gymnasium: the name of gymnasium's environment that it equals, or None.
      truncated: (state) -> bool scalar, whether the environment itself cuts the episode off there,
        earlier than ``max_steps``; None if it never does.
      again: (state) -> (state, observation), the start that follows an episode's last state, where
        a start is too dear to be drawn at every step; None where ``reset`` draws it.
      name: which it was created by, for messages.
    """

    reset: Callable[[jax.Array], tuple[Any, jax.Array]]
    step: Callable[[Any, jax.Array], tuple[Any, jax.Array, jax.Array, jax.Array]]
    draw: Callable[[Any, Any], None]
    observation_size: int
    max_steps: int
    actions: int | None = None
    action_size: int | None = None
    action_low: float | np.ndarray = -1.0
    action_high: float | np.ndarray = 1.0
    gymnasium: str | None = None
    truncated: Callable[[Any], jax.Array] | None = None
    again: Callable[[Any], tuple[Any, jax.Array]] | None = None
    name: str = "of one's own"

    def from_units(self, action: jax.Array) -> jax.Array:
        """Continuous actions from units of their range, -1 to 1 and clipped; others as they are."""
        if self.actions:
            return action
        return self.action_low + (jnp.clip(action, -1, 1) + 1) / 2 * (
            self.action_high - self.action_low
        )
