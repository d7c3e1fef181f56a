"""The image transformation network of fast style transfer: a photograph in, a painting out.

Johnson, Alahi and Fei-Fei, 2016, "Perceptual Losses for Real-Time Style Transfer and
Super-Resolution" (arXiv 1603.08155) and its supplement, table 1, in the form of PyTorch's example
``fast_neural_style``, whose class bears this name: instance norm (Ulyanov et al., 2016, arXiv
1607.08022) in place of batch norm, convolutions that see their picture mirrored at its edges,
enlarging by repeated pixels (Odena et al., 2016, "Deconvolution and Checkerboard Artifacts"), and
no tanh at the end.

That code's pictures are in 0 … 255 and these in [0, 1]: its first kernel is this one's over 255,
its last kernel and bias are 255 times these (`jaxdl.pretrained.transformer_net`).

Pictures (batch, h, w, c) in [0, 1] in, (batch, h, w, channels) float32 out, about [0, 1], not cut
off there; h and w are multiples of 4 and at least 8. Parameters, 3 channels to 3:
``transformer_net`` 1,679,235.
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxdl import layers, ops
from jaxdl.errors import UserError
from jaxdl.layers.initializers import PYTORCH
from jaxdl.models import register

# Pixels a side of the first and the last convolution.
_WINDOW = 9


@register("transformer_net")
class TransformerNet(nn.Module):
    """Convolution, two halvings, residual blocks, two doublings, convolution.

    Attributes:
      channels: of the pictures, in and out.
      width: features of the largest maps; a halving doubles them.
      depth: residual blocks.
      halvings: in front of the blocks, and doublings behind.
      dtype: of the computation; parameters, statistics and pictures stay float32.
    """

    channels: int = 3
    width: int = 32
    depth: int = 5
    halvings: int = 2
    dtype: Any = jnp.float32

    @property
    def multiple(self) -> int:
        """What the sides of pictures are multiples of."""
        return 2**self.halvings

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """(batch, h, w, channels) -> the same shape, float32. ``train`` changes nothing here.

        Raises:
          UserError: fields that cannot be, or pictures of other sizes.
        """
        del train
        self._check(x.shape[1:3])
        x = ops.relu(self._normed(x, self.width, "first", window=_WINDOW))
        for i in range(self.halvings):
            x = self._normed(x, self.width * 2 ** (i + 1), f"halve_{i}", stride=2)
            x = ops.relu(x)
        for i in range(self.depth):
            y = ops.relu(self._normed(x, x.shape[-1], f"block_{i}_conv_0"))
            x = x + self._normed(y, x.shape[-1], f"block_{i}_conv_1")
        for i in reversed(range(self.halvings)):
            x = x.repeat(2, axis=1).repeat(2, axis=2)
            x = ops.relu(self._normed(x, self.width * 2**i, f"double_{self.halvings - 1 - i}"))
        wide = ops.wide_dtype(self.dtype)
        last = dict(kernel_size=_WINDOW, padding=0, kernel_init=PYTORCH, dtype=wide, name="last")
        around = ops.mirrored(x, _WINDOW // 2).astype(wide)
        return layers.Conv(self.channels, **last)(around)

    @nn.nowrap
    def _normed(
        self, x: jax.Array, features: int, name: str, window: int = 3, stride: int = 1
    ) -> jax.Array:
        """Mirrored edges, a convolution and instance norm with parameters."""
        how = dict(kernel_size=window, stride=stride, padding=0, kernel_init=PYTORCH)
        conv = layers.Conv(features, **how, dtype=self.dtype, name=name)
        norm = layers.GroupNorm(features, dtype=self.dtype, name=f"{name}_norm")
        return norm(conv(ops.mirrored(x, window // 2)))

    @nn.nowrap
    def _check(self, sides: tuple[int, int]) -> None:
        if min(self.depth, self.halvings) < 0 or self.width < 1:
            raise UserError(
                f"config.model: depth={self.depth} and halvings={self.halvings} must be at least "
                f"0, and width={self.width} at least 1"
            )
        least = max(2 * self.multiple, _WINDOW // 2 + 1)
        least += -least % self.multiple
        if any(side % self.multiple or side < least for side in sides):
            raise UserError(
                f"pictures of {sides[1]} x {sides[0]} pixels do not do for {self.halvings} "
                f"halvings: sides must be multiples of {self.multiple}, and at least {least}"
            )
