"""Writes envs.npz: what Gymnasium's classic control does in 1000 steps, for tests/test_envs.py.

    pip install gymnasium==1.4.0
    python tests/golden/make_envs.py

Of each environment: the state before each step and after it (float64), the action, the
observation, the reward, and whether it terminated. Actions are random, four of five of them in
favour of what makes episodes end where chance alone would not. Every other episode begins anywhere
in the space of states, so that the walls and the limits of speed are met.
"""

from pathlib import Path

import gymnasium
import numpy as np

STEPS = 1000

# Name: (Gymnasium's name, bounds of a start anywhere, action that drives towards the end or None).
CASES = {
    "cartpole": ("CartPole-v1", [2.4, 3, 0.2, 3], None),
    "acrobot": ("Acrobot-v1", [3.14, 3.14, 12.5, 28], lambda s: 0 if s[2] > 0 else 2),
    "pendulum": ("Pendulum-v1", [3.14, 8], None),
    "mountain_car": ("MountainCar-v0", [0.6, 0.07], lambda s: 2 if s[1] >= 0 else 0),
}
CENTRE = {"mountain_car": [-0.6, 0.0]}


def case(name, rng):
    """{name: array} for one environment."""
    gym_name, bound, drive = CASES[name]
    env = gymnasium.make(gym_name)
    inner, limit = env.unwrapped, env.spec.max_episode_steps
    inner.action_space.seed(0)
    rows, episode, steps = [], 0, limit
    for _ in range(STEPS):
        if steps == limit:
            inner.reset(seed=episode)
            if episode % 2:
                centre = np.array(CENTRE.get(name, np.zeros(len(bound))))
                inner.state = centre + rng.uniform(-1, 1, len(bound)) * bound
            episode, steps = episode + 1, 0
        before = np.array(inner.state, np.float64)
        action = inner.action_space.sample()
        if drive is not None and rng.random() < 0.8:
            action = drive(before)
        observation, reward, terminated, _, _ = inner.step(action)
        after = np.array(inner.state, np.float64)
        rows.append((before, action, after, observation, reward, terminated))
        steps = limit if terminated else steps + 1
    fields = ("before", "action", "after", "observation", "reward", "terminated")
    return {
        f"{name}.{field}": np.array(column)
        for field, column in zip(fields, zip(*rows, strict=True), strict=True)
    }


def main():
    """Writes the file beside this one."""
    arrays = {}
    for name in CASES:
        arrays |= case(name, np.random.default_rng(0))
    path = Path(__file__).with_name("envs.npz")
    made_with = f"gymnasium {gymnasium.__version__}"
    np.savez_compressed(path, made_with=made_with, **arrays)


if __name__ == "__main__":
    main()
