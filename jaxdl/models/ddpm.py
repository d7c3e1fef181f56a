"""The U-Net of DDPM: what an image's noise is, seen at several sizes at once.

Ho, Jain and Abbeel, 2020, "Denoising Diffusion Probabilistic Models", appendix B. Images (batch, s,
s, channels), timesteps (batch,) and, with ``num_classes``, labels (batch,) to images of the same
shape, float32. Parameters: 35,746,307 as published for CIFAR-10 (``ddpm_cifar10``).
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxdl import layers, ops
from jaxdl.errors import UserError
from jaxdl.models import register

_glorot = nn.initializers.xavier_uniform()
_zeros = nn.initializers.zeros_init()


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions behind norm and SiLU, the timestep added between them."""

    features: int
    groups: int
    dropout: float
    dtype: Any

    @nn.compact
    def __call__(self, x: jax.Array, embedding: jax.Array, train: bool) -> jax.Array:
        """(batch, h, w, c) and (batch, e) -> (batch, h, w, features)."""
        conv = lambda name, init=_glorot, size=3: layers.Conv(
            self.features, size, kernel_init=init, dtype=self.dtype, name=name
        )
        norm = lambda name: layers.GroupNorm(self.groups, 1e-6, dtype=self.dtype, name=name)
        y = conv("conv_0")(ops.silu(norm("norm_0")(x)))
        y += layers.Dense(self.features, kernel_init=_glorot, dtype=self.dtype, name="time")(
            ops.silu(embedding)
        )[:, None, None]
        y = ops.silu(norm("norm_1")(y))
        y = layers.Dropout(self.dropout)(y, train=train)
        y = conv("conv_1", _zeros)(y)
        if x.shape[-1] != self.features:
            x = conv("shortcut", size=1)(x)
        return x + y


class AttentionBlock(nn.Module):
    """Every pixel attends to every other: norm, attention, and what was there."""

    groups: int
    heads: int
    dtype: Any

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """(batch, h, w, c) in and out."""
        y = layers.GroupNorm(self.groups, 1e-6, dtype=self.dtype, name="norm")(x)
        y = y.reshape(x.shape[0], -1, x.shape[-1])
        y = layers.MultiHeadAttention(
            self.heads, out_init=_zeros, dtype=self.dtype, name="attention"
        )(y)
        return x + y.reshape(x.shape)


class DDPM(nn.Module):
    """The U-Net.

    Attributes:
      width: features of the largest map.
      multipliers: of the width, from the largest map to the smallest; each map has half the side.
      blocks: residual blocks a map on the way down; one more on the way up.
      attention: sides of the maps that have attention; the middle always has it.
      heads: of the attention, 1 as published.
      groups: of the normalisation.
      dropout: rate inside the blocks.
      channels: of the images.
      num_classes: labels are 0 … num_classes, the last of which stands for none; 0 takes no labels.
      dtype: of the computation; parameters, statistics and the result stay float32.
    """

    width: int = 128
    multipliers: tuple[int, ...] = (1, 2, 2, 2)
    blocks: int = 2
    attention: tuple[int, ...] = (16,)
    heads: int = 1
    groups: int = 32
    dropout: float = 0.1
    channels: int = 3
    num_classes: int = 0
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self, x: jax.Array, t: jax.Array, label: jax.Array | None = None, *, train: bool = False
    ) -> jax.Array:
        """Noisy images (batch, s, s, channels), ``t`` (batch,) int32 -> what is asked of them.

        Raises:
          UserError: the side does not divide by 2 for every map, or groups and widths do not fit.
        """
        self._check(x.shape)
        conv = lambda features, name, stride=1, init=_glorot: layers.Conv(
            features, stride=stride, padding=1, kernel_init=init, dtype=self.dtype, name=name
        )
        dense = lambda name: layers.Dense(
            4 * self.width, kernel_init=_glorot, dtype=self.dtype, name=name
        )
        embedding = dense("time_1")(ops.silu(dense("time_0")(layers.sinusoids(t, self.width))))
        if self.num_classes:
            table = nn.Embed(self.num_classes + 1, 4 * self.width, dtype=self.dtype, name="label")
            embedding += table(label)

        def stage(x: jax.Array, multiplier: int, name: str) -> jax.Array:
            features = self.width * multiplier
            x = ResidualBlock(features, self.groups, self.dropout, self.dtype, name=name)(
                x, embedding, train
            )
            return attend(x, f"{name}_attention") if x.shape[1] in self.attention else x

        attend = lambda x, name: AttentionBlock(self.groups, self.heads, self.dtype, name=name)(x)

        x = conv(self.width, "stem")(x)
        passed = [x]
        last = len(self.multipliers) - 1
        for i, multiplier in enumerate(self.multipliers):
            for j in range(self.blocks):
                x = stage(x, multiplier, f"down_{i}_{j}")
                passed.append(x)
            if i < last:
                # The published one pads behind the image alone, so that pixel i sees 2i … 2i + 2.
                x = layers.Conv(
                    x.shape[-1], stride=2, padding=((0, 1), (0, 1)), kernel_init=_glorot,
                    dtype=self.dtype, name=f"halve_{i}",
                )(x)  # fmt: skip
                passed.append(x)

        block = lambda name: ResidualBlock(
            x.shape[-1], self.groups, self.dropout, self.dtype, name=name
        )
        x = block("middle_0")(x, embedding, train)
        x = attend(x, "middle_attention")
        x = block("middle_1")(x, embedding, train)

        for i in reversed(range(len(self.multipliers))):
            for j in range(self.blocks + 1):
                x = jnp.concatenate([x, passed.pop()], axis=-1)
                x = stage(x, self.multipliers[i], f"up_{i}_{j}")
            if i:
                x = conv(x.shape[-1], f"double_{i}")(x.repeat(2, axis=1).repeat(2, axis=2))

        x = ops.silu(layers.GroupNorm(self.groups, 1e-6, dtype=self.dtype, name="norm")(x))
        x = conv(self.channels, "out", init=_zeros)(x)
        return ops.widen(x)

    def _check(self, shape: tuple[int, ...]) -> None:
        numbers = (*self.multipliers, self.width, self.blocks, self.heads, self.groups)
        if not self.multipliers or min(numbers) < 1 or self.width % self.groups or self.width % 2:
            raise UserError(
                f"config.model: width={self.width} must be even and a multiple of groups="
                f"{self.groups}; these, multipliers={self.multipliers}, blocks={self.blocks} and "
                f"heads={self.heads} at least 1"
            )
        fold = 2 ** (len(self.multipliers) - 1)
        if shape[1] % fold or shape[2] % fold:
            raise UserError(
                f"images of {shape[1]}x{shape[2]} pixels do not divide into the "
                f"{len(self.multipliers)} maps of config.model.multipliers={self.multipliers}: a "
                f"side must be a multiple of {fold}"
            )
        if shape[-1] != self.channels:
            raise UserError(
                f"config.model.channels={self.channels} but the images have {shape[-1]}"
            )


VARIANTS = {
    "ddpm_cifar10": dict(),
    "ddpm_8": dict(
        width=32, multipliers=(1, 2), blocks=1, attention=(4,), groups=8, dropout=0.0, channels=1
    ),
}

register("ddpm", VARIANTS)(DDPM)
