"""Autoencoder: dense layers down to a code, and as many back up to the image.

Hinton and Salakhutdinov, 2006, "Reducing the Dimensionality of Data with Neural Networks". Images
(batch, h, w, c) in [0, 1] to codes (batch, latent) float32 and back. Parameters with the defaults,
784·256 + 256 + 256·128 + 128 + 128·32 + 32 on the way down and
32·128 + 128 + 128·256 + 256 + 256·784 + 784 up: 476,720.
"""

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxdl import ops
from jaxdl.errors import UserError
from jaxdl.models import register
from jaxdl.models.mlp import MLP


def networks(module: nn.Module, codes: int, pixels: int) -> tuple[MLP, MLP]:
    """The encoder and the decoder of ``module``, for its ``setup``.

    Args:
      module: with the fields shape, latent, hidden, activation, kernel_init, dropout and dtype.
      codes: numbers that the encoder gives a latent dimension.
      pixels: numbers that the decoder gives a pixel and channel.

    Raises:
      UserError: sizes below 1.
    """
    if min(module.latent, *module.hidden, *module.shape) < 1:
        raise UserError(
            f"config.model: latent={module.latent}, hidden={tuple(module.hidden)} and shape="
            f"{tuple(module.shape)} must be at least 1"
        )
    shared = dict(
        activation=module.activation,
        kernel_init=module.kernel_init,
        dropout=module.dropout,
        dtype=module.dtype,
    )
    hidden = tuple(module.hidden)
    return (
        MLP(codes * module.latent, hidden, **shared),
        MLP(pixels * math.prod(module.shape), hidden[::-1], **shared),
    )


@register("autoencoder")
class Autoencoder(nn.Module):
    """An encoder and its mirror image; without hidden layers a linear one.

    A linear autoencoder at its best spans the first principal components (Baldi and Hornik, 1989).

    Attributes:
      shape: (h, w, c) of the images.
      latent: size of the code.
      hidden: features of the encoder's hidden layers; the decoder's are the same, backwards.
      activation: of the hidden layers, a name in `jaxdl.ops.activations`.
      code: activation of the code: "identity", or "sigmoid" for units that are on or off.
      output: activation of the pixels: "identity", or "sigmoid" to keep them within [0, 1].
      kernel_init: a name in `jaxdl.layers.initializers`.
      dropout: rate after each hidden activation.
      dtype: of the hidden layers; parameters, codes and images stay float32.
    """

    shape: Sequence[int] = (28, 28, 1)
    latent: int = 32
    hidden: Sequence[int] = (256, 128)
    activation: str = "relu"
    code: str = "identity"
    output: str = "identity"
    kernel_init: str = "he_normal"
    dropout: float = 0.0
    dtype: Any = jnp.float32

    def setup(self):
        """Makes the two networks, whose parameters lie under "encoder" and "decoder"."""
        self.encoder, self.decoder = networks(self, 1, 1)

    def encode(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """(batch, h, w, c) -> (batch, latent)."""
        return ops.activation(self.code)(self.encoder(x, train=train))

    def decode(self, code: jax.Array, *, train: bool = False) -> jax.Array:
        """(batch, latent) -> (batch, h, w, c)."""
        x = ops.activation(self.output)(self.decoder(code, train=train))
        return x.reshape(-1, *self.shape)

    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """The reconstruction: (batch, h, w, c) -> (batch, h, w, c)."""
        return self.decode(self.encode(x, train=train), train=train)
