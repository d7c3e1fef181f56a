"""CycleGAN turns handwritten digits by a quarter, and back, without being shown one in both ways.

    python -m jaxdl.launch --config=experiments/cyclegan.py --workdir=runs/cyclegan
"""

from jaxdl import config as defaults


def get_config():
    """8x8 pixels."""
    config = defaults.default()
    config.data.name, config.task.name = "turned_digits", "unpaired_translation"
    config.steps = 2000
    config.batch_size = 16
    config.model = dict(name="cyclegan", depth=2, width=32)
    config.task.discriminator_width, config.task.discriminator_depth = 32, 1
    config.task.identity = 0.0
    config.optimizer.learning_rate = 1e-3
    config.optimizer.b1 = 0.5
    config.optimizer.schedule = "linear"
    config.eval.every = 500
    config.eval.best = "named_rightly"
    return config
