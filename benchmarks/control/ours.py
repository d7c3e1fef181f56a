"""What our run came to: its actor for `benchmarks.control.episodes`, and our own episodes.

    python -m benchmarks.control.ours SIDE WORKDIR ACTOR.npz

Prints {"mean_return": of 100 greedy episodes of jaxdl's CartPole, from starts that the run has not
seen, "step": of its best checkpoint}.
"""

import json
import sys

import jax
import numpy as np
from etils import epath

from experiments import a2c, ppo
from jaxdl import experiment, keys
from jaxdl.runs import workdir
from jaxdl.train import evaluate


def main(side: str, folder: str, file: str) -> None:
    """Writes ``file`` of the best checkpoint in ``folder``."""
    config = {"ours": ppo, "a2c": a2c}[side].get_config("cartpole")
    workdir.adopt(epath.Path(folder), config)
    made = experiment.create(config)
    step, state = evaluate.best_state(made, epath.Path(folder))
    params = jax.device_get(state.learner.best_variables["params"])
    names = [f"policy_{i}" for i in range(len(config.model.hidden))] + ["policy_head"]
    arrays = {}
    for i, name in enumerate(names):
        arrays |= {f"{part}_{i}": np.asarray(params[name][part]) for part in ("kernel", "bias")}
    np.savez(file, **arrays)
    found = made.task.score(state, None, keys.named(made.key, "afterwards"))
    print(json.dumps({**found, "step": step}))


if __name__ == "__main__":
    main(*sys.argv[1:])
