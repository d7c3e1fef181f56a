"""Where agents act: environments as pure functions of one instance; `jax.vmap` makes many.

>>> env = create("cartpole")
>>> state, observation = env.reset(jax.random.key(0))
>>> state, observation, reward, terminated = env.step(state, jnp.int32(1))
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxdl.registry import Registry

_registry = Registry("environment", "jaxdl.envs")
register = _registry.register
names = _registry.names


class Environment(NamedTuple):
    """One environment. Nothing in it knows of time limits: `jaxdl.envs.vectorised` keeps them.

    Attributes:
      reset: (key) -> (state, observation), a start drawn from the key.
      step: (state, action) -> (state, observation, reward, terminated); no randomness. The action
        is an int32 scalar in [0, actions) or float32 (action_size,), which is clipped to its
        bounds; the reward is a float32 scalar; terminated, a bool scalar, tells that the state is
        an end by the rules of the task, not by the clock.
      draw: (axes, state) paints one frame on matplotlib axes; the state is of NumPy arrays.
      observation_size: of an observation, float32 (observation_size,).
      max_steps: after so many steps an episode is cut off.
      actions: how many discrete actions there are, or None.
      action_size: numbers in a continuous action, or None.
      action_low: the least of each.
      action_high: the most of each.
      gymnasium: the name of gymnasium's environment that it equals, or None.
    """

    reset: Callable[[jax.Array], tuple[Any, jax.Array]]
    step: Callable[[Any, jax.Array], tuple[Any, jax.Array, jax.Array, jax.Array]]
    draw: Callable[[Any, Any], None]
    observation_size: int
    max_steps: int
    actions: int | None = None
    action_size: int | None = None
    action_low: float = -1.0
    action_high: float = 1.0
    gymnasium: str | None = None

    def from_units(self, action: jax.Array) -> jax.Array:
        """Continuous actions from units of their range, -1 to 1 and clipped; others as they are."""
        if self.actions:
            return action
        return self.action_low + (jnp.clip(action, -1, 1) + 1) / 2 * (
            self.action_high - self.action_low
        )


def create(name: str) -> Environment:
    """The environment called ``name``.

    Raises:
      UserError: there is none; the nearest are named.
    """
    return _registry.get(name)()
