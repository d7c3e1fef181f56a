"""Pix2Pix draws handwritten digits of their outlines.

    python -m jaxdl.launch --config=experiments/pix2pix.py --workdir=runs/pix2pix
    python -m jaxdl.launch --mode=predict --workdir=runs/pix2pix --input=outline.png

Kind: generation
Cost: 165 s on 2 busy CPU cores, compile included.
Result: PSNR 17.74 dB on the test part (seed 0); of ridge regression on pixels it is 16.52.

Figures are of the last step; the sizes and the number of steps were chosen on a validation part of
the training part (--config.data.eval_on=validation).

Variants: digits (the default) and published, the paper's sizes, of pictures of your own that stand
side by side in one file each (`jaxdl.data.picture_pairs`):

    python -m jaxdl.launch --config=experiments/pix2pix.py:published --workdir=runs/own \\
        --config.data.name=picture_pairs --config.data.path=facades --config.data.made=left
"""

from jaxdl import config as defaults
from jaxdl.registry import choose

VARIANTS = dict.fromkeys(("digits", "published"))


def get_config(variant: str = "digits"):
    """8x8 pixels, or 256x256."""
    choose("variant", variant, VARIANTS)
    config = defaults.default()
    config.data.name, config.task.name = "outlined_digits", "image_translation"
    config.optimizer.b1 = 0.5
    config.optimizer.warmup = 0.0
    config.eval.best = "psnr"
    return _published(config) if variant == "published" else _small(config)


def _small(config):
    config.steps = 600
    config.batch_size = 32
    config.ema = 0.99
    config.model = dict(name="pix2pix", depth=3, width=16)
    config.task.discriminator_width, config.task.discriminator_depth = 32, 1
    config.optimizer.learning_rate = 2e-3
    config.optimizer.schedule = "linear"
    config.eval.every = 200
    return config


def _published(config):
    """Section 3.3 and the authors' code: a batch of one, 100 epochs, and 100 more down to 0."""
    config.data.image_size = 256
    config.epochs = 200.0
    config.batch_size = 1
    config.model = dict(name="pix2pix_256")
    config.task.mirror = True
    config.optimizer.learning_rate = 2e-4
    config.optimizer.schedule = "late_linear"
    config.eval.every = 1000
    return config
