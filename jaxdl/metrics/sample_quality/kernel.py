"""Kernel distance: the maximum mean discrepancy of two sets of features."""

from typing import NamedTuple

import numpy as np

# As published: subsets that are drawn, and examples of each.
SUBSETS, SIZE = 100, 1000


class KernelDistance(NamedTuple):
    """An estimate, and how sure it is.

    Attributes:
      value: the mean over subsets; it can be below 0.
      error: the standard deviation of a subset's estimate.
    """

    value: float
    error: float


def kernel_distance(
    a: np.ndarray, b: np.ndarray, *, subsets: int = SUBSETS, size: int | None = None, seed: int = 0
) -> KernelDistance:
    """Squared maximum mean discrepancy under the kernel (x·y / d + 1)³, its unbiased estimate.

    Bińkowski et al., 2018, "Demystifying MMD GANs", section 4 (KID, where the features are
    Inception's); the estimate is Gretton et al.'s, 2012, equation 3. Other than the Fréchet
    distance it has 0 as its mean for any number of examples of one distribution.

    Args:
      a: features (n, d).
      b: the same, (m, d). It is symmetric in the two but for the draws.
      subsets: of each set that are drawn; the examples of one are all different.
      size: examples of each, at least 2; by default 1000, or half of the smaller set where that is
        less: subsets of all there is have no error.
      seed: of the draws.

    Raises:
      ValueError: other numbers of features, or a size that is more than there are, or below 2.
    """
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1]:
        raise ValueError(f"features must be (n, d) and (m, d), not {a.shape} and {b.shape}")
    fewer = min(len(a), len(b))
    size = min(SIZE, fewer // 2) if size is None else size
    if not 2 <= size <= fewer:
        raise ValueError(f"subsets of {size} of {fewer} examples: from 2 to as many as there are")
    rng = np.random.default_rng(seed)
    picked = lambda x: x[rng.choice(len(x), size, replace=False)]
    found = [_discrepancy(picked(a), picked(b)) for _ in range(subsets)]
    return KernelDistance(float(np.mean(found)), float(np.std(found)))


def _discrepancy(x: np.ndarray, y: np.ndarray) -> float:
    """Of two sets (n, d) of one size."""
    n = len(x)
    within = 0.0
    for z in (x, y):
        kernel = _kernel(z, z)
        within += (kernel.sum() - np.trace(kernel)) / (n * (n - 1))
    return within - 2 * _kernel(x, y).mean()


def _kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    product = x @ y.T / x.shape[1] + 1
    return product * product * product  # much sooner than a power of floats
