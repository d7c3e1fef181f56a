"""A2C: actor and critic learn classic control, five steps of 32 environments at a time.

    python -m jaxdl.launch --config=experiments/a2c.py --workdir=runs/a2c

Variants: cartpole, acrobot, and a3c, whose gradients are those of parameters four updates old.
COST
"""

from jaxdl import config as defaults
from jaxdl.registry import choose

VARIANTS = {
    "cartpole": dict(reward_scale=0.02),
    "acrobot": dict(env="acrobot", reward_scale=0.05, entropy=0.01),
    "a3c": dict(reward_scale=0.02, staleness=4),
}


def get_config(variant="cartpole"):
    """One of VARIANTS."""
    own = choose("variant of experiments/a2c.py", variant, VARIANTS)
    config = defaults.default()
    config.steps = 4000
    config.batch_size = 32
    config.data.name = "none"
    config.model = dict(name="actor_critic", hidden=(64, 64))
    config.task = {"name": "policy_gradient", "env": "cartpole", "rollout": 5, **own}
    # Mnih et al., 2016, share RMSprop; its ε and the rate are those of stable-baselines3.
    config.optimizer.name = "rmsprop"
    config.optimizer.eps = 1e-5
    config.optimizer.learning_rate = 7e-4
    config.optimizer.schedule = "linear"
    config.optimizer.clip = 0.5
    config.eval.best = "mean_return"
    return config
