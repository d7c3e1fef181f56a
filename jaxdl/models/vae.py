"""Variational autoencoder: a code that is a distribution, and images that are one given the code.

Kingma and Welling, 2014, "Auto-Encoding Variational Bayes", appendix C.2. Images (batch, h, w, c)
to means and log-variances of codes, (batch, latent) float32 each, and codes to means and
log-variances of images, (batch, h, w, c) float32 each: both normal, with independent dimensions.
Parameters with the defaults, 784·256 + 256 + 256·128 + 128 + 128·64 + 64 on the way down and
32·128 + 128 + 128·256 + 256 + 256·1568 + 1568 up: 682,336.
"""

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxdl.models import register
from jaxdl.models.autoencoder import networks
from jaxdl.registry import choose

_VARIANCES = dict.fromkeys(("image", "pixel", "shared"))


@register("vae")
class VAE(nn.Module):
    """An encoder and a decoder of dense layers.

    Without hidden ones, and with a variance a pixel, it is factor analysis.

    Attributes:
      shape: (h, w, c) of the images.
      latent: dimensions of the code.
      hidden: features of the encoder's hidden layers; the decoder's are the same, backwards.
      variance: of the pixels: "image", which the decoder gives with the mean, as published;
        "pixel", one each, learned, the same for every code, as in factor analysis; "shared", one
        for all pixels.
      activation: of the hidden layers, a name in `jaxdl.ops.activations`.
      kernel_init: a name in `jaxdl.layers.initializers`.
      dropout: rate after each hidden activation.
      dtype: of the hidden layers; parameters and distributions stay float32.
    """

    shape: Sequence[int] = (28, 28, 1)
    latent: int = 32
    hidden: Sequence[int] = (256, 128)
    variance: str = "image"
    activation: str = "relu"
    kernel_init: str = "he_normal"
    dropout: float = 0.0
    dtype: Any = jnp.float32

    def setup(self):
        """Makes the networks, whose parameters lie under "encoder" and "decoder"."""
        choose("config.model.variance", self.variance, _VARIANCES)
        self.encoder, self.decoder = networks(self, 2, 2 if self.variance == "image" else 1)
        if self.variance != "image":
            # A vector, which weight decay leaves alone. From 1 it would be long on its way, and the
            # code of no use until it is there.
            size = math.prod(self.shape) if self.variance == "pixel" else 1
            start = nn.initializers.constant(-4.0)
            self.log_variance = self.param("log_variance", start, (size,))

    def encode(self, x: jax.Array, *, train: bool = False) -> tuple[jax.Array, jax.Array]:
        """(batch, h, w, c) -> mean and log-variance of the code, (batch, latent) each."""
        mean, log_variance = jnp.split(self.encoder(x, train=train), 2, axis=-1)
        return mean, log_variance

    def decode(self, code: jax.Array, *, train: bool = False) -> tuple[jax.Array, jax.Array]:
        """(batch, latent) -> mean and log-variance of the image, (batch, h, w, c) each."""
        made = self.decoder(code, train=train).reshape(-1, *self.shape[:-1], self._channels)
        if self.variance == "image":
            mean, log_variance = jnp.split(made, 2, axis=-1)
            return mean, log_variance
        log_variance = jnp.broadcast_to(self.log_variance, made[0].size).astype(made.dtype)
        return made, jnp.broadcast_to(log_variance.reshape(made.shape[1:]), made.shape)

    @property
    def _channels(self) -> int:
        return self.shape[-1] * (2 if self.variance == "image" else 1)

    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """The mean image of the mean code: (batch, h, w, c) -> (batch, h, w, c)."""
        return self.decode(self.encode(x, train=train)[0], train=train)[0]
