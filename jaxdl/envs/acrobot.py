"""Two links that hang from a joint, to be swung above a line: Acrobot-v1.

State (4,): the angle of the first link from hanging down, that of the second from the first [rad],
their velocities [rad/s]. Observation (6,): cosine and sine of both angles, both velocities.
Actions: a torque of -1, 0 or 1 N m at the joint between the links. Reward -1 a step, 0 at the last;
it ends when the tip is one link's length above the joint. The equations are those of Sutton and
Barto (Reinforcement Learning, 1998, section 11.3): one Runge-Kutta step of fourth order a 200 ms.
"""

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl.envs import Environment, register
from jaxdl.envs.angles import wrap

GRAVITY = 9.8  # m/s²
SECONDS = 0.2
FASTEST = np.array([4 * np.pi, 9 * np.pi])  # rad/s
# Both links: 1 kg, 1 m, centre of mass in the middle, moment of inertia 1 kg m².
MIDDLE = 0.5


def _derivative(state: jax.Array, torque: jax.Array) -> jax.Array:
    angle_1, angle_2, spin_1, spin_2 = state
    cos_2, sin_2 = jnp.cos(angle_2), jnp.sin(angle_2)
    d1 = MIDDLE**2 + 1 + MIDDLE**2 + 2 * MIDDLE * cos_2 + 2
    d2 = MIDDLE**2 + MIDDLE * cos_2 + 1
    phi_2 = MIDDLE * GRAVITY * jnp.sin(angle_1 + angle_2)
    phi_1 = (
        -MIDDLE * (spin_2**2 + 2 * spin_2 * spin_1) * sin_2
        + (MIDDLE + 1) * GRAVITY * jnp.sin(angle_1)
        + phi_2
    )
    up_2 = (torque + d2 / d1 * phi_1 - MIDDLE * spin_1**2 * sin_2 - phi_2) / (
        MIDDLE**2 + 1 - d2**2 / d1
    )
    up_1 = -(d2 * up_2 + phi_1) / d1
    return jnp.stack([spin_1, spin_2, up_1, up_2])


def _observe(state: jax.Array) -> jax.Array:
    cos, sin = jnp.cos(state[:2]), jnp.sin(state[:2])
    return jnp.stack([cos[0], sin[0], cos[1], sin[1], state[2], state[3]])


@register("acrobot")
def acrobot() -> Environment:
    """Acrobot-v1, 500 steps long at most."""

    def reset(key):
        state = jax.random.uniform(key, (4,), jnp.float32, minval=-0.1, maxval=0.1)
        return state, _observe(state)

    def step(state, action):
        slope = lambda at: _derivative(at, action.astype(state.dtype) - 1)
        k1 = slope(state)
        k2 = slope(state + SECONDS / 2 * k1)
        k3 = slope(state + SECONDS / 2 * k2)
        k4 = slope(state + SECONDS * k3)
        state = state + SECONDS / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        fastest = jnp.asarray(FASTEST, state.dtype)
        state = jnp.concatenate([wrap(state[:2]), jnp.clip(state[2:], -fastest, fastest)])
        above = -jnp.cos(state[0]) - jnp.cos(state[0] + state[1]) > 1
        return state, _observe(state), jnp.where(above, 0.0, -1.0).astype(jnp.float32), above

    def draw(axes, state):
        angle_1, angle_2 = state[0], state[0] + state[1]
        x = np.cumsum([0, np.sin(angle_1), np.sin(angle_2)])
        y = np.cumsum([0, -np.cos(angle_1), -np.cos(angle_2)])
        axes.plot([-2.2, 2.2], [1, 1], color="0.6", linewidth=1)
        axes.plot(x, y, color="tab:orange", linewidth=3, marker="o", markersize=4)
        axes.set(xlim=(-2.2, 2.2), ylim=(-2.2, 2.2), aspect="equal")

    return Environment(
        reset, step, draw, observation_size=6, max_steps=500, actions=3, gymnasium="Acrobot-v1"
    )
