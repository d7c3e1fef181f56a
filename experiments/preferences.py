"""What was preferred is learned, in a small world whose best policy is known in closed form.

    python -m jaxdl.launch --config=experiments/preferences.py:dpo --workdir=runs/dpo

Kind: preferences
@@
"""

from jaxdl import config as defaults
from jaxdl.registry import choose

_WORLD = dict(width=32, depth=2, heads=2)
_TEXTS = dict(width=64, depth=2, heads=4)

VARIANTS = {
    "dpo": dict(task=dict(name="preference", beta=0.5), steps=2000, batch_size=168, rate=1e-3),
    "reward": dict(
        task=dict(name="reward_model"), data=dict(labels="noisy"), steps=400, batch_size=168,
        best="accuracy",
    ),
    "rlhf": dict(
        task=dict(name="rlhf", beta=0.5, answers=3, epochs=2, value_clip=0.0, whiten=False),
        steps=900,
        batch_size=168,
        clip=1.0,
    ),
    "sft": dict(
        task=dict(name="language_modelling"), data=dict(name="topic_answers"), steps=600,
        batch_size=32, model=_TEXTS, rate=3e-3, clip=1.0, every=600, best="nats_per_byte",
    ),
    "rule": dict(
        task=dict(name="preference", beta=0.1), data=dict(name="topic_preferences"), steps=80,
        batch_size=32, model=_TEXTS, rate=5e-4, clip=1.0, every=80, best="accuracy",
    ),
}  # fmt: skip


def get_config(variant: str = "dpo"):
    """One of VARIANTS."""
    own = choose("variant", variant, VARIANTS)
    config = defaults.default()
    config.data.update({"name": "answer_world", **own.get("data", {})})
    config.model = {"name": "gpt", **own.get("model", _WORLD)}
    config.task = dict(own["task"])
    config.update(steps=own["steps"], batch_size=own["batch_size"])
    config.optimizer.name = "adam"
    config.optimizer.learning_rate = own.get("rate", 3e-3)
    config.optimizer.clip = own.get("clip", 0.0)
    config.optimizer.schedule_unit = "steps"
    config.optimizer.warmup = 20.0
    config.eval.every = own.get("every", 100)
    config.eval.best = own.get("best", "total_variation")
    return config
