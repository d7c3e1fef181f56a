"""EDSR: residual blocks without batch norm on the small picture, and channels as pixels at last.

Lim et al., 2017, "Enhanced Deep Residual Networks for Single Image Super-Resolution" (arXiv
1707.02921), figures 2, 3 and 6, and table 1; details as in the authors' PyTorch code: all
convolutions are 3x3 with bias, a block is a convolution, ReLU and a convolution, the mean colour is
taken off in front and put back behind, and x4 is x2 twice.

The code's pictures are in 0 … 255 and these in [0, 1]. The network between the means is homogeneous
of degree 1 in pictures and biases together, so that its weights are the authors' with biases
divided by 255 (`jaxdl.pretrained.edsr`).

Images (batch, h, w, c) in [0, 1] in, (batch, r h, r w, c) float32 out. Parameters for 3 channels:

model | blocks x channels | x2 | x3 | x4
--- | --- | --- | --- | ---
``edsr_baseline`` | 16 x 64 | 1,369,859 | 1,554,499 | 1,517,571
``edsr`` | 32 x 256 | 40,729,603 | 43,680,003 | 43,089,923
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxdl import layers, ops
from jaxdl.errors import UserError
from jaxdl.layers.initializers import PYTORCH
from jaxdl.models import register

# Factors of the picture's sides, one after the other, by the whole.
STEPS = {2: (2,), 3: (3,), 4: (2, 2)}

# Of DIV2K's training pictures, red, green and blue in [0, 1].
MEAN = (0.4488, 0.4371, 0.4040)


@register("edsr", {"edsr_baseline": dict(depth=16, width=64, residual_scale=1.0)})
class EDSR(nn.Module):
    """Convolution, residual blocks with one more convolution and a way around, then the pixels.

    Attributes:
      scale: r, by how many times the picture becomes larger: 2, 3 or 4.
      channels: of the picture.
      depth: residual blocks.
      width: channels of all of them.
      residual_scale: what a block's result is multiplied by before it is added.
      mean: of each channel, in [0, 1], which is taken off and put back; its mean for all, where the
        pictures have other channels.
      dtype: of the computation; parameters, the last convolution and what comes out are float32.
    """

    scale: int = 2
    channels: int = 3
    depth: int = 32
    width: int = 256
    residual_scale: float = 0.1
    mean: tuple[float, ...] = MEAN
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """(batch, h, w, channels) -> (batch, h * scale, w * scale, channels) float32.

        ``train`` changes nothing here.

        Raises:
          UserError: no such scale.
        """
        del train
        if self.scale not in STEPS:
            raise UserError(
                f"EDSR makes pictures {', '.join(map(str, STEPS))} times as large, not {self.scale}"
            )
        wide = ops.wide_dtype(self.dtype)
        mean = jnp.asarray(self._mean(), wide).reshape(1, 1, 1, -1)
        conv = lambda features, name, dtype=self.dtype: layers.Conv(
            features, kernel_init=PYTORCH, dtype=dtype, name=name
        )
        first = x = conv(self.width, "first")(x - mean)
        for i in range(self.depth):
            x = Block(self.width, self.residual_scale, self.dtype, name=f"block_{i}")(x)
        x = first + conv(self.width, "joined")(x)
        for i, step in enumerate(STEPS[self.scale]):
            x = ops.pixel_shuffle(conv(self.width * step**2, f"larger_{i}")(x), step)
        return conv(self.channels, "last", wide)(x.astype(wide)) + mean

    @property
    def of_scale(self) -> tuple[str, ...]:
        """Submodules that are of one scale."""
        return ("larger_0", "larger_1")

    @property
    def reach(self) -> int:
        """Pixels of the small picture, to each side of its own, that a pixel depends on."""
        # Those behind the first of the larger pictures' reach over one edge of a pixel at most.
        return 1 + 2 * self.depth + 1 + 1 + 1

    @nn.nowrap
    def _mean(self) -> tuple[float, ...]:
        if len(self.mean) == self.channels:
            return tuple(self.mean)
        return (sum(self.mean) / len(self.mean),)


class Block(nn.Module):
    """Convolution, ReLU, convolution, with a way around.

    Attributes:
      width: channels.
      residual_scale: what is added of the result.
      dtype: of the computation.
    """

    width: int
    residual_scale: float = 1.0
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """(batch, h, w, width) in and out."""
        how = dict(kernel_init=PYTORCH, dtype=self.dtype)
        y = ops.relu(layers.Conv(self.width, **how, name="conv_0")(x))
        y = layers.Conv(self.width, **how, name="conv_1")(y)
        return x + y * self.residual_scale
