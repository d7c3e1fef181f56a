"""A network that has learned the digits 0 to 4 learns 5 to 9 from a few examples of each.

    python -m jaxdl.launch --config=experiments/transfer.py:pretrain --workdir=runs/digits_0_4
    python -m jaxdl.launch --config=experiments/transfer.py --workdir=runs/digits_5_9 \\
        --config.pretrained.source=runs/digits_0_4 --config.data.labels_per_class=5

Cost: 80 s of CPU time on one core for the pre-training and 20 draws, compile included.
Result: accuracy .694 ± .046 from 1 label a class, .901 ± .014 from 5 (10 draws on the validation
part): not better than logistic regression on pixels, .729 and .899, nor the nearest neighbour, .747
and .892.
Variants: transfer (the default; from scratch where no source is given), pretrain, published.

The new head learns first, with all else frozen; then all does, the layers below the head by smaller
and smaller steps. `python -m benchmarks.transfer` has 20 draws of 1, 5 and 10 examples a class, and
what looks at pixels beside them.

A published checkpoint learns a folder of images, a folder a class, in the same way:

    python -m jaxdl.launch --config=experiments/transfer.py:published --workdir=runs/own \\
        --config.pretrained.source=resnet50.safetensors --config.pretrained.model=resnet50 \\
        --config.data.name=folder --config.data.path=images --config.data.image_size=224
"""

from jaxdl import config as defaults
from jaxdl.registry import choose


def get_config(variant: str = "transfer"):
    """``pretrain``, ``transfer`` from its workdir, or ``published``: a checkpoint on own images."""
    variants = {"pretrain": _pretrain, "published": _published, "transfer": _transfer}
    return choose("variant", variant, variants)()


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


def _published():
    """The model is the checkpoint's; the digits are there to be replaced by --config.data.name."""
    config = defaults.default()
    config.epochs = 20.0
    config.batch_size = 32
    config.augment.crop = 0.5
    config.augment.flip = True
    config.task.label_smoothing = 0.1
    config.optimizer.learning_rate = 1e-3
    config.optimizer.schedule_unit = "fraction"
    config.optimizer.unfreeze = 0.2
    config.optimizer.layer_decay = 0.7
    config.optimizer.weight_decay = 0.05
    return config
