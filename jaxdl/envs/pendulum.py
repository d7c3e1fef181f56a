"""A pendulum with a weak motor, to be swung up and held: Pendulum-v1.

State (2,): angle from upright [rad], not wrapped, and its velocity [rad/s]. Observation (3,):
cosine and sine of the angle, velocity. Action (1,): a torque within ±2 N m. The reward of a step
is -(angle² + 0.1 velocity² + 0.001 torque²), of the state before it, with the angle in [-π, π).
It never ends of itself. A rod of 1 kg and 1 m, g = 10 m/s², in semi-implicit Euler steps of 50 ms.
"""

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl.envs import Environment, register
from jaxdl.envs.angles import wrap

GRAVITY = 10.0  # m/s²
SECONDS = 0.05
FASTEST = 8.0  # rad/s
STRONGEST = 2.0  # N m


def _observe(state: jax.Array) -> jax.Array:
    return jnp.stack([jnp.cos(state[0]), jnp.sin(state[0]), state[1]])


@register("pendulum")
def pendulum() -> Environment:
    """Pendulum-v1, 200 steps long always."""

    def reset(key):
        most = jnp.array([jnp.pi, 1.0], jnp.float32)
        state = jax.random.uniform(key, (2,), jnp.float32, minval=-most, maxval=most)
        return state, _observe(state)

    def step(state, action):
        angle, speed = state
        torque = jnp.clip(action[0], -STRONGEST, STRONGEST)
        cost = wrap(angle) ** 2 + 0.1 * speed**2 + 0.001 * torque**2
        # A rod's moment of inertia about its end is a third of mass times length squared.
        speed = speed + (1.5 * GRAVITY * jnp.sin(angle) + 3 * torque) * SECONDS
        speed = jnp.clip(speed, -FASTEST, FASTEST)
        state = jnp.stack([angle + speed * SECONDS, speed])
        return state, _observe(state), -cost, jnp.bool_(False)

    def draw(axes, state):
        tip = (np.sin(state[0]), np.cos(state[0]))
        axes.plot([0, tip[0]], [0, tip[1]], color="tab:orange", linewidth=4)
        axes.plot([0], [0], color="0.3", marker="o", markersize=5)
        axes.set(xlim=(-1.2, 1.2), ylim=(-1.2, 1.2), aspect="equal")

    return Environment(
        reset, step, draw, observation_size=3, max_steps=200,
        action_size=1, action_low=-STRONGEST, action_high=STRONGEST, gymnasium="Pendulum-v1",
    )  # fmt: skip
