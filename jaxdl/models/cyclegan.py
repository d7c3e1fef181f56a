"""CycleGAN's generator: residual blocks between two halvings and two doublings.

Zhu et al., 2017, "Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks"
(arXiv 1703.10593), section 4 and appendix 7.2, after Johnson et al., 2016; with the details of the
authors' PyTorch code: the 7x7 convolutions and those of the blocks see their picture mirrored at
its edges, and all are normalised by each picture's own statistics, without parameters, and have a
bias.

Pictures (batch, h, w, c) in [-1, 1] in, (batch, h, w, channels) float32 in [-1, 1] out; h and w are
multiples of 4. Parameters, 3 channels to 3: ``cyclegan_9``, for pictures from 256 pixels on,
11,378,179; ``cyclegan_6`` 7,837,699.
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxdl import layers, ops
from jaxdl.errors import UserError
from jaxdl.layers.picture_norm import INITIALIZER, picture_norm
from jaxdl.models import register

VARIANTS = {"cyclegan_9": dict(depth=9), "cyclegan_6": dict(depth=6)}


@register("cyclegan", VARIANTS)
class CycleGAN(nn.Module):
    """One way: the task has two of it.

    Attributes:
      channels: of what is made.
      depth: residual blocks.
      width: features of the largest maps; a halving doubles them.
      halvings: in front of the blocks, and doublings behind.
      dropout: rate, in training, within blocks.
      normalization: "instance" as published (without parameters), or "batch", with which the
        convolutions but the last have no bias.
      dtype: of the computation; parameters, statistics and pictures stay float32.
    """

    channels: int = 3
    depth: int = 9
    width: int = 64
    halvings: int = 2
    dropout: float = 0.0
    normalization: str = "instance"
    dtype: Any = jnp.float32

    @property
    def multiple(self) -> int:
        """What the sides of pictures are multiples of."""
        return 2**self.halvings

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """(batch, h, w, c) in [-1, 1] -> (batch, h, w, channels) float32 in [-1, 1].

        Raises:
          UserError: fields that cannot be, or pictures of other sizes.
        """
        if min(self.depth, self.halvings) < 0 or self.width < 1:
            raise UserError(
                f"config.model: depth={self.depth} and halvings={self.halvings} must be at least "
                f"0, and width={self.width} at least 1"
            )
        sides = x.shape[1:3]
        if any(side % self.multiple or side < max(4, 2 * self.multiple) for side in sides):
            raise UserError(
                f"pictures of {sides[1]} x {sides[0]} pixels do not do for {self.halvings} "
                f"halvings: sides must be multiples of {self.multiple}, and at least "
                f"{max(4, 2 * self.multiple)}"
            )
        wide = ops.wide_dtype(self.dtype)
        has_bias = self.normalization == "instance"
        fields = dict(kernel_init=INITIALIZER, use_bias=has_bias, dtype=self.dtype)
        norm = lambda name: picture_norm(self.normalization, train, self.dtype, name)
        first = dict(kernel_size=7, padding=0, name="first")
        x = layers.Conv(self.width, **first, **fields)(ops.mirrored(x, 3))
        x = ops.relu(norm("first_norm")(x))
        for i in range(self.halvings):
            shape = dict(stride=2, padding=1, name=f"halve_{i}")
            x = layers.Conv(self.width * 2 ** (i + 1), **shape, **fields)(x)
            x = ops.relu(norm(f"halve_norm_{i}")(x))
        for i in range(self.depth):
            x = Block(self.dropout, self.normalization, self.dtype, name=f"block_{i}")(x, train)
        for i in range(self.halvings):
            shape = dict(kernel_size=3, stride=2, padding=1, output_padding=1, name=f"double_{i}")
            features = self.width * 2 ** (self.halvings - i - 1)
            x = layers.ConvTranspose(features, **shape, **fields)(x)
            x = ops.relu(norm(f"double_norm_{i}")(x))
        last = dict(kernel_size=7, padding=0, kernel_init=INITIALIZER, dtype=wide, name="last")
        return ops.tanh(layers.Conv(self.channels, **last)(ops.mirrored(x, 3).astype(wide)))


class Block(nn.Module):
    """Convolution, norm, ReLU, convolution and norm, with a way around; fields as `CycleGAN`'s."""

    dropout: float
    normalization: str
    dtype: Any = None

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """(batch, h, w, channels) in and out."""
        has_bias = self.normalization == "instance"
        how = dict(padding=0, kernel_init=INITIALIZER, use_bias=has_bias, dtype=self.dtype)
        norm = lambda name: picture_norm(self.normalization, train, self.dtype, name)
        y = layers.Conv(x.shape[-1], **how, name="conv_0")(ops.mirrored(x, 1))
        y = ops.relu(norm("norm_0")(y))
        y = layers.Dropout(self.dropout)(y, train=train)
        y = layers.Conv(x.shape[-1], **how, name="conv_1")(ops.mirrored(y, 1))
        return x + norm("norm_1")(y)
