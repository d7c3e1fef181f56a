"""Stochastic depth."""

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxdl.errors import UserError
from jaxdl.per_member import any_on


class DropPath(nn.Module):
    """Drops a residual branch for whole examples, and scales what is kept by 1 / (1 - rate).

    Huang et al., 2016, "Deep Networks with Stochastic Depth", in the form that later models use
    (scaled in training instead of at evaluation). Draws from the "dropout" stream.
    """

    rate: float = 0.0

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """``x``: (batch, …), any shape behind the batch axis; returned unchanged if not train."""
        if not train or not any_on(self.rate):
            return x
        if not 0 <= self.rate < 1:
            raise UserError(f"drop_path={self.rate} must be at least 0 and below 1")
        keep = 1.0 - self.rate
        shape = (x.shape[0],) + (1,) * (x.ndim - 1)
        kept = jax.random.bernoulli(self.make_rng("dropout"), jnp.float32(keep), shape)
        return jnp.where(kept, x / keep, 0).astype(x.dtype)
