"""A network that has learned the digits 0 to 4 learns 5 to 9 from a few examples of each.

    python -m jaxdl.launch --config=experiments/transfer.py:pretrain --workdir=runs/digits_0_4
    python -m jaxdl.launch --config=experiments/transfer.py --workdir=runs/digits_5_9 \\
        --config.pretrained.source=runs/digits_0_4 --config.data.labels_per_class=5

Kind: classification
Cost: 10 min of CPU time for the pre-training and three times 20 draws, compile included (7 min on 2
cores).
Result: accuracy .816 ± .039 from 1 label a class, .972 ± .008 from 5, .989 ± .003 from 10 (20 draws
of the examples, test part), where logistic regression on pixels has .698, .901, .937 and the
nearest neighbour .700, .897, .933: `python -m benchmarks.transfer`.
Variants: transfer (the default; from scratch where no source is given), pretrain, published.

What is learned first are the digits 0 to 4 and all that they become turned and mirrored, forty
classes (`data.symmetries`): of five alone a network learns features that tell apart these five and
little else. Then new dense layers and a new head learn, with all else frozen; then all does, the
layers below by smaller and smaller steps.

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
    config.model = dict(
        name="vgg",
        stages=(3,),
        channels=(64,),
        hidden=128,
        pooled=4,
        batch_norm=True,
        order="conv_norm_act",
        dropout=0.3,
    )
    config.optimizer.schedule_unit = "fraction"
    config.optimizer.warmup = 0.05
    config.optimizer.weight_decay = 0.05
    return config


def _pretrain():
    config = _common()
    config.data.classes = (0, 1, 2, 3, 4)
    # Of five classes alone a network learns little that tells others apart: these make forty.
    config.data.symmetries = 8
    config.epochs = 60.0
    config.batch_size = 64
    config.optimizer.learning_rate = 2e-3
    return config


def _transfer():
    """New dense layers first, then all, the layers below by smaller and smaller steps."""
    config = _common()
    config.data.classes = (5, 6, 7, 8, 9)
    config.data.labels_per_class = 1
    config.data.repeat = 10
    config.steps = 150
    config.batch_size = 40
    config.model.dropout = 0.5
    # Dense layers know the old classes; what the convolutions find is of use to any.
    config.pretrained.fresh = ("^dense",)
    config.optimizer.head = ("^head/", "^dense")
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
