"""Dropout as a layer."""

import jax
from flax import linen as nn

from jaxdl.ops.dropout import dropout
from jaxdl.per_member import any_on


class Dropout(nn.Module):
    """`jaxdl.ops.dropout` with a key of the "dropout" stream: any shape in and out."""

    rate: float = 0.0

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """Returns ``x`` unchanged, and draws nothing, if not train or if the rate is 0."""
        if not train or not any_on(self.rate):
            return x
        return dropout(self.make_rng("dropout"), x, self.rate)
