"""Training recipes that several published networks share, each a group of settings by one name.

A recipe changes the config that an experiment file has begun; what an experiment sets after it is
its own. Here stands what is the same in all that use it, and nothing that asks who does.
"""

from ml_collections import ConfigDict


def imagenet(config: ConfigDict, image_size: int) -> None:
    """ImageNet's 1000 classes, with images cropped and mirrored at random.

    A crop has at least 8% of the image's area and is resized to the network's input (Szegedy et
    al., 2015, arXiv:1409.4842, section 6); half are mirrored (Krizhevsky et al., 2012, section
    4.1). Random images stand in for ImageNet: --config.data.name=folder --config.data.path=…
    brings it.

    Args:
      config: changed in `data` and `augment`.
      image_size: pixels a side that the network reads.
    """
    config.data.name = "synthetic_imagenet"
    config.data.image_size = image_size
    config.augment.crop = 0.08
    config.augment.flip = True


def sgd_90_epochs(config: ConfigDict) -> None:
    """Momentum, and a rate that falls tenfold twice (Krizhevsky et al., 2012, section 5).

    The paper's rate falls when the validation error no longer does, in about 90 epochs; here it
    falls after 30 and 60, as in torchvision's recipe. The rate and the decay are the network's own.

    Args:
      config: changed in `epochs` and `optimizer`.
    """
    config.epochs = 90.0
    config.optimizer.name = "sgd"
    config.optimizer.momentum = 0.9
    config.optimizer.schedule = "step"
    config.optimizer.boundaries = (30.0, 60.0)


def deit_augmentation(config: ConfigDict) -> None:
    """Changes of colour, mixup and cutmix as in DeiT (Touvron et al., 2020, arXiv:2012.12877).

    Mixup is Zhang et al., 2017 (arXiv:1710.09412), cutmix Yun et al., 2019 (arXiv:1905.04899). Of
    the paper's table 9, RandAugment, random erasing and repeated augmentation are left out.

    Args:
      config: changed in `augment`.
    """
    config.augment.brightness = config.augment.contrast = config.augment.saturation = 0.3
    config.augment.mixup = 0.8
    config.augment.cutmix = 1.0


def deit(config: ConfigDict, batch_size: int) -> None:
    """DeiT's recipe (Touvron et al., 2020, arXiv:2012.12877, table 9) with `deit_augmentation`.

    Optimizer and schedule, adamw and cosine, are the defaults; stochastic depth is the model's.

    Args:
      config: changed in `epochs`, `batch_size`, `augment`, `task` and `optimizer`.
      batch_size: images an update; the learning rate is in proportion, 5e-4 for 512.
    """
    deit_augmentation(config)
    config.epochs = 300.0
    config.batch_size = batch_size
    config.task.label_smoothing = 0.1
    config.optimizer.learning_rate = 5e-4 * batch_size / 512
    config.optimizer.warmup = 5.0
    config.optimizer.weight_decay = 0.05


def fine_tuning(config: ConfigDict, learning_rate: float) -> None:
    """What a published text model learns by (Devlin et al., 2018, arXiv:1810.04805, A.1 and A.3).

    A few passes, small steps that rise over the first tenth and fall to 0, dropout in every layer.
    The model is that of the weights (`config.pretrained.source`).

    Args:
      config: changed in `epochs`, `batch_size`, `model` and `optimizer`.
      learning_rate: the highest.
    """
    config.epochs = 3.0
    config.batch_size = 16
    config.model = dict(name="", dropout=0.1)
    config.optimizer.name = "adamw"
    config.optimizer.options = ()
    config.optimizer.learning_rate = learning_rate
    config.optimizer.weight_decay = 0.01
    config.optimizer.clip = 1.0
    config.optimizer.schedule = "linear"
    config.optimizer.schedule_unit = "fraction"
    config.optimizer.warmup = 0.1
