"""Checks that arrays read from somewhere are images with labels."""

import numpy as np

from jaxdl.data.split import Arrays
from jaxdl.errors import UserError


def channels_first(shape: tuple[int, ...]) -> bool:
    """Whether images of this shape are (n, c, h, w) and not (n, h, w, c).

    They are where only that gives 1, 3 or 4 channels, or squares with fewer channels than pixels.
    """
    if len(shape) != 4:
        return False
    _, first, middle, last = shape
    if first in (1, 3, 4):
        return last not in (1, 2, 3, 4) or middle == last > first
    return middle == last > max(first, 4)


def labelled_images(images: np.ndarray, labels: np.ndarray, where: str) -> Arrays:
    """An in-memory split of images and labels.

    Args:
      images: (n, h, w), (n, h, w, c) or (n, c, h, w), see `channels_first`; uint8, or floating in
        [0, 1].
      labels: (n,) or (n, 1) integers, or whole numbers in another dtype.
      where: the file or data set, for messages.

    Raises:
      UserError: shapes, dtypes or ranges that are not these.
    """
    _check_numbers(images, where)
    labels = whole_numbers(labels, where)
    return Arrays({"image": checked(images, len(labels), where), "label": labels})


def _check_numbers(images: np.ndarray, where: str) -> None:
    if images.dtype.kind not in "uif":
        raise UserError(f"{where}: images must be numbers, got {images.dtype}")


def whole_numbers(labels: np.ndarray, where: str) -> np.ndarray:
    """(n,) int32 of labels (n,) or (n, 1); raises as `labelled_images`."""
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1 or labels.dtype.kind not in "uif" or not np.isfinite(labels).all():
        raise UserError(
            f"{where}: labels must be (n,) whole numbers, got {labels.dtype}{labels.shape}"
        )
    whole = labels.astype(np.int32)
    if not np.array_equal(whole, labels):
        raise UserError(
            f"{where}: labels must be (n,) whole numbers, got {labels.dtype}{labels.shape}"
        )
    return whole


def checked(images: np.ndarray, count: int, where: str) -> np.ndarray:
    """(n, h, w, c) uint8 or float32 of images as of `labelled_images`.

    Args:
      images: ``count`` of them.
      count: of labels.
      where: the file or data set, for messages.

    Raises:
      UserError: as `labelled_images`.
    """
    _check_numbers(images, where)
    if images.ndim == 3:
        images = images[..., None]
    if images.ndim != 4 or not images.size:
        raise UserError(f"{where}: images must be (n, h, w) or (n, h, w, c), got {images.shape}")
    if channels_first(images.shape):
        images = images.transpose(0, 2, 3, 1)
    if count != len(images):
        raise UserError(f"{where}: {len(images)} images but {count} labels")
    if images.dtype != np.uint8:
        images = images.astype(np.float32)
        low, high = float(images.min()), float(images.max())
        if not (low >= 0 and high <= 1):
            raise UserError(
                f"{where}: images must be uint8, or floating in [0, 1]; these go from {low:g} to "
                f"{high:g}"
            )
    return images
