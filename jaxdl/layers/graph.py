"""Layers on the nodes of a graph."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxdl import ops
from jaxdl.layers.initializers import initializer


class GraphConv(nn.Module):
    """Kipf and Welling's graph convolution, ``Â^hops x W + b``.

    (nodes, features_in) -> (nodes, features). Parameters as `jaxdl.layers.Dense`'s, Glorot-uniform
    kernel as published.

    Attributes:
      features: out.
      hops: propagations (Wu et al., 2019, take several in one layer).
      dtype: of the computation.
    """

    features: int
    hops: int = 1
    dtype: Any = None

    @nn.compact
    def __call__(self, x: jax.Array, edges: ops.Edges) -> jax.Array:
        """``edges`` are of `jaxdl.ops.normalised`."""
        shape = (x.shape[-1], self.features)
        kernel = self.param("kernel", initializer("xavier_uniform"), shape, jnp.float32)
        bias = self.param("bias", nn.initializers.zeros_init(), (self.features,), jnp.float32)
        x, kernel, bias = nn.dtypes.promote_dtype(x, kernel, bias, dtype=self.dtype)
        # Propagation costs by features: it comes on the narrower side.
        wide = x.shape[-1] > self.features
        x = ops.dense(x, kernel) if wide else x
        for _ in range(self.hops):
            x = ops.aggregate(x, edges)
        return x + bias if wide else ops.dense(x, kernel, bias)
