"""StyleGAN2: a generator that styles scale layer by layer, against a residual discriminator.

Karras et al., 2020, "Analyzing and Improving the Image Quality of StyleGAN" (configuration F, with
the skip generator and the residual discriminator of section 4.1), and Karras et al., 2019, for the
mapping network. Latent vectors (batch, latent) to images (batch, s, s, channels), of about
[-1, 1], and images to logits (batch,) float32; s is 4 · 2 ^ (len(widths) - 1).
Parameters at 1024 pixels, 3 channels and a latent of 512: 30,370,060 in the generator and
29,012,513 in the discriminator.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxdl import ops
from jaxdl.errors import UserError
from jaxdl.layers.equalised import EqualisedDense, ModulatedConv
from jaxdl.models import register
from jaxdl.models.stylegan2_discriminator import BASE, Discriminator, activated
from jaxdl.parallel import replicas


class Mapping(nn.Module):
    """Latent vectors, brought to length √latent, through dense layers: styles.

    The collection "statistics" has ``mean`` (width,), the styles' moving average, which moves in
    every pass with ``train``.

    Attributes:
      width: of a style, and of every layer.
      depth: layers.
      rate: factor on their learning rate.
      memory: of the moving average.
    """

    width: int
    depth: int
    rate: float
    memory: float

    def setup(self):
        """Makes the layers, and the average."""
        self.layer = [EqualisedDense(self.width, self.rate) for _ in range(self.depth)]
        self.mean = self.variable("statistics", "mean", jnp.zeros, (self.width,), jnp.float32)

    def __call__(self, latent: jax.Array, train: bool) -> jax.Array:
        """(batch, latent) -> (batch, width), float32."""
        x = ops.widen(latent)
        x = x * jax.lax.rsqrt(jnp.square(x).mean(-1, keepdims=True) + 1e-8)
        for layer in self.layer:
            x = activated(layer(x))
        if train and self.is_mutable_collection("statistics") and not self.is_initializing():
            found = jax.lax.stop_gradient(replicas.mean(x.mean(0)))
            self.mean.value = self.memory * self.mean.value + (1 - self.memory) * found
        return x

    def truncated(self, style: jax.Array, truncation: float) -> jax.Array:
        """As `StyleGAN2.truncated`."""
        mean = self.mean.value
        return mean + truncation * (style - mean)


class StyledConv(nn.Module):
    """A 3x3 modulated convolution, noise, a bias and LeakyReLU.

    Attributes:
      features: of the result.
      up: whether it doubles.
      dtype: of the convolution.
    """

    features: int
    up: bool
    dtype: Any

    @nn.compact
    def __call__(self, x: jax.Array, style: jax.Array, noise: jax.Array | None) -> jax.Array:
        """(batch, h, w, c), (batch, width) and (1 or batch, h', w', 1) -> (batch, h', w', …)."""
        convolve = ops.conv_upsampled if self.up else ops.conv
        x = ModulatedConv(self.features, convolve=convolve, dtype=self.dtype, name="conv")(x, style)
        strength = self.param("noise", nn.initializers.zeros, (), jnp.float32)
        if noise is not None:
            x = x + (strength * noise).astype(x.dtype)
        bias = self.param("bias", nn.initializers.zeros, (self.features,), jnp.float32)
        return activated(x + bias.astype(x.dtype))


class Colours(nn.Module):
    """A 1x1 convolution to colours, modulated and not demodulated, and a bias."""

    channels: int
    dtype: Any

    @nn.compact
    def __call__(self, x: jax.Array, style: jax.Array) -> jax.Array:
        """(batch, h, w, c) and (batch, width) -> (batch, h, w, channels), at least float32."""
        how = dict(kernel_size=1, demodulate=False, dtype=self.dtype, name="conv")
        x = ops.widen(ModulatedConv(self.channels, **how)(x, style))
        return x + self.param("bias", nn.initializers.zeros, (self.channels,), jnp.float32)


class Synthesis(nn.Module):
    """From a learned constant by doublings; the image is a sum of what every size adds to it.

    Fields as `StyleGAN2`'s.
    """

    widths: tuple[int, ...]
    channels: int
    dtype: Any

    @nn.compact
    def __call__(self, styles: jax.Array, noise: jax.Array | None) -> jax.Array:
        """(batch, layers, width) and (1 or batch, pixels) or None -> (batch, s, s, channels)."""
        batch, made, used = len(styles), None, 0
        draw = nn.initializers.normal(1.0)
        x = self.param("constant", draw, (BASE, BASE, self.widths[0]), jnp.float32)
        x = jnp.broadcast_to(x.astype(self.dtype), (batch, *x.shape))
        maps = iter(_maps(noise, len(self.widths)))
        for i, width in enumerate(self.widths):
            size = BASE * 2**i
            for kind in ("up", "conv") if i else ("conv",):
                name = f"{kind}_{size}"
                layer = StyledConv(width, kind == "up", self.dtype, name=name)
                x = layer(x, styles[:, used], next(maps))
                used += 1
            # Colours have the style that the next size's first convolution has too.
            colours = Colours(self.channels, self.dtype, name=f"colours_{size}")
            own = colours(x, styles[:, used])
            made = own if made is None else ops.upsampled(made) + own
        return made


class Generator(nn.Module):
    """Mapping and synthesis. Fields as `StyleGAN2`'s."""

    widths: tuple[int, ...]
    channels: int
    width: int
    mapping_depth: int
    mapping_rate: float
    memory: float
    dtype: Any

    def setup(self):
        """Makes the two."""
        self.mapping = Mapping(self.width, self.mapping_depth, self.mapping_rate, self.memory)
        self.synthesis = Synthesis(self.widths, self.channels, self.dtype)

    def map(self, latent: jax.Array, train: bool) -> jax.Array:
        """As `StyleGAN2.map`."""
        return self.mapping(latent, train)

    def truncated(self, style: jax.Array, truncation: float) -> jax.Array:
        """As `StyleGAN2.truncated`."""
        return self.mapping.truncated(style, truncation)

    def synthesise(self, styles: jax.Array, noise: jax.Array | None) -> jax.Array:
        """As `StyleGAN2.synthesise`."""
        return self.synthesis(styles, noise)


class StyleGAN2(nn.Module):
    """Both networks; their parameters lie under "generator" and "discriminator".

    Attributes:
      widths: features of the maps of 4, 8, 16 … pixels a side.
      channels: of the images.
      width: of a style, and of the layers of the mapping network.
      mapping_depth: these layers.
      mapping_rate: factor on their learning rate.
      memory: of the styles' moving average, which truncation is towards.
      group: neighbours in a batch among which the discriminator sees how much they differ; as many
        as divide the batch, if this does not.
      dtype: of the computation; parameters, styles, statistics, images and logits stay float32.
    """

    widths: tuple[int, ...] = (512, 512, 512, 512, 512, 256, 128, 64, 32)
    channels: int = 3
    width: int = 512
    mapping_depth: int = 8
    mapping_rate: float = 0.01
    memory: float = 0.995
    group: int = 4
    dtype: Any = jnp.float32

    def setup(self):
        """Checks the fields, which a config may have set, and makes the two."""
        counts = dict(channels=self.channels, width=self.width, group=self.group)
        if not self.widths or min(*self.widths, *counts.values()) < 1 or self.mapping_depth < 0:
            raise UserError(
                f"config.model: widths={self.widths}, mapping_depth={self.mapping_depth}, "
                f"{', '.join(f'{k}={v}' for k, v in counts.items())}: there must be at least one "
                "of the widths, all at least 1, and mapping_depth at least 0"
            )
        if not self.mapping_rate > 0 or not 0 <= self.memory < 1:
            raise UserError(
                f"config.model: mapping_rate={self.mapping_rate} must be above 0 and memory="
                f"{self.memory} at least 0 and below 1"
            )
        self.generator = Generator(
            self.widths,
            self.channels,
            self.width,
            self.mapping_depth,
            self.mapping_rate,
            self.memory,
            self.dtype,
        )
        self.discriminator = Discriminator(self.widths, self.group, self.dtype)

    @property
    def layers(self) -> int:
        """Styles that an image has, from the coarsest to the finest."""
        return 2 * len(self.widths)

    @property
    def pixels(self) -> int:
        """Numbers of noise that an image has: one for each place of every convolution's map."""
        return _starts(len(self.widths))[-1]

    def map(self, latent: jax.Array, *, train: bool = False) -> jax.Array:
        """Latent vectors (batch, latent), standard normal -> styles (batch, width) float32."""
        return self.generator.map(latent, train)

    def truncated(self, style: jax.Array, truncation: float) -> jax.Array:
        """Styles (…, width) brought towards their mean: 1 leaves them, at 0 all are the mean."""
        return self.generator.truncated(style, truncation)

    def synthesise(self, styles: jax.Array, noise: jax.Array | None = None) -> jax.Array:
        """Styles (batch, layers, width), and standard normal noise (batch, pixels), to images.

        Args:
          styles: one a layer.
          noise: or (1, pixels), the same for all; None is none.

        Returns:
          (batch, s, s, channels) float32, of about [-1, 1] and not bounded.
        """
        return self.generator.synthesise(styles, noise)

    def generate(
        self, latent: jax.Array, noise: jax.Array | None = None, *, train: bool = False
    ) -> jax.Array:
        """Latent vectors (batch, latent) -> images (batch, s, s, c) of one style each."""
        style = self.map(latent, train=train)
        styles = jnp.broadcast_to(style[:, None], (len(style), self.layers, self.width))
        return self.synthesise(styles, noise)

    def discriminate(self, images: jax.Array, *, train: bool = False) -> jax.Array:
        """Images (batch, s, s, c) -> (batch,) logits, high for real ones."""
        return self.discriminator(images)

    def __call__(self, latent: jax.Array, *, train: bool = False) -> jax.Array:
        """What the discriminator makes of the generator's images: (batch, latent) -> (batch,)."""
        return self.discriminate(self.generate(latent, train=train), train=train)


def _starts(sizes: int) -> list[int]:
    """Where each convolution's map begins in an image's noise, and where the last one ends."""
    starts = [0]
    for i in range(sizes):
        for _ in range(2 if i else 1):
            starts.append(starts[-1] + (BASE * 2**i) ** 2)
    return starts


def _maps(noise: jax.Array | None, sizes: int) -> list[jax.Array | None]:
    """The noise (batch, pixels) of each convolution, (batch, h, w, 1)."""
    starts = _starts(sizes)
    if noise is None:
        return [None] * (len(starts) - 1)
    parts = jnp.split(noise, starts[1:-1], axis=1)
    side = lambda part: math.isqrt(part.shape[1])
    return [part.reshape(len(part), side(part), side(part), 1) for part in parts]


VARIANTS = {
    "stylegan2_1024": dict(widths=(512, 512, 512, 512, 512, 256, 128, 64, 32)),
    "stylegan2_32": dict(widths=(128, 128, 128, 64), width=128, mapping_depth=4),
}

register("stylegan2", VARIANTS)(StyleGAN2)
