"""A pole on a cart, to be kept upright: CartPole-v1.

State and observation (4,): position x [m], velocity [m/s], angle from upright θ [rad], its velocity
[rad/s]. Actions: 0 pushes left, 1 right, by 10 N. Reward 1 a step; it ends when the cart leaves
±2.4 m or the pole ±12°. The equations are those of Barto, Sutton and Anderson (1983) without
friction, corrected by Florian (2007), in Euler steps of 20 ms.
"""

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl.envs import Environment, register

GRAVITY = 9.8  # m/s²
POLE_MASS, TOTAL_MASS = 0.1, 1.1  # kg
HALF_LENGTH = 0.5  # m, of the pole
FORCE = 10.0  # N
SECONDS = 0.02
X_LIMIT, ANGLE_LIMIT = 2.4, np.deg2rad(12)


@register("cartpole")
def cartpole() -> Environment:
    """CartPole-v1, 500 steps long at most."""

    def reset(key):
        state = jax.random.uniform(key, (4,), jnp.float32, minval=-0.05, maxval=0.05)
        return state, state

    def step(state, action):
        x, speed, angle, spin = state
        push = jnp.where(action == 1, FORCE, -FORCE).astype(state.dtype)
        cos, sin = jnp.cos(angle), jnp.sin(angle)
        pushed = (push + POLE_MASS * HALF_LENGTH * spin**2 * sin) / TOTAL_MASS
        spin_up = (GRAVITY * sin - cos * pushed) / (
            HALF_LENGTH * (4 / 3 - POLE_MASS * cos**2 / TOTAL_MASS)
        )
        speed_up = pushed - POLE_MASS * HALF_LENGTH * spin_up * cos / TOTAL_MASS
        x, speed = x + SECONDS * speed, speed + SECONDS * speed_up
        angle, spin = angle + SECONDS * spin, spin + SECONDS * spin_up
        fallen = (jnp.abs(x) > X_LIMIT) | (jnp.abs(angle) > ANGLE_LIMIT)
        state = jnp.stack([x, speed, angle, spin])
        return state, state, jnp.float32(1), fallen

    def draw(axes, state):
        x, _, angle, _ = state
        axes.plot([-X_LIMIT, X_LIMIT], [0, 0], color="0.6", linewidth=1)
        axes.plot([x - 0.25, x + 0.25], [0, 0], color="tab:blue", linewidth=7)
        tip = (x + 2 * HALF_LENGTH * np.sin(angle), 2 * HALF_LENGTH * np.cos(angle))
        axes.plot([x, tip[0]], [0, tip[1]], color="tab:orange", linewidth=3)
        axes.set(xlim=(-X_LIMIT, X_LIMIT), ylim=(-1, 1.5))

    return Environment(
        reset, step, draw, observation_size=4, max_steps=500, actions=2, gymnasium="CartPole-v1"
    )
