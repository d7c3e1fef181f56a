"""What images are standardised by."""

import numpy as np

from jaxdl.data.preprocess import white
from jaxdl.data.split import Split


def of_channels(split: Split, most: int = 4096) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation of each channel, from up to ``most`` examples evenly spread.

    Args:
      split: with ``image`` (n, h, w, c), uint8 or floating in [0, 1].
      most: examples that are looked at.

    Returns:
      Both (c,) float32, of images in [0, 1]; a deviation is at least 1e-3.
    """
    step = max(1, len(split) // most)
    images = split.take(np.arange(0, len(split), step))["image"]
    scale = white(images.dtype)
    axes = tuple(range(images.ndim - 1))
    mean = images.mean(axes, dtype=np.float64) / scale
    std = images.std(axes, dtype=np.float64) / scale
    return mean.astype(np.float32), np.maximum(std, 1e-3).astype(np.float32)
