"""Faster R-CNN finds handwritten digits in pictures of several, regions first and classes then.

    python -m jaxdl.launch --config=experiments/faster_rcnn.py --workdir=runs/faster_rcnn

Kind: vision
Variants: scenes (the default), and resnet50, the published size, whose backbone has learned to
classify:

    python -m jaxdl.launch --config=experiments/faster_rcnn.py:resnet50 --workdir=runs/own \\
        --config.pretrained.source=resnet50.safetensors

Cost: 470 s on 2 cores of an Intel Xeon (jax 0.12.0.1), from the command to the end with nothing
compiled before, other programs at the lowest priority beside it.
Result: map50 .956, map .729 of the test part (seed 0). Settings were chosen by the validation part
(--config.data.eval_on=validation), where they give .969 and .745.

The published size has not been trained here: it is for an accelerator and more pictures.
"""

from jaxdl import config as defaults
from jaxdl.registry import choose


def get_config(variant: str = "scenes"):
    """``scenes``, small enough for a laptop, or the published size, ``resnet50``."""
    return choose("variant", variant, {"scenes": _scenes, "resnet50": _resnet50})()


def _scenes():
    config = defaults.default()
    config.data.name, config.task.name = "scenes", "detection"
    config.batch_size, config.steps = 16, 1000
    config.eval.score_every = 250
    # Digits are 8 to 24 pixels large, and a little taller than wide.
    config.model = dict(
        name="faster_rcnn", backbone="resnet", frozen_norms=False, strides=(4, 8), extra=0,
        backbone_fields=("stem=small", "width=16", "stages=(1,1,1,1)"), width=48, hidden=256,
        sizes=((10.0, 14.0), (18.0, 23.0)), ratios=(1.0, 1.5), region_side=224.0,
        region_candidates=(128, 128), regions=(96, 64), detections=32, candidates=256,
    )  # fmt: skip
    config.task.anchors_learned, config.task.regions_learned = 128, 32
    config.optimizer.learning_rate = 2e-3
    config.optimizer.schedule_unit = "fraction"
    config.optimizer.warmup = 0.05
    config.optimizer.weight_decay = 0.05
    config.optimizer.head = ("^(?!backbone/)",)  # what learns alone until optimizer.unfreeze
    config.eval.best = "map50"
    return config


def _resnet50():
    """The heads alone at first; the backbone's weights are named by config.pretrained.source."""
    config = defaults.default()
    config.data.name, config.task.name = "scenes", "detection"
    # The most that scenes have; published for 800 pixels and more, as your own pictures may have.
    config.data.image_size, config.data.channels = 512, 3
    config.model = dict(name="faster_rcnn")
    config.batch_size, config.epochs = 16, 26.0
    config.optimizer.name, config.optimizer.learning_rate = "sgd", 0.02
    config.optimizer.momentum, config.optimizer.l2 = 0.9, 1e-4
    config.optimizer.schedule = "step"
    config.optimizer.schedule_unit = "fraction"
    config.optimizer.warmup = 0.01
    config.optimizer.boundaries = (0.62, 0.85)
    config.optimizer.unfreeze = 0.1
    config.optimizer.head = ("^(?!backbone/)",)
    config.eval.best = "map50"
    return config
