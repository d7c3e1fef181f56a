"""Five optimizers on one small network, each over five decades of learning rates and 8 seeds.

    python -m jaxdl.launch --config=experiments/optimizers.py:adam --workdir=runs/adam

Kind: optimisation
Variants: sgd, momentum, rmsprop, adam, adamw.
Cost: 25 s a variant on 1 CPU core, compile included, for 128 networks.
Result: test accuracy .972 to .977 at best, within a point over 8-fold (sgd) to 82-fold rates.

Means of 8 seeds after the last step: sgd .975, momentum .972, rmsprop .975, adam .976, adamw .977;
rates were chosen on a validation part of the training part. The decay of adamw is that of
experiments/mlp.py; nothing else was tuned. `python -m benchmarks.optimizers` trains all of them
with and without wrong labels and gradient noise; docs/optimizers.md has the figures, their
intervals, and what textbooks say.
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
    """One of VARIANTS; they differ in the optimizer alone."""
    own = choose("variant", variant, VARIANTS)
    config = defaults.default()
    config.epochs = 30.0
    config.batch_size = 64
    config.population = 8
    config.sweep = "optimizer.learning_rate=1e-4:10:16:log"
    config.model = dict(name="mlp", hidden=(64, 64), activation="relu", kernel_init="he_normal")
    config.optimizer.update(own)
    # Fine enough to see when an accuracy is first reached; a checkpoint each time would be many.
    config.eval.every = 10
    config.checkpoint.every = 1000
    return config
