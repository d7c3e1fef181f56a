"""Pix2Pix's generator: a U-Net from picture to picture.

Isola et al., 2017, "Image-to-Image Translation with Conditional Adversarial Networks" (arXiv
1611.07004), appendix 6.1.1, with the details of the authors' PyTorch code: 4x4 convolutions of
stride 2 down and transposed ones up, LeakyReLU of slope .2 in front of those and ReLU of these; the
outermost and the innermost map are not normalised on the way down; each map on the way up stands
beside the one of its size on the way down. (The paper crops nothing, and neither does this; for
segmentation there is `jaxdl.models.unet`.)

Pictures (batch, h, w, c) in [-1, 1] in, (batch, h, w, channels) float32 in [-1, 1] out; h and w are
multiples of 2 ^ depth. Parameters of ``pix2pix_256``, 3 channels to 3: 54,413,955; of
``pix2pix_128``: 41,828,995.
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxdl import layers, ops
from jaxdl.errors import UserError
from jaxdl.layers.picture_norm import INITIALIZER, picture_norm
from jaxdl.models import register

VARIANTS = {"pix2pix_256": dict(depth=8), "pix2pix_128": dict(depth=7)}


@register("pix2pix", VARIANTS)
class Pix2Pix(nn.Module):
    """Halvings as far as a pixel, and doublings back.

    Attributes:
      channels: of what is made.
      depth: halvings.
      width: features of the first map; each further has twice as many, 8 times as many at most.
      dropout: rate, in training, behind the doublings between maps of 8 · width features but the
        innermost.
      normalization: "batch" as published, or "instance" (without parameters; convolutions have a
        bias then). At a batch of one both go by the statistics of the picture itself in training.
      dtype: of the computation; parameters, statistics and pictures stay float32.
    """

    channels: int = 3
    depth: int = 8
    width: int = 64
    dropout: float = 0.5
    normalization: str = "batch"
    dtype: Any = jnp.float32

    @property
    def multiple(self) -> int:
        """What the sides of pictures are multiples of."""
        return 2**self.depth

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """(batch, h, w, c) in [-1, 1] -> (batch, h, w, channels) float32 in [-1, 1].

        Raises:
          UserError: fields that cannot be, or pictures of other sizes.
        """
        if self.depth < 2 or self.width < 1:
            raise UserError(
                f"config.model: depth={self.depth} must be at least 2 and width={self.width} 1"
            )
        if any(side % self.multiple for side in x.shape[1:3]):
            raise UserError(
                f"pictures of {x.shape[2]} x {x.shape[1]} pixels cannot be halved "
                f"{self.depth} times: sides must be multiples of {self.multiple}, or "
                "config.model.depth smaller"
            )
        wide = ops.wide_dtype(self.dtype)
        fields = dict(kernel_init=INITIALIZER, dtype=self.dtype)
        fields |= dict(use_bias=self.normalization == "instance")
        norm = lambda name: picture_norm(self.normalization, train, self.dtype, name)
        features = [self.width * min(2**i, 8) for i in range(self.depth)]
        maps = []
        for i, count in enumerate(features):
            if i:
                x = ops.leaky_relu(x, 0.2)
            shape = dict(kernel_size=4, stride=2, padding=1, name=f"down_{i}")
            x = layers.Conv(count, **shape, **fields)(x)
            if 0 < i < self.depth - 1:
                x = norm(f"down_norm_{i}")(x)
            maps.append(x)
        for i in range(self.depth - 1, 0, -1):
            x = layers.ConvTranspose(features[i - 1], **fields, name=f"up_{i}")(ops.relu(x))
            x = norm(f"up_norm_{i}")(x)
            if 4 <= i < self.depth - 1:
                x = layers.Dropout(self.dropout)(x, train=train)
            x = jnp.concatenate([maps[i - 1], x], axis=-1)
        last = dict(kernel_init=INITIALIZER, dtype=wide, name="up_0")
        x = layers.ConvTranspose(self.channels, **last)(ops.relu(x).astype(wide))
        return ops.tanh(x)
