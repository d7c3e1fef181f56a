"""A dense layer on a whole map."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxdl import ops


class MapDense(nn.Module):
    """Reads all pixels of a map: (batch, h, w, c) -> (batch, features).

    Parameters: ``kernel`` (h, w, c, features), in which a published file's own order of pixels and
    channels can be told, and ``bias`` (features).

    Attributes:
      features: of the result.
      kernel_init: of the kernel.
      dtype: of the computation.
    """

    features: int
    kernel_init: Callable = nn.initializers.lecun_normal()
    dtype: Any = None

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """One matrix product."""
        shape = (*x.shape[1:], self.features)
        kernel = self.param("kernel", self.kernel_init, shape, jnp.float32)
        bias = self.param("bias", nn.initializers.zeros_init(), (self.features,), jnp.float32)
        x, kernel, bias = nn.dtypes.promote_dtype(x, kernel, bias, dtype=self.dtype)
        return ops.dense(x.reshape(x.shape[0], -1), kernel.reshape(-1, self.features), bias)
