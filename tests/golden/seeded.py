"""Weights and images that both sides of a comparison draw, so that no file has to hold them."""

import zlib

import numpy as np

# Of detectors: sums of maps stay near 1, scores away from it, and regions near their anchors.
_FACTORS = {"fpn.inner_blocks": 0.03, "cls_logits": 4.0, "cls_score": 4.0, "bbox_pred": 0.1}


def normal(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Standard normal float64; NumPy promises this generator's numbers for all versions."""
    return np.random.RandomState(zlib.crc32(name.encode())).standard_normal(shape)


def weight(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """A tensor of a checkpoint, float32, of a size that keeps what passes through near 1.

    Args:
      name: the tensor's, in a PyTorch state dict.
      shape: there.
    """
    x = normal(name, shape)
    if name.endswith("running_var"):
        x = 0.5 + np.abs(x)
    elif len(shape) < 2:
        x = 0.2 * x + (0.0 if name.endswith(("bias", "running_mean")) else 1.0)
    elif shape[0] == 1:
        x = 0.5 * x
    else:
        x = x * np.sqrt(2 / np.prod(shape[1:]))
    if name.endswith("Attention.q.weight"):
        x = 0.2 * x  # T5 does not scale its scores: attention to one key alone is all rounding
    for part, factor in _FACTORS.items():
        x = factor * x if part in name and len(shape) > 1 else x
    return x.astype(np.float32)


def images(shape: tuple[int, ...]) -> np.ndarray:
    """A batch (batch, h, w, c) float32."""
    return normal("images", shape).astype(np.float32)


def labels(batch: int, classes: int) -> np.ndarray:
    """(batch,) int64."""
    return np.arange(batch) * 3 % classes


def summary(name: str, x: np.ndarray) -> np.ndarray:
    """A tensor's length and its products with two directions of length √size, float64 (3,)."""
    x = np.asarray(x, np.float64)
    along = [(x * normal(f"{name}/{i}", x.shape)).sum() for i in range(2)]
    return np.array([np.sqrt((x * x).sum()), *along])


def sample(x: np.ndarray, most: int = 512) -> np.ndarray:
    """Up to about ``most`` values of an array, evenly spread, float32."""
    flat = np.asarray(x).reshape(-1)
    return flat[:: max(1, flat.size // most)].astype(np.float32)


def pictures(
    name: str, shape: tuple[int, int, int], noise: float, peak: float
) -> tuple[np.ndarray, np.ndarray]:
    """A smooth picture (h, w, c) float64 in [0, peak] with noise, and without; "flat" is grey."""
    h, w, c = shape
    y, x = np.mgrid[:h, :w].astype(np.float64)[..., None]
    turns = np.arange(1, c + 1)
    smooth = 0.5 + 0.0 * x * turns
    if name != "flat":
        smooth = smooth + 0.25 * np.sin(0.4 * x * turns + 1) + 0.25 * np.cos(0.3 * y + turns)
    noisy = smooth + noise * normal(name, shape)
    return peak * np.clip(noisy, 0, 1), peak * smooth
