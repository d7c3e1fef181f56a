"""REINFORCE learns classic control, a whole episode of every environment at a time."""

from jaxdl import config as defaults
from jaxdl.registry import choose

VARIANTS = {
    "baseline": dict(),
    "plain": dict(baseline=False),
}


def get_config(variant="baseline"):
    """One of VARIANTS."""
    own = choose("variant of experiments/reinforce.py", variant, VARIANTS)
    config = defaults.default()
    config.steps = 150
    config.batch_size = 32
    config.data.name = "none"
    config.model = dict(name="actor_critic", hidden=(64, 64))
    config.task = {
        "name": "policy_gradient",
        "env": "cartpole",
        "rollout": 0,
        "reward_scale": 0.02,
        **own,
    }
    config.optimizer.name = "adam"
    config.optimizer.learning_rate = 3e-3
    config.optimizer.schedule = "linear"
    config.optimizer.clip = 0.5
    config.eval.best = "mean_return"
    return config
