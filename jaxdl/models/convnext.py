"""ConvNeXt (Liu et al., 2022, "A ConvNet for the 2020s", sections 2 and 3.1).

Images (batch, h, w, c) in, logits (batch, num_classes) float32 out; h and w of 32 or more. Maps
have strides of 4, 8, 16 and 32. Parameters at 3 channels and 1000 classes: convnext_t 28,589,128;
convnext_s 50,223,688; convnext_b 88,591,464; convnext_l 197,767,336; convnext_xl 350,196,968.
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxdl import layers, ops
from jaxdl.errors import UserError
from jaxdl.models import register
from jaxdl.models.lengths import check_lengths

VARIANTS = {
    "convnext_t": dict(depths=(3, 3, 9, 3), widths=(96, 192, 384, 768)),
    "convnext_s": dict(depths=(3, 3, 27, 3), widths=(96, 192, 384, 768)),
    "convnext_b": dict(depths=(3, 3, 27, 3), widths=(128, 256, 512, 1024)),
    "convnext_l": dict(depths=(3, 3, 27, 3), widths=(192, 384, 768, 1536)),
    "convnext_xl": dict(depths=(3, 3, 27, 3), widths=(256, 512, 1024, 2048)),
}

# The published one is truncated at ±2, a hundred deviations away.
INIT = nn.initializers.normal(0.02)


class Block(nn.Module):
    """Depthwise 7x7, norm, 1x1 up, GELU, 1x1 down, layer scale; what went in is added.

    Attributes:
      drop_path: stochastic depth.
      layer_scale: initial value of ``scale`` (c), which multiplies the result.
      dtype: of the computation.
    """

    drop_path: float = 0.0
    layer_scale: float = 1e-6
    dtype: Any = None

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """(batch, h, w, c), same shape out."""
        C = x.shape[-1]
        how = dict(kernel_init=INIT, dtype=self.dtype)
        y = layers.Conv(C, 7, groups=C, **how, name="depthwise")(x)
        y = layers.LayerNorm(dtype=self.dtype, name="norm")(y)
        y = ops.gelu(layers.Dense(4 * C, **how, name="up")(y))
        y = layers.Dense(C, **how, name="down")(y)
        scale = self.param("scale", nn.initializers.constant(self.layer_scale), (C,), jnp.float32)
        y = (y * scale).astype(x.dtype)
        return x + layers.DropPath(self.drop_path, name="drop")(y, train=train)


@register("convnext", VARIANTS)
class ConvNeXt(nn.Module):
    """Stages of blocks; between them a norm and a 2x2 convolution of stride 2.

    Attributes:
      num_classes: logits at the end; 0 for the features that they are made of.
      depths: blocks of each stage.
      widths: features of each stage.
      stem: kernel and stride of the first convolution.
      layer_scale: what the blocks' results are multiplied by at first.
      head_epsilon: of the norm between pooling and head; all others have 1e-6.
      drop_path: stochastic depth of the last block; earlier blocks' rise linearly from 0.
      dtype: of the computation; parameters, statistics and logits stay float32.
    """

    num_classes: int = 1000
    depths: tuple[int, ...] = (3, 3, 9, 3)
    widths: tuple[int, ...] = (96, 192, 384, 768)
    stem: int = 4
    layer_scale: float = 1e-6
    head_epsilon: float = 1e-6
    drop_path: float = 0.0
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self, x: jax.Array, *, train: bool = False, features: bool = False
    ) -> jax.Array | dict[int, jax.Array]:
        """(batch, h, w, c) -> (batch, num_classes), or (batch, c) without classes.

        With ``features``: {stride: the last map of each stage (batch, h / stride, w / stride, c)}.

        Raises:
          UserError: the image is smaller than the last stride, or there are not as many widths as
            depths.
        """
        check_lengths(self, "depths", "widths")
        smallest = self.stem << (len(self.depths) - 1)
        if min(x.shape[1:3]) < smallest:
            size = "{}x{}".format(*x.shape[1:3])
            raise UserError(f"images of {size} pixels are too small: at least {smallest} a side")

        def norm(name: str, epsilon: float = 1e-6) -> nn.Module:
            return layers.LayerNorm(epsilon=epsilon, dtype=self.dtype, name=name)

        def patches(name: str, width: int, side: int) -> nn.Module:
            how = dict(stride=side, padding=0, kernel_init=INIT, dtype=self.dtype)
            return layers.Conv(width, side, **how, name=name)

        pyramid, first, last = {}, 0, max(sum(self.depths) - 1, 1)
        for i, (depth, width) in enumerate(zip(self.depths, self.widths, strict=True)):
            if i:
                x = patches(f"reduce_{i}", width, 2)(norm(f"reduce_norm_{i}")(x))
            else:
                x = norm("stem_norm")(patches("stem", width, self.stem)(x))
            for j in range(depth):
                block = Block(
                    drop_path=self.drop_path * (first + j) / last,
                    layer_scale=self.layer_scale,
                    dtype=self.dtype,
                    name=f"block_{i}_{j}",
                )
                x = block(x, train=train)
            pyramid[self.stem << i] = x
            first += depth
        if features:
            return pyramid
        x = norm("norm", self.head_epsilon)(x.mean(axis=(1, 2)))
        x = ops.widen(x)
        if not self.num_classes:
            return x
        return layers.Dense(self.num_classes, kernel_init=INIT, name="head")(x)
