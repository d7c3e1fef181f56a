"""Checks that arrays read from somewhere are images with labels."""

import numpy as np

from jaxdl.data.split import Arrays
from jaxdl.errors import UserError


def labelled_images(images: np.ndarray, labels: np.ndarray, where: str) -> Arrays:
    """An in-memory split of images and labels.

    Args:
      images: (n, h, w) or (n, h, w, c); uint8, or floating in [0, 1].
      labels: (n,) integers, or whole numbers in another dtype.
      where: the file or data set, for messages.

    Raises:
      UserError: shapes, dtypes or ranges that are not these.
    """
    if images.dtype.kind not in "uif":
        raise UserError(f"{where}: images must be numbers, got {images.dtype}")
    if labels.ndim != 1 or labels.dtype.kind not in "uif" or not np.isfinite(labels).all():
        raise UserError(
            f"{where}: labels must be (n,) whole numbers, got {labels.dtype}{labels.shape}"
        )
    if images.ndim == 3:
        images = images[..., None]
    if images.ndim != 4 or not images.size:
        raise UserError(f"{where}: images must be (n, h, w) or (n, h, w, c), got {images.shape}")
    if len(labels) != len(images):
        raise UserError(f"{where}: {len(images)} images but {len(labels)} labels")
    if images.dtype != np.uint8:
        images = images.astype(np.float32)
        low, high = float(images.min()), float(images.max())
        if not (low >= 0 and high <= 1):
            raise UserError(
                f"{where}: images must be uint8, or floating in [0, 1]; these go from {low:g} to "
                f"{high:g}"
            )
    whole = labels.astype(np.int32)
    if not np.array_equal(whole, labels):
        raise UserError(
            f"{where}: labels must be (n,) whole numbers, got {labels.dtype}{labels.shape}"
        )
    return Arrays({"image": images, "label": whole})
