"""REINFORCE balances a pole, by a whole episode of each of 32 environments at a time.

    python -m jaxdl.launch --config=experiments/reinforce.py --workdir=runs/reinforce

Kind: control
Variants: baseline, which takes a learned value off the returns, and plain, which does not.
Cost: 23 to 37 s on 2 CPU cores that others used too, compile included.
Result: mean return 500, all there is (100 greedy episodes, seeds 0 to 4: 500 each),
plain of seeds 0 to 2 too.

The settings were chosen with seed 100. Episodes are played to the clock's 500 steps, whenever they
end: in a compiled step that is what the longest takes.
"""

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
