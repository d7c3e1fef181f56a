"""DCGAN: a generator of transposed convolutions against a discriminator of strided ones.

Radford, Metz and Chintala, 2015, "Unsupervised Representation Learning with Deep Convolutional
Generative Adversarial Networks", section 3. Latent vectors (batch, latent) to images (batch, s, s,
channels) in [-1, 1], and images to logits (batch,) float32; s is base · 2 ^ len(widths).
Parameters at 64 pixels, 3 channels and a latent of 100: 3,576,704 in the generator and 2,765,568 in
the discriminator.

By class, if asked for: the generator reads the label behind the noise (Mirza and Osindero, 2014,
"Conditional Generative Adversarial Nets", section 3.2), and the discriminator's logit is
φ(x) · (w + V y) + b, of its last features φ and a label y (Miyato and Koyama, 2018, "cGANs with
Projection Discriminator", equation 4; φ is of every place, which they sum over).
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxdl import layers, ops
from jaxdl.errors import UserError
from jaxdl.layers.picture_norm import INITIALIZER, picture_norm
from jaxdl.models import register
from jaxdl.registry import choose

_published = INITIALIZER
_NORMALIZATIONS = dict.fromkeys(("batch", "layer", "spectral", "none"))


def _initializer(name: str) -> Any:
    return _published if name == "dcgan" else layers.initializer(name)


def _batch_norm(train: bool, dtype: Any, name: str) -> nn.Module:
    return picture_norm("batch", train, dtype, name)


class Generator(nn.Module):
    """Projection to base x base pixels, then doublings: batch norm and ReLU after all but the last.

    The projection is the published 4x4 transposed convolution of a single pixel, which is a dense
    layer. Fields as `DCGAN`'s.
    """

    widths: tuple[int, ...]
    base: int
    channels: int
    num_classes: int
    initializer: str
    dtype: Any

    @nn.compact
    def __call__(self, latent: jax.Array, label: jax.Array | None, train: bool) -> jax.Array:
        """(batch, latent) and labels (batch,) -> (batch, size, size, channels) float32."""
        if self.num_classes:
            told = jax.nn.one_hot(label, self.num_classes, dtype=latent.dtype)
            latent = jnp.concatenate([latent, told], axis=-1)
        init, base, first = _initializer(self.initializer), self.base, self.widths[0]
        x = layers.Dense(
            base * base * first, use_bias=False, kernel_init=init, dtype=self.dtype, name="project"
        )(latent)
        x = x.reshape(-1, base, base, first)
        for i, features in enumerate((*self.widths[1:], self.channels)):
            x = ops.relu(_batch_norm(train, self.dtype, f"norm_{i}")(x))
            x = layers.ConvTranspose(
                features, use_bias=False, kernel_init=init, dtype=self.dtype, name=f"double_{i}"
            )(x)
        return ops.tanh(ops.widen(x))


class Discriminator(nn.Module):
    """Halvings with LeakyReLU of slope .2, normalised but for the first, then one logit.

    The logit is the published 4x4 convolution of what is left, which is a dense layer. Fields as
    `DCGAN`'s.
    """

    widths: tuple[int, ...]
    normalization: str
    num_classes: int
    initializer: str
    dtype: Any

    @nn.compact
    def __call__(self, x: jax.Array, label: jax.Array | None, train: bool) -> jax.Array:
        """(batch, size, size, channels) and labels (batch,) -> (batch,) float32."""
        init, spectral = _initializer(self.initializer), self.normalization == "spectral"
        # A norm's own bias makes up for one in front of it; the published layers have none at all.
        fields = dict(
            use_bias=self.normalization in ("spectral", "none"), kernel_init=init, dtype=self.dtype
        )
        wide = ops.wide_dtype(self.dtype)
        for i, features in enumerate(reversed(self.widths)):
            shape = dict(kernel_size=4, stride=2, padding=1, name=f"halve_{i}")
            if spectral:
                x = layers.SpectralConv(features, **shape, **fields)(x, train=train)
            else:
                x = layers.Conv(features, **shape, **fields)(x)
            if i and self.normalization == "batch":
                x = _batch_norm(train, self.dtype, f"norm_{i}")(x)
            if i and self.normalization == "layer":  # one group is an example's whole map
                x = nn.GroupNorm(num_groups=1, epsilon=1e-5, dtype=self.dtype, name=f"norm_{i}")(x)
            x = ops.leaky_relu(x, 0.2)
        x = x.reshape(x.shape[0], -1).astype(wide)
        how = dict(train=train) if spectral else {}
        dense = layers.SpectralDense if spectral else layers.Dense
        fields["dtype"] = wide
        logit = dense(1, **fields, name="logit")(x, **how)[:, 0]
        if self.num_classes:
            told = jax.nn.one_hot(label, self.num_classes, dtype=wide)
            seen = dense(x.shape[-1], **fields | dict(use_bias=False), name="classes")(told, **how)
            logit += (seen * x).sum(-1)
        return logit


class DCGAN(nn.Module):
    """Both networks; their parameters lie under "generator" and "discriminator".

    Attributes:
      widths: features of the generator's maps from the smallest to the second largest; the
        discriminator's, backwards.
      base: pixels a side of the smallest map.
      channels: of the images.
      num_classes: of which both networks are told; 0 takes no labels.
      normalization: of the discriminator: "batch" as published, "layer" (over a whole example, as
        critics with a gradient penalty want: Gulrajani et al., 2017, section 4), "spectral" (Miyato
        et al., 2018) or "none". The generator's is always batch norm.
      initializer: "dcgan", normal of deviation .02, or a name of `jaxdl.layers.initializer`.
      dtype: of the computation; parameters, statistics, images and logits stay float32.
    """

    widths: tuple[int, ...] = (512, 256, 128, 64)
    base: int = 4
    channels: int = 3
    num_classes: int = 0
    normalization: str = "batch"
    initializer: str = "dcgan"
    dtype: Any = jnp.float32

    def setup(self):
        """Checks the fields, which a config may have set, and makes the two."""
        choose("config.model.normalization", self.normalization, _NORMALIZATIONS)
        if not self.widths or min(*self.widths, self.base, self.channels) < 1:
            raise UserError(
                f"config.model: widths={self.widths}, base={self.base} and channels="
                f"{self.channels} must be at least one width and all at least 1"
            )
        classes, init, dtype = self.num_classes, self.initializer, self.dtype
        self.generator = Generator(self.widths, self.base, self.channels, classes, init, dtype)
        self.discriminator = Discriminator(self.widths, self.normalization, classes, init, dtype)

    def generate(
        self, latent: jax.Array, label: jax.Array | None = None, *, train: bool = False
    ) -> jax.Array:
        """Latent vectors (batch, latent), standard normal -> images (batch, s, s, c) in [-1, 1]."""
        return self.generator(latent, label, train)

    def discriminate(
        self, images: jax.Array, label: jax.Array | None = None, *, train: bool = False
    ) -> jax.Array:
        """Images (batch, s, s, c) in [-1, 1] -> (batch,) logits, high for real ones."""
        return self.discriminator(images, label, train)

    def __call__(
        self, latent: jax.Array, label: jax.Array | None = None, *, train: bool = False
    ) -> jax.Array:
        """What the discriminator makes of the generator's images: (batch, latent) -> (batch,)."""
        return self.discriminate(self.generate(latent, label, train=train), label, train=train)


VARIANTS = {
    "dcgan_64": dict(widths=(512, 256, 128, 64), base=4, channels=3),
    "dcgan_32": dict(widths=(256, 128, 64), base=4, channels=3),
    "dcgan_28": dict(widths=(128, 64), base=7, channels=1),
    "dcgan_8": dict(widths=(128, 64), base=2, channels=1),
}

register("dcgan", VARIANTS)(DCGAN)
