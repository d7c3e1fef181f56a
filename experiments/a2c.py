"""A2C: actor and critic learn classic control, five steps of 32 environments at a time.

    python -m jaxdl.launch --config=experiments/a2c.py --workdir=runs/a2c

Kind: control
Variants: cartpole, acrobot, and a3c, whose gradients are those of parameters four updates old.
Cost: 11 to 24 s on 2 CPU cores that others used too, compile included; acrobot 17 to 21.
Result: mean return 500, all there is (100 greedy episodes, seeds 0 to 4: 500 each); acrobot -85.

Acrobot's is the median of seeds 0, 1 and 2 (-87, -83, -85).
The settings were chosen with seeds 100 to 102.

What stale gradients cost (staleness 0, 4, 16, 64; `python -m benchmarks.staleness`) is drawn in
docs/control.md: those 16 updates old take twice the updates, those 64 old never come to it.
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
