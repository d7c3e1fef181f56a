"""Writes tables.npz: the transition tables of gymnasium's toy_text environments.

pip install gymnasium && python tests/golden/make_tables.py
"""

from pathlib import Path

import gymnasium
import numpy as np

WORLDS = {
    "cliff_walking": "CliffWalking-v1",
    "frozen_lake": "FrozenLake-v1",
    "frozen_lake_8x8": "FrozenLake8x8-v1",
    "taxi": "Taxi-v4",
}


def main():
    """Writes the file beside this one."""
    arrays = {}
    for name, identity in WORLDS.items():
        made = gymnasium.make(identity)
        table = made.unwrapped.P
        rows = [[table[s][a] for a in sorted(table[s])] for s in sorted(table)]
        # A terminal state of FrozenLake has one outcome where the others have three.
        most = max(len(outcomes) for row in rows for outcomes in row)
        padded = [[(list(o) + [(0.0, 0, 0.0, True)] * most)[:most] for o in row] for row in rows]
        for i, part in enumerate(("probability", "next_state", "reward", "terminal")):
            arrays[f"{name}/{part}"] = np.array([[[o[i] for o in a] for a in s] for s in padded])
        arrays[f"{name}/start"] = np.asarray(made.unwrapped.initial_state_distrib, np.float64)
        arrays[f"{name}/max_steps"] = np.array(made.spec.max_episode_steps or 0)
    arrays["gymnasium"] = np.array(gymnasium.__version__)
    np.savez_compressed(Path(__file__).with_name("tables.npz"), **arrays)


if __name__ == "__main__":
    main()
