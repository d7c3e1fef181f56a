"""Dense and convolution layers that scale their weights as they are used: equal learning rates.

Karras et al., 2018, "Progressive Growing of GANs", section 4.1: weights are drawn with deviation 1
and multiplied by He's deviation at each use, so that an optimizer whose steps do not depend on the
gradient's size, as Adam's, changes all layers as fast. Here by 1 / √fan-in, the activations of such
networks having the gain √2 themselves (Karras et al., 2020).
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxdl import ops


def scaled_kernel(module: nn.Module, shape: Sequence[int], rate: float = 1.0) -> jax.Array:
    """The parameter ``kernel`` of a layer, as it is used.

    Args:
      module: whose compact call this is in.
      shape: (…, features), all but the last in the fan-in.
      rate: factor on the learning rate: the parameter has the deviation 1 / rate.

    Returns:
      float32, of deviation 1 / √fan-in at first.
    """
    draw = nn.initializers.normal(1 / rate)
    kernel = module.param("kernel", draw, tuple(shape), jnp.float32)
    return kernel * (rate / math.sqrt(math.prod(shape[:-1])))


class EqualisedDense(nn.Module):
    """(…, features_in) -> (…, features), in at least float32.

    Parameters: ``kernel`` (features_in, features) and ``bias`` (features).

    Attributes:
      features: of the result.
      rate: factor on the learning rate.
      bias_start: what the bias is at first, as it is used.
    """

    features: int
    rate: float = 1.0
    bias_start: float = 0.0

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """As above."""
        x = ops.widen(x)
        kernel = scaled_kernel(self, (x.shape[-1], self.features), self.rate)
        start = nn.initializers.constant(self.bias_start / self.rate)
        bias = self.param("bias", start, (self.features,), jnp.float32)
        return ops.dense(x, kernel.astype(x.dtype), (bias * self.rate).astype(x.dtype))


class EqualisedConv(nn.Module):
    """(batch, h, w, c) -> (batch, h', w', features), in ``dtype``.

    Parameters: ``kernel`` (k, k, c, features) and, with ``use_bias``, ``bias`` (features).

    Attributes:
      features: of the result.
      kernel_size: k.
      convolve: (image, kernel) -> image; `jaxdl.ops.conv_downsampled` halves.
      use_bias: whether there is one.
      dtype: of the computation; the promoted dtype of x and kernel if None.
    """

    features: int
    kernel_size: int = 3
    convolve: Callable[[jax.Array, jax.Array], jax.Array] = ops.conv
    use_bias: bool = True
    dtype: Any = None

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """As above."""
        k = self.kernel_size
        kernel = scaled_kernel(self, (k, k, x.shape[-1], self.features))
        bias = None
        if self.use_bias:
            bias = self.param("bias", nn.initializers.zeros, (self.features,), jnp.float32)
        x, kernel, bias = nn.dtypes.promote_dtype(x, kernel, bias, dtype=self.dtype)
        y = self.convolve(x, kernel)
        return y if bias is None else y + bias


class ModulatedConv(nn.Module):
    """A convolution that a style scales (`jaxdl.ops.modulated_conv`), in ``dtype``.

    Parameters: ``kernel`` (k, k, c, features), and ``affine``, a dense layer from the style to a
    factor for each of the c channels, 1 at first.

    Attributes:
      features: of the result.
      kernel_size: k.
      demodulate: whether channels are brought to one size.
      convolve: (image, kernel) -> image; `jaxdl.ops.conv_upsampled` doubles.
      dtype: of the convolution; the promoted dtype of x and kernel if None.
    """

    features: int
    kernel_size: int = 3
    demodulate: bool = True
    convolve: Callable[[jax.Array, jax.Array], jax.Array] = ops.conv
    dtype: Any = None

    @nn.compact
    def __call__(self, x: jax.Array, style: jax.Array) -> jax.Array:
        """(batch, h, w, c) and (batch, width) -> (batch, h', w', features)."""
        k, channels = self.kernel_size, x.shape[-1]
        factors = EqualisedDense(channels, bias_start=1.0, name="affine")(style)
        kernel = scaled_kernel(self, (k, k, channels, self.features))
        x, kernel = nn.dtypes.promote_dtype(x, kernel, dtype=self.dtype)
        return ops.modulated_conv(
            x, kernel, factors, demodulate=self.demodulate, convolve=self.convolve
        )
