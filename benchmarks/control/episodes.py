"""Greedy episodes in gymnasium's CartPole-v1: whether a side holds what it stopped at.

    python -m benchmarks.control.episodes ACTOR.npz

ACTOR.npz, of `benchmarks.control.ours`, has kernel_0, bias_0 and so on: layers with tanh between
them, and the last one's largest output is the action. Needs gymnasium and NumPy alone. Prints
{"mean_return": number}.
"""

import json
import sys
from collections.abc import Callable, Mapping

import numpy as np

from benchmarks.control import settings

# From an observation (4,) to an action.
Act = Callable[[np.ndarray], int]


def mean_return(act: Act, episodes: int = settings.EPISODES) -> float:
    """Of episodes from the starts of settings.FIRST_SEED on."""
    import gymnasium

    environment, total = gymnasium.make(settings.ENVIRONMENT), 0.0
    for i in range(episodes):
        observation, _ = environment.reset(seed=settings.FIRST_SEED + i)
        done = False
        while not done:
            observation, reward, ended, cut, _ = environment.step(act(observation))
            total += float(reward)
            done = ended or cut
    return total / episodes


def actor(arrays: Mapping[str, np.ndarray]) -> Act:
    """What the layers of ACTOR.npz do."""
    count = sum(name.startswith("kernel_") for name in arrays)
    layers = [(arrays[f"kernel_{i}"], arrays[f"bias_{i}"]) for i in range(count)]

    def act(observation: np.ndarray) -> int:
        x = observation
        for kernel, bias in layers[:-1]:
            x = np.tanh(x @ kernel + bias)
        kernel, bias = layers[-1]
        return int(np.argmax(x @ kernel + bias))

    return act


if __name__ == "__main__":
    print(json.dumps({"mean_return": mean_return(actor(dict(np.load(sys.argv[1]))))}))
