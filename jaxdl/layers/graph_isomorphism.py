"""A sum of neighbours that tells multisets apart."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxdl import ops
from jaxdl.layers.dense import Dense


class GINConv(nn.Module):
    """The graph isomorphism network's layer: ``MLP((1 + ε) x_i + Σ_j x_j)``.

    Xu et al., 2019, equation 4.1, with a perceptron of two layers and ReLU between them. Where
    edges have features neighbours send ``ReLU(x_j + W_e e_ji)`` (Hu et al., 2020, "Strategies for
    Pre-training Graph Neural Networks", as GINE). (nodes, features_in) -> (nodes, features).

    Parameters: ``dense_0``, ``dense_1``, ``epsilon`` (1,) where it is learned, ``edge``.

    Attributes:
      features: out, and of the hidden layer.
      learned: ε is a parameter, 0 at first; otherwise it stays ``epsilon``.
      epsilon: where it is not learned.
      dtype: of the computation.
    """

    features: int
    learned: bool = False
    epsilon: float = 0.0
    dtype: Any = None

    @nn.compact
    def __call__(self, x: jax.Array, edges: ops.Edges) -> jax.Array:
        """``edges`` without loops, as the node itself is there already."""
        if edges.features is None:
            heard = ops.aggregate(x, edges)
        else:
            edge = Dense(x.shape[-1], dtype=self.dtype, name="edge")(edges.features)
            sent = ops.relu(ops.senders(x, edges).astype(edge.dtype) + edge)
            heard = ops.arrived(sent * edges.weight[..., None].astype(edge.dtype), edges, len(x))
        epsilon = self.epsilon
        if self.learned:
            epsilon = self.param("epsilon", nn.initializers.zeros_init(), (1,), jnp.float32)
        x = (1 + epsilon) * ops.widen(x) + ops.widen(heard)
        x = ops.relu(Dense(self.features, dtype=self.dtype, name="dense_0")(x))
        return Dense(self.features, dtype=self.dtype, name="dense_1")(x)
