"""How well pixels are told apart: mean IoU, Dice, accuracies; F1 of boundaries.

All but the last follow from a confusion matrix of pixels, which adds over batches and devices and
is divided once, on the host. So these are figures of the whole set, not means over images.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxdl.metrics.directions import HIGH

DIRECTIONS = {
    "mean_iou": HIGH,
    "mean_dice": HIGH,
    "mean_accuracy": HIGH,
    "pixel_accuracy": HIGH,
    "frequency_weighted_iou": HIGH,
    "boundary_f1": HIGH,
}


def confusion(
    true: jax.Array,
    found: jax.Array,
    classes: int,
    ignored: int | None = None,
    weights: jax.Array | None = None,
) -> jax.Array:
    """(classes, classes) int32: how many pixels of class i (row) were found to be j (column).

    Matrices of several batches add; of more than 2 billion pixels of one class, on the host.

    Args:
      true: integers, any shape. A pixel of a class that is not in 0 … classes - 1 is left out.
      found: integers in 0 … classes - 1, true's shape.
      classes: how many there are.
      ignored: a class of ``true`` that does not count, also if it is in 0 … classes - 1.
      weights: of true's first axes, such as (batch,); what has 0 is left out, the rest counts once.
    """
    # In bytes, a cell's number would not fit.
    true, found = true.astype(jnp.int32), found.astype(jnp.int32)
    counts = (true >= 0) & (true < classes)
    if ignored is not None:
        counts &= true != ignored
    if weights is not None:
        axes = weights.shape + (1,) * (true.ndim - weights.ndim)
        counts &= weights.astype(bool).reshape(axes)
    cell = jnp.where(counts, true * classes + found, classes**2)
    empty = jnp.zeros(classes**2, jnp.int32)
    return empty.at[cell.reshape(-1)].add(1, mode="drop").reshape(classes, classes)


def _counted(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pixels that are right, true and found, each (…, classes) float64."""
    matrix = np.asarray(matrix).astype(np.float64)
    return np.diagonal(matrix, axis1=-2, axis2=-1), matrix.sum(-1), matrix.sum(-2)


def _over(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.divide(a, b, out=np.full_like(a, np.nan), where=b != 0)


def _mean(values: np.ndarray) -> np.ndarray:
    """Over the last axis, without what is NaN; NaN of nothing."""
    known = ~np.isnan(values)
    return _over(np.where(known, values, 0).sum(-1), known.sum(-1).astype(np.float64))


def iou(matrix: np.ndarray) -> np.ndarray:
    """(…, classes) float64: intersection over union of each class, or Jaccard's index.

    Args:
      matrix: (…, classes, classes), as `confusion` gives it. NaN is of a class in neither mask.
    """
    right, true, found = _counted(matrix)
    return _over(right, true + found - right)


def dice(matrix: np.ndarray) -> np.ndarray:
    """(…, classes) float64: 2 |A ∩ B| / (|A| + |B|) of each class, which is F1 of its pixels.

    Args:
      matrix: (…, classes, classes), as `confusion` gives it. NaN is of a class in neither mask.
    """
    right, true, found = _counted(matrix)
    return _over(2 * right, true + found)


def recall(matrix: np.ndarray) -> np.ndarray:
    """(…, classes) float64: the share of each class's pixels that was found; NaN of no pixels."""
    right, true, _ = _counted(matrix)
    return _over(right, true)


def precision(matrix: np.ndarray) -> np.ndarray:
    """(…, classes) float64: the share of what was found so that is so; NaN of nothing found."""
    right, _, found = _counted(matrix)
    return _over(right, found)


def mean_iou(matrix: np.ndarray) -> np.ndarray:
    """(…,) float64: mean of `iou` over the classes that are in either mask."""
    return _mean(iou(matrix))


def mean_dice(matrix: np.ndarray) -> np.ndarray:
    """(…,) float64: mean of `dice` over the classes that are in either mask."""
    return _mean(dice(matrix))


def mean_accuracy(matrix: np.ndarray) -> np.ndarray:
    """(…,) float64: mean of `recall` over the classes that there are."""
    return _mean(recall(matrix))


def pixel_accuracy(matrix: np.ndarray) -> np.ndarray:
    """(…,) float64: the share of all pixels that is right; NaN of no pixels."""
    right, true, _ = _counted(matrix)
    return _over(right.sum(-1), true.sum(-1))


def frequency_weighted_iou(matrix: np.ndarray) -> np.ndarray:
    """(…,) float64: mean of `iou`, each class weighing as it has pixels (Long et al., 2015)."""
    _, true, _ = _counted(matrix)
    weighed = np.where(true > 0, true * np.nan_to_num(iou(matrix)), 0)
    return _over(weighed.sum(-1), true.sum(-1))


def boundary_f1(
    true: jax.Array,
    found: jax.Array,
    classes: int,
    ignored: int | None = None,
    tolerance: float | None = None,
) -> jax.Array:
    """(batch, classes) float32: F1 of each class's boundary in each image (Csurka et al., 2013).

    Precision is the share of what was found of a boundary that lies near the true one, recall the
    share of the true one that lies near what was found. A boundary is the pixels of a class one of
    whose four neighbours is of another; the image's edge is none. The usual figure is the mean over
    images, then over classes, without what is NaN.

    Args:
      true: (batch, h, w) integers.
      found: (batch, h, w) integers.
      classes: how many there are.
      ignored: a class of ``true`` whose pixels neither belong to a boundary nor make one.
      tolerance: pixels, at least 0: how far is still near; None: .0075 of the image's diagonal.

    Returns:
      In 0 … 1; NaN where a class has a boundary in neither, 0 where in one of them alone.
    """
    h, w = true.shape[1:]
    tolerance = 0.0075 * math.hypot(h, w) if tolerance is None else tolerance
    if not 0 <= tolerance < math.inf:
        raise ValueError(f"tolerance={tolerance} must be at least 0")
    valid = jnp.ones(true.shape, bool) if ignored is None else true != ignored

    def of_class(label: jax.Array) -> jax.Array:
        a, b = (_boundary(mask == label, valid) for mask in (true, found))
        count = lambda mask: mask.sum((1, 2)).astype(jnp.float32)
        precise, there = count(b & _within(a, tolerance)), count(b)
        recalled, wanted = count(a & _within(b, tolerance)), count(a)
        # 2 p r / (p + r), multiplied out.
        below = precise * wanted + recalled * there
        f1 = 2 * precise * recalled / jnp.where(below > 0, below, 1)
        return jnp.where(there + wanted > 0, f1, jnp.nan)

    return lax.map(of_class, jnp.arange(classes)).T


def _boundary(mask: jax.Array, valid: jax.Array) -> jax.Array:
    """Pixels of (batch, h, w) masks that have a valid neighbour outside."""
    outside = jnp.pad(~mask & valid, ((0, 0), (1, 1), (1, 1)))
    rows, columns = outside[:, :, 1:-1], outside[:, 1:-1]
    near = rows[:, :-2] | rows[:, 2:] | columns[..., :-2] | columns[..., 2:]
    return mask & valid & near


def _within(mask: jax.Array, distance: float) -> jax.Array:
    """Pixels whose distance to one of the mask, (batch, h, w), is at most that: a disc, by rows."""
    reach, h = min(int(distance), mask.shape[1] - 1), mask.shape[1]
    near = jnp.zeros_like(mask)
    for dy in range(reach + 1):
        dx = int(math.sqrt(distance**2 - dy**2))
        wide = lax.reduce_window(
            mask, False, lax.bitwise_or, (1, 1, 2 * dx + 1), (1, 1, 1),
            [(0, 0), (0, 0), (dx, dx)],
        )  # fmt: skip
        padded = jnp.pad(wide, ((0, 0), (dy, dy), (0, 0)))
        near |= padded[:, :h] | padded[:, 2 * dy :]
    return near
