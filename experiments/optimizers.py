"""Five optimizers on one small network, each over five decades of learning rates and 8 seeds.

    python -m jaxdl.launch --config=experiments/optimizers.py:adam --workdir=runs/adam

Variants: sgd, momentum, rmsprop, adam, adamw
"""

from jaxdl import config as defaults
from jaxdl.registry import choose

VARIANTS = {
    "sgd": dict(name="sgd"),
    "momentum": dict(name="sgd", momentum=0.9),
    "rmsprop": dict(name="rmsprop"),
    "adam": dict(name="adam"),
    "adamw": dict(name="adamw", weight_decay=0.05),
}


def get_config(variant="adamw"):
    """An optimizer of VARIANTS; nothing else differs."""
    own = choose("variant", variant, VARIANTS)
    config = defaults.default()
    config.epochs = 30.0
    config.batch_size = 64
    config.population = 8
    config.sweep = "optimizer.learning_rate=1e-4:10:16:log"
    config.model = dict(name="mlp", hidden=(64, 64), activation="relu", kernel_init="he_normal")
    config.optimizer.update(own)
    # Fine enough to see when an accuracy is first reached; a checkpoint each time would cost more
    # than the training.
    config.eval.every = 10
    config.checkpoint.every = 1000
    return config
