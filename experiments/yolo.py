"""YOLO finds handwritten digits in pictures of several, over clutter and partly behind each other.

    python -m jaxdl.launch --config=experiments/yolo.py --workdir=runs/yolo

Kind: vision
Variants: scenes (the default), and the published sizes yolov3 and yolov3_tiny.
Cost: 281 s on 2 cores of an Intel Xeon (jax 0.12.0.1), from the command to the end with nothing
compiled before, other programs at the lowest priority beside it.
Result: map50 .972, map .625 of the test part (seed 0). Steps, scenes and weights were chosen by the
validation part (--config.data.eval_on=validation), seed 3, where 3,600 steps gave .978 and .646.

The loss of boxes is the complete IoU; --config.task.box_loss=squared is the paper's. Anchors are
made of the training part's boxes (--config.task.anchors_each), or set by --config.model.anchors.
The published sizes may begin with Darknet's weights, or with what a classifier of Darknet's has
learned, of which all but the heads learns on: --config.pretrained.source=darknet53.conv.74 and
--config.optimizer.unfreeze=.1, until when the backbone is as it came.
Found in pictures: --mode=predict --workdir=runs/yolo --input=some/pictures writes boxes as lines of
JSON. The published sizes have not been trained here: they are for an accelerator and more pictures.
"""

from jaxdl import config as defaults
from jaxdl.registry import choose


def get_config(variant: str = "scenes"):
    """``scenes``, small enough for a laptop, or a published size: yolov3, yolov3_tiny."""
    choose("variant", variant, dict.fromkeys(("scenes", "yolov3", "yolov3_tiny")))
    config = defaults.default()
    config.data.name = "scenes"
    config.task = dict(name="detection", box_loss="ciou")
    config.optimizer.schedule_unit = "fraction"
    config.optimizer.warmup = 0.05
    config.eval.best = "map50"
    # What learns alone until optimizer.unfreeze: all but the backbone.
    config.optimizer.head = ("^(head|last|neck|up)(_|/)",)
    if variant != "scenes":
        config.model = dict(name=variant)
        config.batch_size, config.epochs = 64, 273.0
        config.task.box_loss = "squared"
        config.optimizer.name, config.optimizer.learning_rate = "sgd", 1e-3
        config.optimizer.momentum, config.optimizer.l2 = 0.9, 5e-4
        config.data.image_size, config.data.channels = 416, 3
        return config
    # Of 2,048 scenes it learns the digits by heart.
    config.data.examples = 12_288
    config.batch_size, config.steps = 16, 3000
    # To find boxes in the whole test part takes as much of the processor as 11 updates.
    config.eval.score_every = 600
    # Digits are 8 to 24 pixels large: three halvings of the map, and two scales of 8 and 4 pixels.
    config.model = dict(name="yolov3", width=8, depths=(1, 1, 1), levels=2, momentum=0.97)
    config.task.box_weight, config.task.class_weight = 3.0, 2.0
    config.optimizer.learning_rate = 4e-3
    return config
