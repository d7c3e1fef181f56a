"""The runs of `benchmarks.preferences.rule`: a small GPT of bytes, by task."""

from jaxdl import config as defaults
from jaxdl.registry import choose

# Tokens of a prompt, an answer and its end.
CONTEXT = 96

RUNS = {
    # Learned from answers as they stand in the text.
    "start": dict(
        task=dict(name="language_modelling", prompt="The "), steps=1000, batch_size=32, rate=2e-3
    ),
    "reward": dict(task=dict(name="reward_model"), steps=250, batch_size=32, rate=3e-4),
    "dpo": dict(task=dict(name="preference", beta=0.1), steps=300, batch_size=32, rate=2e-4),
    "ppo": dict(
        task=dict(name="rlhf", beta=0.1, answers=1, minibatches=2, epochs=2, tokens=48),
        steps=150,
        batch_size=64,
        rate=2e-4,
    ),
}


def get_config(variant: str = "start"):
    """One of RUNS."""
    own = choose("variant", variant, RUNS)
    config = defaults.default()
    config.data.name = "completions" if variant == "start" else "preferences"
    config.data.context = CONTEXT
    config.model = dict(name="gpt", width=128, depth=3, heads=4)
    config.task = dict(own["task"])
    config.update(steps=own["steps"], batch_size=own["batch_size"])
    config.optimizer.update(
        name="adamw", learning_rate=own["rate"], clip=1.0, schedule_unit="steps", warmup=20.0
    )
    config.eval.every = own["steps"]
    config.checkpoint.every = own["steps"]
    config.log.layers = config.log.report = False
    return config
