"""ESPCN: a small network that works on the small picture, and lays channels out as pixels at last.

Shi et al., 2016, "Real-Time Single Image and Video Super-Resolution Using an Efficient Sub-Pixel
Convolutional Neural Network" (arXiv 1609.05158), section 3.4: 64 channels by 5x5, 32 by 3x3, and r²
by 3x3 for each channel of the picture, tanh between them. It works on luminance: colours are
enlarged bicubically, by whoever uses it.

Images (batch, h, w, c) in [0, 1] in, (batch, r h, r w, c) float32 out. Parameters for one channel:
21,284 for x2, 22,729 for x3, 24,752 for x4.
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxdl import layers, ops
from jaxdl.layers.initializers import PYTORCH
from jaxdl.models import register
from jaxdl.models.lengths import check_lengths

# Pixels a side of each convolution's kernel, the last one's too.
KERNELS = (5, 3, 3)


@register("espcn")
class ESPCN(nn.Module):
    """Three convolutions at the small picture's size.

    Attributes:
      scale: r, by how many times the picture becomes larger.
      channels: of the picture; 1 is luminance.
      widths: channels of the first two convolutions.
      activation: behind these, a name in `jaxdl.ops.activations`; the paper's is tanh.
      dtype: of the computation; parameters, the last convolution and what comes out are float32.
    """

    scale: int = 2
    channels: int = 1
    widths: tuple[int, int] = (64, 32)
    activation: str = "tanh"
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """(batch, h, w, channels) -> (batch, h * scale, w * scale, channels) float32.

        ``train`` changes nothing here.
        """
        del train
        check_lengths(self, "widths", count=2)
        for i, (width, kernel) in enumerate(zip(self.widths, KERNELS, strict=False)):
            x = layers.ConvAct(
                width, kernel, activation=self.activation, kernel_init=PYTORCH,
                dtype=self.dtype, name=f"block_{i}",
            )(x)  # fmt: skip
        x = ops.widen(x)
        x = layers.Conv(
            self.channels * self.scale**2, KERNELS[-1], kernel_init=PYTORCH, name="shuffled"
        )(x)
        return ops.pixel_shuffle(x, self.scale)

    @property
    def of_scale(self) -> tuple[str, ...]:
        """Submodules that are of one scale."""
        return ("shuffled",)

    @property
    def reach(self) -> int:
        """Pixels of the small picture, to each side of its own, that a pixel depends on."""
        return sum(kernel // 2 for kernel in KERNELS)
