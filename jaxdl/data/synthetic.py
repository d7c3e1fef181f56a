"""Random images with random labels: nothing to learn, but every shape to run."""

import numpy as np

from jaxdl.data import Source, register
from jaxdl.data.arrays import labelled_images


@register("synthetic")
def synthetic(
    examples: int = 500,
    image_size: int = 28,
    channels: int = 1,
    num_classes: int = 10,
    data_seed: int = 0,
) -> Source:
    """Pixels uniform in 0..255 and labels uniform over the classes, both parts alike.

    The defaults are the introductory course's 500 images of 28x28x1 in 10 classes.
    """
    rng = np.random.default_rng(data_seed)
    side = image_size or 28
    images = rng.integers(0, 256, (examples, side, side, channels), np.uint8)
    labels = rng.integers(0, num_classes, examples)
    pool = labelled_images(images, labels, "synthetic")
    return Source(pool, pool, tuple(str(i) for i in range(num_classes)))


@register("synthetic_imagenet")
def synthetic_imagenet(image_size: int = 224) -> Source:
    """256 random images of ImageNet's shape, 224x224x3 in 1000 classes, to try full sizes."""
    return synthetic(256, image_size or 224, channels=3, num_classes=1000)
