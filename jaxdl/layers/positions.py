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


def sinusoids(t: jax.Array, features: int, longest: float = 10000.0) -> jax.Array:
    """What a number is to a network: sines and cosines of it, as DDPM embeds its timesteps.

    Vaswani et al., 2017, section 3.5, with all sines first and the last frequency 1 / ``longest``,
    as in the code that Ho, Jain and Abbeel, 2020, published. Of ``arange(length)`` they are the
    fixed positions of Whisper's encoder.

    Args:
      t: (…) integers or floats.
      features: an even number, at least 4.
      longest: the last wavelength is 2π times this.

    Returns:
      (…, features) float32.
    """
    half = features // 2
    if features % 2 or half < 2:
        raise ValueError(f"features must be an even number from 4 on, got {features}")
    rate = longest ** -(np.arange(half) / (half - 1))
    angle = t[..., None].astype(jnp.float32) * rate.astype(np.float32)
    return jnp.concatenate([jnp.sin(angle), jnp.cos(angle)], axis=-1)
