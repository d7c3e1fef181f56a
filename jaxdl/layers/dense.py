"""The dense layer."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxdl import ops


class Dense(nn.Module):
    """``x @ kernel + bias``: (…, features_in) -> (…, features).

    Parameters: ``kernel`` (features_in, features), LeCun-normal by default, and ``bias``
    (features).
    """

    features: int
    use_bias: bool = True
    kernel_init: Callable = nn.initializers.lecun_normal()
    bias_init: Callable = nn.initializers.zeros_init()
    dtype: Any = None

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Computes in ``dtype`` (the promoted dtype of x and kernel if None)."""
        shape = (x.shape[-1], self.features)
        kernel = self.param("kernel", self.kernel_init, shape, jnp.float32)
        bias = None
        if self.use_bias:
            bias = self.param("bias", self.bias_init, (self.features,), jnp.float32)
        return ops.dense(*nn.dtypes.promote_dtype(x, kernel, bias, dtype=self.dtype))
