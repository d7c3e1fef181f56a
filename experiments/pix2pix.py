"""Pix2Pix draws handwritten digits of their outlines.

    python -m jaxdl.launch --config=experiments/pix2pix.py --workdir=runs/pix2pix
"""

from jaxdl import config as defaults


def get_config():
    """8x8 pixels."""
    config = defaults.default()
    config.data.name, config.task.name = "outlined_digits", "image_translation"
    config.steps = 3000
    config.batch_size = 16
    config.model = dict(name="pix2pix", depth=3, width=32)
    config.task.discriminator_width, config.task.discriminator_depth = 32, 1
    config.optimizer.learning_rate = 1e-3
    config.optimizer.b1 = 0.5
    config.optimizer.schedule = "linear"
    config.eval.every = 500
    config.eval.best = "psnr"
    return config
