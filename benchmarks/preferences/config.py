"""The runs of `benchmarks.preferences.rule` that are no variants of experiments/preferences.py."""

from benchmarks.workloads import ROOT
from jaxdl.config import files
from jaxdl.registry import choose

RUNS = {
    "reward": dict(task=dict(name="reward_model"), steps=200, batch_size=32, rate=3e-4),
    "ppo": dict(
        task=dict(name="rlhf", beta=0.1, minibatches=2, epochs=2), steps=40, batch_size=64,
        rate=5e-4,
    ),
}  # fmt: skip


def get_config(variant: str = "ppo"):
    """One of RUNS, in place of direct preferences."""
    own = choose("variant", variant, RUNS)
    config = files.load(f"{ROOT}/experiments/preferences.py:rule")
    config.task = dict(own["task"])
    config.update(steps=own["steps"], batch_size=own["batch_size"])
    config.optimizer.learning_rate = own["rate"]
    config.eval.every = own["steps"]
    config.eval.best = "accuracy" if variant == "reward" else "reward"
    return config
