"""A U-Net learns which pixels are of which digit.

    python -m jaxdl.launch --config=experiments/unet.py --workdir=runs/unet

Kind: vision
Cost: 334 s from command to exit, other programs of lower priority beside it (Intel Xeon, 2 cores,
jax 0.12.0.1); 524 s of processor time.
Result: mean IoU .869 of the test part at the end, .932 of each class's pixels (seed 0, one run);
after 1,300, 2,600 and 3,900 updates .764, .830 and .860. Of 256 validation scenes .778 in
1,000 updates (seed 3). Three halvings of 16 features, by ReLU and adamw at 3e-3, had .851
of the test part in 7,500 updates (seed 0) and .685 of the validation part in 1,500 (seed 3). They
missed within two pixels of where digits end: with the true ends it would have been .96.
``long`` has .907, .953 of each class's pixels (seed 0, one run): 20,000 updates of 32 features, and
its answers to nine shifts by a pixel averaged; 25 minutes from command to exit on 2 cores that
little else used, 2,094 s of processor time (AMD EPYC, Zen 4, jax 0.12.0.1). 10,000 updates have
.891, of the image as it is .884, over four shifts .888, in 842 s without the shifts; that figure
was known when the run was made longer. By Muon alone 32 features have .882 of the validation part
in 7,000 updates (seed 3); of 256 of its scenes .886, averaged over 4, 9 and 16 shifts .892, .895
and .896 (--config.task.test_shifts=2, 3, 4). Of the pixels that those get wrong without shifts 85 %
are ground for digit or digit for ground: with the true ends it would be .96, with the true classes
.91, and training scenes have no more than .89. A digit ends half way between the ground and its
ink, and of both too little is known: how much of a pixel is covered is told within .064, and bright
digits on bright ground come out too large. Smaller maps that see the image's largest and smallest
values leave that at .064 (.876 of the test part in 6,500 updates, seed 0); a second layer of pixels
with a window of 5x5 has .747 of 256 validation scenes in 1,000 updates (seed 3).
Variants: scenes (the default), long, and backbone, a way down that has learned to classify:

    python -m jaxdl.launch --config=experiments/unet.py:backbone --workdir=runs/own \\
        --config.pretrained.source=resnet18.safetensors
"""

from jaxdl import config as defaults
from jaxdl.registry import choose


def get_config(variant: str = "scenes"):
    """``scenes`` of digits, a ``long`` run of them, or a ``backbone`` that has learned already."""
    variants = {"scenes": _scenes, "long": _long, "backbone": _backbone}
    return choose("variant", variant, variants)()


def _scenes():
    config = defaults.default()
    config.data.name, config.task.name = "scenes", "segmentation"
    config.data.examples = 12_288
    config.batch_size, config.steps = 16, 5200
    # Places of 2x2 pixels: an update takes a quarter of the time. Where a digit ends is a matter of
    # grey levels, a few percent of the way from its ground to its ink: each pixel is seen again
    # beside what the largest map says of it. Three halvings of 16 features, by ReLU and adamw at
    # 3e-3, ended with no gradient at all below the second.
    config.model = dict(
        name="unet", patch=2, width=24, depth=2, head_width=32, padded=True, dropout=0.0,
        activation="leaky_relu",
    )  # fmt: skip
    # A quarter of a scene, with twice as much of its area in digits. With the pixels' own stage, in
    # the processor's time for 1,150 updates of whole scenes: .75 of the validation part for .63.
    config.augment_scene.window = 48
    # Of 15 pixels 14 are ground, which is learned soon; what is left to learn is of the digits.
    # Weights of classes learn them as fast, and then take ground for digits.
    config.task.among = 0.3
    # Each map's kernels move by as much, however small what comes down to them.
    config.optimizer.name = "muon"
    config.optimizer.options = ("consistent_rms=.2", "adam_b2=.99")
    config.optimizer.learning_rate = 4e-3
    config.optimizer.schedule_unit = "fraction"
    config.optimizer.warmup = 0.05
    config.optimizer.weight_decay = 0.02
    config.eval.best = "mean_iou"
    # To evaluate and judge the whole test part takes as much of the processor as 30 updates.
    config.eval.every = 1300
    config.eval.batch_size = 32
    return config


def _long():
    """More features and updates; Adam has what tells of the pixels, and shifts are averaged."""
    config = _scenes()
    config.model.width, config.steps = 32, 20_000
    # Of 1,000 updates mean IoU .791 of the validation part, for .778 by Muon alone (seed 3).
    config.optimizer.adam_params = ("^(seen|told|head)/",)
    config.task.test_shifts = 3
    config.eval.every = 20_000
    return config


def _backbone():
    """The way up alone at first; the backbone's weights are named by config.pretrained.source."""
    config = _scenes()
    config.model = dict(
        name="unet", backbone="resnet18", width=16, depth=5, padded=True, dropout=0.0
    )
    # What has learned moves by less, and of the whole image an update takes longer.
    config.steps, config.eval.every = 1400, 0
    config.optimizer.name, config.optimizer.options, config.optimizer.b2 = "adamw", (), 0.99
    config.optimizer.learning_rate, config.optimizer.weight_decay = 4e-3, 0.05
    config.optimizer.unfreeze = 0.2
    config.optimizer.head = ("^(?!backbone/)",)
    config.batch_size, config.augment_scene.window = 8, 0
    return config
