"""StyleGAN2's discriminator: residual halvings, and how much neighbours in a batch differ.

Karras et al., 2020, section 4.1 and appendix B; the deviation within a minibatch is of Karras et
al., 2018, section 3.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxdl import ops
from jaxdl.layers.equalised import EqualisedConv, EqualisedDense

# Pixels a side of the smallest map.
BASE = 4


def activated(x: jax.Array, gain: float = math.sqrt(2)) -> jax.Array:
    """LeakyReLU of slope .2 times ``gain``: √2 about keeps the variance of what is symmetric."""
    return ops.leaky_relu(x, 0.2) * gain


def batch_deviation(x: jax.Array, group: int) -> jax.Array:
    """How much each group of examples that follow one another differ, as a further channel.

    The deviation over the group (ddof 0, ε 1e-8 in the root), averaged over all places and
    channels.

    Args:
      x: (batch, h, w, channels).
      group: examples; the largest number up to it that divides the batch counts.

    Returns:
      (batch, h, w, channels + 1), in x's dtype.
    """
    batch, h, w, channels = x.shape
    group = next(n for n in range(min(group, batch), 0, -1) if batch % n == 0)
    # Neighbours, where the authors' code takes every n-th: the same, of a batch in random order,
    # and a batch that is split over devices stays where it is.
    groups = ops.widen(x).reshape(-1, group, h, w, channels)
    centred = groups - groups.mean(1, keepdims=True)
    deviation = jnp.sqrt(jnp.square(centred).mean(1) + 1e-8).mean((1, 2, 3))
    seen = jnp.repeat(deviation.astype(x.dtype), group).reshape(batch, 1, 1, 1)
    return jnp.concatenate([x, jnp.broadcast_to(seen, (batch, h, w, 1))], axis=-1)


class Halving(nn.Module):
    """Two convolutions, the second of which halves, beside a filtered 1x1 one.

    Attributes:
      features: of the result.
      dtype: of the convolutions.
    """

    features: int
    dtype: Any

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """(batch, 2h, 2w, c) -> (batch, h, w, features)."""
        conv = lambda features, name, **how: EqualisedConv(
            features, dtype=self.dtype, name=name, **how
        )
        around = conv(self.features, "skip", kernel_size=1, use_bias=False)(ops.downsampled(x))
        x = activated(conv(x.shape[-1], "conv")(x))
        x = conv(self.features, "down", convolve=ops.conv_downsampled)(x)
        # Over √2, so that the sum has the variance of its parts.
        return activated(x, 1.0) + around * math.sqrt(0.5)


class Discriminator(nn.Module):
    """Images to logits. Fields as `jaxdl.models.stylegan2.StyleGAN2`'s."""

    widths: tuple[int, ...]
    group: int
    dtype: Any

    @nn.compact
    def __call__(self, images: jax.Array) -> jax.Array:
        """(batch, s, s, channels) -> (batch,), at least float32."""
        conv = lambda features, name, **how: EqualisedConv(
            features, dtype=self.dtype, name=name, **how
        )
        x = activated(conv(self.widths[-1], "colours", kernel_size=1)(images))
        for i in range(len(self.widths) - 1, 0, -1):
            x = Halving(self.widths[i - 1], self.dtype, name=f"halve_{BASE * 2**i}")(x)
        x = activated(conv(self.widths[0], "conv")(batch_deviation(x, self.group)))
        x = ops.widen(x.reshape(len(x), -1))
        x = activated(EqualisedDense(self.widths[0], name="layer")(x))
        return EqualisedDense(1, name="logit")(x)[:, 0]
