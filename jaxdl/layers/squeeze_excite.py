"""Channels weighed by what the whole image has of them."""

from typing import Any

import jax
from flax import linen as nn

from jaxdl import ops
from jaxdl.layers.dense import Dense


class SqueezeExcite(nn.Module):
    """``x · gate(expand(act(reduce(mean of x))))`` (Hu et al., 2017, section 3).

    Submodules: ``reduce`` and ``expand``, dense layers on the mean over places.

    Attributes:
      hidden: features between the two.
      activation: between them, a name in `jaxdl.ops.activations`.
      gate: of the weights, another.
      dtype: of the computation.
    """

    hidden: int
    activation: str = "relu"
    gate: str = "sigmoid"
    dtype: Any = None

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """(batch, h, w, c) in and out."""
        y = x.mean(axis=(1, 2), keepdims=True)
        y = ops.activation(self.activation)(Dense(self.hidden, dtype=self.dtype, name="reduce")(y))
        y = Dense(x.shape[-1], dtype=self.dtype, name="expand")(y)
        return x * ops.activation(self.gate)(y)
