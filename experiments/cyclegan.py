"""CycleGAN turns handwritten digits, and back, without being shown one in both ways.

    python -m jaxdl.launch --config=experiments/cyclegan.py --workdir=runs/cyclegan
    python -m jaxdl.launch --mode=predict --workdir=runs/cyclegan --input=digit.png

Kind: generation
Cost: 314 s on 2 busy CPU cores, compile included.
Result: of the test part .960 are named rightly after they were turned, .950 there and .969 back, by
classifiers of turned and of upright digits (seed 0); left as they were, .494 would be.

Figures are of the last step; the sizes and the number of steps were chosen on a validation part of
the training part (--config.data.eval_on=validation), where .889 were named rightly with a rate that
fell from the start.

Variants: digits (the default) and published, the paper's sizes, of pictures of two kinds of your
own in trainA and trainB, testA and testB (`jaxdl.data.unpaired_pictures`):

    python -m jaxdl.launch --config=experiments/cyclegan.py:published --workdir=runs/own \\
        --config.data.name=unpaired_pictures --config.data.path=horse2zebra
"""

from jaxdl import config as defaults
from jaxdl.registry import choose

VARIANTS = dict.fromkeys(("digits", "published"))


def get_config(variant: str = "digits"):
    """8x8 pixels, or 256x256."""
    choose("variant", variant, VARIANTS)
    config = defaults.default()
    config.data.name, config.task.name = "turned_digits", "unpaired_translation"
    config.optimizer.b1 = 0.5
    config.optimizer.warmup = 0.0
    config.optimizer.schedule = "late_linear"
    return _published(config) if variant == "published" else _small(config)


def _small(config):
    config.steps = 1200
    config.batch_size = 16
    config.ema = 0.99
    config.model = dict(name="cyclegan", depth=2, width=16, halvings=1)
    config.task.discriminator_width, config.task.discriminator_depth = 16, 1
    config.task.identity = 0.0
    config.optimizer.learning_rate = 1e-3
    config.eval.every = 400
    config.eval.best = "named_rightly"
    return config


def _published(config):
    """Section 4 and the authors' code: a batch of one, 100 epochs, and 100 more down to 0."""
    config.data.image_size = 256
    config.epochs = 200.0
    config.batch_size = 1
    config.model = dict(name="cyclegan_9")
    config.task.mirror = True
    config.optimizer.learning_rate = 2e-4
    config.eval.every = 1000
    config.eval.best = "image_cycle"
    return config
