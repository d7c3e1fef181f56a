"""Some of many examples, to stand for all."""

import numpy as np


def evenly(size: int, most: int) -> np.ndarray:
    """Indices of up to ``most`` of ``size`` examples, evenly spread, both ends among them."""
    return np.linspace(0, size - 1, min(size, most)).round().astype(np.int64)
