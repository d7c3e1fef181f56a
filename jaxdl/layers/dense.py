"""The dense layer."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxdl import ops
from jaxdl.parallel import TensorRule

# By features, of hidden layers that a model calls "dense", or numbers as "dense_0"; of a `MapDense`
# too, whose kernel has the map's axes in front.
TENSOR_RULES = (
    TensorRule(r"(^|/)dense(_\d+)?/kernel$", -1),
    TensorRule(r"(^|/)dense(_\d+)?/bias$", 0),
)


class Dense(nn.Module):
    """``x @ kernel + bias``: (…, features_in) -> (…, features).

    Parameters: ``kernel`` (features_in, features), LeCun-normal by default, and ``bias``
    (features).

    Attributes:
      features: of the result.
      use_bias: whether there is one.
      kernel_init: of the kernel.
      bias_init: of the bias.
      dtype: of the product; the promoted dtype of x and kernel if None.
      wide: the result is in at least float32, as of `jaxdl.ops.dense`: for logits, and all else
        that what follows must have exactly.
    """

    features: int
    use_bias: bool = True
    kernel_init: Callable = nn.initializers.lecun_normal()
    bias_init: Callable = nn.initializers.zeros_init()
    dtype: Any = None
    wide: bool = False

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """(…, features_in) -> (…, features)."""
        shape = (x.shape[-1], self.features)
        kernel = self.param("kernel", self.kernel_init, shape, jnp.float32)
        bias = None
        if self.use_bias:
            bias = self.param("bias", self.bias_init, (self.features,), jnp.float32)
        narrow = None if self.wide else bias  # a wide result gets it as it is
        x, kernel, narrow = nn.dtypes.promote_dtype(x, kernel, narrow, dtype=self.dtype)
        return ops.dense(x, kernel, bias if self.wide else narrow, wide=self.wide)
