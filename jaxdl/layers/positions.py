"""Where a token stands: learned and fixed position embeddings."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn


def learned_positions(module: nn.Module, length: int, width: int) -> jax.Array:
    """Declares the parameter ``position`` (1, length, width), normal with deviation .02."""
    return module.param("position", nn.initializers.normal(0.02), (1, length, width), jnp.float32)


def sincos_positions(height: int, width: int, features: int) -> np.ndarray:
    """Fixed two-dimensional positions, as of MoCo v3 (Chen, Xie and He, 2021, section 4).

    A quarter of the features each is sin x, cos x, sin y, cos y, at wavelengths in geometric
    progression from 2π to 10000·2π patches (Vaswani et al., 2017, section 3.5).

    Args:
      height: rows of patches.
      width: columns of patches.
      features: a multiple of 4.

    Returns:
      (1, height * width, features) float32, rows first.
    """
    if features % 4:
        raise ValueError(f"features must be a multiple of 4, got {features}")
    rate = 10000.0 ** -(np.arange(features // 4) / max(features // 4 - 1, 1))
    y, x = np.mgrid[:height, :width]
    y, x = y.reshape(-1, 1) * rate, x.reshape(-1, 1) * rate
    table = np.concatenate([np.sin(x), np.cos(x), np.sin(y), np.cos(y)], axis=1)
    return table[None].astype(np.float32)
