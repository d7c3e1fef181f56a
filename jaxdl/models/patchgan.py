"""PatchGAN: a discriminator that tells for every patch of a picture whether it is real.

Isola et al., 2017, "Image-to-Image Translation with Conditional Adversarial Networks" (arXiv
1611.07004), section 3.2.2 and appendix 6.1.2, with the details of the authors' PyTorch code: 4x4
convolutions with LeakyReLU of slope .2 between, normalised but for the first and the last; the last
two have stride 1, and all zeros around of 1 pixel. ``depth=3`` looks at patches of 70 x 70 pixels,
``depth=1`` at 16 x 16.

Pictures (batch, h, w, channels) in, in [-1, 1], logits (batch, h', w') float32 out, high for real
ones. Parameters of ``patchgan``, at 64 features:

channels | normalization | parameters
--- | --- | ---
6 | "batch" (Pix2Pix: a picture and what is made of it) | 2,768,705
3 | "instance" (CycleGAN) | 2,764,737
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxdl import layers, ops
from jaxdl.errors import UserError
from jaxdl.layers.picture_norm import INITIALIZER, picture_norm
from jaxdl.models import register


@register("patchgan")
class PatchGAN(nn.Module):
    """Halvings, one convolution of stride 1, and the logits.

    Attributes:
      channels: of the pictures, together where it sees two.
      width: features of the first map; each further has twice as many, 8 times as many at most.
      depth: halvings.
      normalization: "batch" or "instance" (without parameters; convolutions have a bias then).
      dtype: of the computation; parameters, statistics and logits stay float32.
    """

    channels: int = 6
    width: int = 64
    depth: int = 3
    normalization: str = "batch"
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """(batch, h, w, channels) -> (batch, h', w') float32.

        Raises:
          UserError: fields that cannot be, or pictures too small for a patch.
        """
        if min(self.width, self.depth) < 1:
            raise UserError(
                f"the discriminator's width={self.width} and depth={self.depth} must be at least 1"
            )
        if x.shape[-1] != self.channels:
            raise UserError(
                f"the discriminator takes pictures of {self.channels} channels, not {x.shape[-1]}"
            )
        side, least = min(x.shape[1:3]), 3 * 2**self.depth
        if side < least:
            raise UserError(
                f"pictures of {x.shape[2]} x {x.shape[1]} pixels are too small for a discriminator "
                f"of {self.depth} halvings: it takes {least} a side, or a smaller depth"
            )
        conv = lambda features, name, stride, use_bias=True, dtype=self.dtype: layers.Conv(
            features,
            kernel_size=4,
            stride=stride,
            padding=1,
            use_bias=use_bias,
            kernel_init=INITIALIZER,
            dtype=dtype,
            name=name,
        )
        x = ops.leaky_relu(conv(self.width, "conv_0", 2)(x), 0.2)
        for i in range(1, self.depth + 1):
            features = self.width * min(2**i, 8)
            stride = 2 if i < self.depth else 1
            x = conv(features, f"conv_{i}", stride, self.normalization == "instance")(x)
            x = picture_norm(self.normalization, train, self.dtype, f"norm_{i}")(x)
            x = ops.leaky_relu(x, 0.2)
        wide = ops.wide_dtype(self.dtype)
        return conv(1, "logits", 1, dtype=wide)(x.astype(wide))[..., 0]
