"""A car in a valley, too weak to drive straight up: MountainCar-v0.

State and observation (2,): position in [-1.2, 0.6], velocity in [-0.07, 0.07] a step. Actions: 0
drives left, 1 not at all, 2 right. Reward -1 a step; it ends at position 0.5, driving right. The
equations are those of Moore (1990) as Sutton and Barto have them (Reinforcement Learning, 1998,
example 8.2); the wall on the left takes all velocity.
"""

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl.envs import Environment, register

LEFT, RIGHT, GOAL = -1.2, 0.6, 0.5
FASTEST = 0.07
FORCE, GRAVITY = 0.001, 0.0025


@register("mountain_car")
def mountain_car() -> Environment:
    """MountainCar-v0, 200 steps long at most."""

    def reset(key):
        position = jax.random.uniform(key, (), jnp.float32, minval=-0.6, maxval=-0.4)
        state = jnp.stack([position, jnp.zeros_like(position)])
        return state, state

    def step(state, action):
        position, speed = state
        drive = (action.astype(state.dtype) - 1) * FORCE
        speed = jnp.clip(speed + drive - GRAVITY * jnp.cos(3 * position), -FASTEST, FASTEST)
        position = jnp.clip(position + speed, LEFT, RIGHT)
        speed = jnp.where((position <= LEFT) & (speed < 0), 0.0, speed)
        state = jnp.stack([position, speed])
        return state, state, jnp.float32(-1), (position >= GOAL) & (speed >= 0)

    def draw(axes, state):
        height = lambda x: 0.45 * np.sin(3 * x) + 0.55
        x = np.linspace(LEFT, RIGHT, 60)
        axes.plot(x, height(x), color="0.6", linewidth=1)
        axes.plot([GOAL], [height(GOAL) + 0.08], color="tab:green", marker="^", markersize=5)
        axes.plot(state[:1], height(state[:1]) + 0.04, color="tab:orange", marker="o")
        axes.set(xlim=(LEFT, RIGHT), ylim=(0, 1.2))

    return Environment(
        reset, step, draw, observation_size=2, max_steps=200, actions=3, gymnasium="MountainCar-v0"
    )
