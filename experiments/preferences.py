"""What was preferred is learned, in a small world whose best policy is known in closed form.

    python -m jaxdl.launch --config=experiments/preferences.py:dpo --workdir=runs/dpo

Kind: preferences
Cost: not measured on an idle machine; on 2 busy CPU cores each took between half a minute and two.
Result: total variation from the best policy 4e-6 (dpo), .003 (rlhf); the reward model agrees with
.900 of labels of which 10 % are wrong (jax 0.12.0.1; with 0.10.2 .873, so it is not there yet).
Cost: dpo 72 s on 2 busy CPU cores, compile included; rlhf not measured.
Result: the reward model agrees with .900 of labels of which 10 % are wrong (jax 0.12.0.1; with
0.10.2 .873, so it is not there yet). Of the others as below.
Variants: dpo (the default), reward, rlhf.

Total variation from the best policy at β = .25 (--config.task.beta=.25), seed 0, jax 0.12.0.1: 2e-5
(dpo), .0021 (rlhf). The less divergence costs, the longer it takes: with 300 steps of rlhf the
learning rate is gone before the rarer answers have their share (.17), and dpo at a learning rate of
3e-3 jumps between steps 200 and 300, from which 700 steps are too few to come back (.08; with seed
1 .003). With 400 to 700 steps of dpo and 300 of rlhf, at 3e-3, it was 4e-6 and .003 at β = .5, 6e-8
and .004 at 1, 9e-8 and .0007 at 2; these have not been run again with the steps of now.
"""

from jaxdl import config as defaults
from jaxdl.registry import choose

VARIANTS = {
    "dpo": dict(task=dict(name="preference", beta=0.5), steps=2000, batch_size=168, rate=1e-3),
    "reward": dict(
        task=dict(name="reward_model"), data=dict(labels="noisy"), steps=400, batch_size=168
    ),
    "rlhf": dict(
        task=dict(name="rlhf", beta=0.5, answers=3, epochs=2, value_clip=0.0, whiten=False),
        steps=900,
        batch_size=168,
    ),
}


def get_config(variant: str = "dpo"):
    """One of VARIANTS."""
    own = choose("variant", variant, VARIANTS)
    config = defaults.default()
    config.data.name = "answer_world"
    config.data.update(own.get("data", {}))
    config.model = dict(name="gpt", width=32, depth=2, heads=2)
    config.task = dict(own["task"])
    config.update(steps=own["steps"], batch_size=own["batch_size"])
    config.optimizer.name = "adam"
    config.optimizer.learning_rate = own.get("rate", 3e-3)
    config.optimizer.schedule_unit = "steps"
    config.optimizer.warmup = 20.0
    config.eval.every = 100
    config.eval.best = "total_variation" if variant != "reward" else "accuracy"
    if variant == "rlhf":
        config.optimizer.clip = 1.0
    return config
