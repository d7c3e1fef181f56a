"""ConvNeXt (Liu et al., 2022, "A ConvNet for the 2020s", section 2).

Images (batch, h, w, c) in, logits (batch, num_classes) float32 out. With depths (3, 3, 9, 3),
widths (96, 192, 384, 768) and a 4x4 stem, ConvNeXt-T: 28,589,128 parameters.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxdl import layers, models, ops


class Block(nn.Module):
    """Depthwise 7x7, norm, 1x1 up, GELU, 1x1 down, layer scale (from 1e-6), and the shortcut."""

    dtype: Any

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """(batch, h, w, c), same shape out."""
        C = x.shape[-1]
        y = layers.Conv(C, 7, groups=C, dtype=self.dtype, name="depthwise")(x)
        y = layers.LayerNorm(dtype=self.dtype, name="norm")(y)
        y = ops.gelu(layers.Dense(4 * C, dtype=self.dtype, name="up")(y))
        y = layers.Dense(C, dtype=self.dtype, name="down")(y)
        scale = self.param("scale", nn.initializers.constant(1e-6), (C,), jnp.float32)
        return x + (y * scale).astype(x.dtype)


@models.register("benchmark_convnext")
class ConvNeXt(nn.Module):
    """Stages of blocks; between them a norm and a 2x2 convolution of stride 2.

    Attributes:
      num_classes: logits at the end.
      depths: blocks of each stage.
      widths: features of each stage.
      stem: kernel and stride of the first convolution.
      dtype: of the computation; parameters, statistics and logits stay float32.
    """

    num_classes: int = 1000
    depths: Sequence[int] = (3, 3, 9, 3)
    widths: Sequence[int] = (96, 192, 384, 768)
    stem: int = 4
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """(batch, h, w, c) -> (batch, num_classes)."""
        norm = lambda name: layers.LayerNorm(dtype=self.dtype, name=name)
        for i, (depth, width) in enumerate(zip(self.depths, self.widths, strict=True)):
            k = 2 if i else self.stem
            if i:
                x = norm(f"reduce_norm_{i}")(x)
            x = layers.Conv(
                width, k, stride=k, padding=0, dtype=self.dtype, name=f"reduce_{i}" if i else "stem"
            )(x)
            if not i:
                x = norm("stem_norm")(x)
            for j in range(depth):
                x = Block(self.dtype, name=f"block_{i}_{j}")(x)
        x = norm("norm")(x.mean(axis=(1, 2)))
        return layers.Dense(self.num_classes, name="head")(
            x.astype(jnp.promote_types(x.dtype, jnp.float32))
        )
