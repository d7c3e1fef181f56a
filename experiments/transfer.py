"""A network that has learned the digits 0 to 4 learns 5 to 9 from a few examples of each.

    python -m jaxdl.launch --config=experiments/transfer.py:pretrain --workdir=runs/digits_0_4
    python -m jaxdl.launch --config=experiments/transfer.py --workdir=runs/digits_5_9 \\
        --config.pretrained.source=runs/digits_0_4 --config.data.labels_per_class=5

Variants: transfer (the default; from scratch where no source is given), and pretrain.
"""

from jaxdl import config as defaults
from jaxdl.registry import choose


def get_config(variant: str = "transfer"):
    """``pretrain``, or ``transfer`` from its workdir."""
    return choose("variant", variant, {"pretrain": _pretrain, "transfer": _transfer})()


def _common():
    config = defaults.default()
    config.augment.shift = 1
    config.augment.rotate = 15.0
    config.augment.zoom = 0.15
    config.augment.shear = 0.15
    config.model = dict(name="deep_cnn", channels=(32, 64), hidden=128, dropout=0.3)
    config.optimizer.schedule_unit = "fraction"
    config.optimizer.warmup = 0.05
    config.optimizer.weight_decay = 0.05
    return config


def _pretrain():
    config = _common()
    config.data.classes = (0, 1, 2, 3, 4)
    config.epochs = 40.0
    config.batch_size = 64
    config.optimizer.learning_rate = 2e-3
    return config


def _transfer():
    """The new head first, then all, the layers below it by smaller and smaller steps."""
    config = _common()
    config.data.classes = (5, 6, 7, 8, 9)
    config.data.labels_per_class = 1
    config.data.repeat = 10
    config.steps = 300
    config.batch_size = 40
    # Of the digits 0 to 4, which the weights have seen.
    config.pretrained.mean, config.pretrained.std = (0.305,), (0.377,)
    config.task.label_smoothing = 0.1
    config.optimizer.learning_rate = 2e-3
    config.optimizer.unfreeze = 0.3
    config.optimizer.layer_decay = 0.7
    return config
