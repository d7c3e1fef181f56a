"""What a node holds beside what its neighbours hold."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import lax

from jaxdl import ops
from jaxdl.layers.dense import Dense
from jaxdl.layers.initializers import PYTORCH


class SAGEConv(nn.Module):
    """GraphSAGE's layer (Hamilton et al., 2017, algorithm 1): ``W_r x_i + W_n agg_j x_j + b``.

    (nodes, features_in) -> (nodes, features). Parameters: ``neighbours`` and ``root``, which are
    the paper's one matrix on both concatenated, and ``bias``; ``pool`` where pooled.

    Attributes:
      features: out.
      aggregation: of the neighbours, of `jaxdl.ops.aggregate`: "mean", "max" or "sum".
      pooled: neighbours pass a dense layer with ReLU first (equation 3, with "max").
      normalised: the result is divided by its length (line 7).
      dtype: of the computation.
    """

    features: int
    aggregation: str = "mean"
    pooled: bool = False
    normalised: bool = False
    dtype: Any = None

    @nn.compact
    def __call__(self, x: jax.Array, edges: ops.Edges, nodes: int | None = None) -> jax.Array:
        """Of all nodes, or the first ``nodes``.

        ``edges`` are without loops, as the node itself is there already.
        """
        how = dict(kernel_init=PYTORCH, dtype=self.dtype)
        sent = ops.relu(Dense(x.shape[-1], name="pool", **how)(x)) if self.pooled else x
        # What is linear costs by features, and comes on the narrower side.
        wide = self.aggregation != "max" and x.shape[-1] > self.features
        neighbours = Dense(self.features, use_bias=False, name="neighbours", **how)
        bias = self.param("bias", nn.initializers.zeros_init(), (self.features,), jnp.float32)
        sent = neighbours(sent) if wide else sent
        heard = ops.aggregate(sent, edges, self.aggregation, nodes)
        heard = heard if wide else neighbours(heard)
        x = heard + Dense(self.features, use_bias=False, name="root", **how)(x[:nodes])
        x += bias.astype(x.dtype)
        return _unit(x) if self.normalised else x


def _unit(x: jax.Array) -> jax.Array:
    """Rows of length 1; those of zeros stay so, with a finite slope."""
    wide = ops.widen(x)
    squared = jnp.square(wide).sum(axis=-1, keepdims=True)
    return (wide * lax.rsqrt(jnp.maximum(squared, 1e-24))).astype(x.dtype)
