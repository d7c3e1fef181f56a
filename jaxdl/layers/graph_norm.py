"""Normalisation and pooling over the graphs that lie side by side in one batch of nodes."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import lax

from jaxdl import ops
from jaxdl.layers.dense import Dense


class GraphNorm(nn.Module):
    """Normalisation over each graph's nodes, channel by channel (Cai et al., 2021, equation 6).

    ``scale · (x - shift · μ) / √(σ² + ε) + bias``, with σ² the mean square of x - shift · μ: how
    much of the mean goes is learned, since it may tell graphs apart. Parameters ``scale``,
    ``bias`` and ``shift`` (channels).

    Attributes:
      epsilon: added to σ².
      dtype: of the result; x's if None.
    """

    epsilon: float = 1e-5
    dtype: Any = None

    @nn.compact
    def __call__(self, x: jax.Array, graphs: jax.Array | None = None, count: int = 1) -> jax.Array:
        """(nodes, channels) in and out.

        Args:
          x: what is normalised.
          graphs: (nodes,) integers, ascending: each node's graph, of `jaxdl.ops.segment_sum`; all
            are of one if None.
          count: how many graphs there are.
        """
        channels = x.shape[-1:]
        filled = lambda name, value: self.param(
            name, nn.initializers.constant(value), channels, jnp.float32
        )
        scale, bias, shift = filled("scale", 1.0), filled("bias", 0.0), filled("shift", 1.0)
        if graphs is None:
            of_each = lambda x: x.mean(axis=0, keepdims=True)
        else:
            of_each = lambda x: ops.segment_mean(x, graphs, count)[graphs]
        wide = ops.widen(x)
        wide = wide - of_each(wide) * shift
        wide = wide * lax.rsqrt(of_each(jnp.square(wide)) + self.epsilon) * scale + bias
        return wide.astype(self.dtype or x.dtype)


class GraphAttentionPool(nn.Module):
    """A graph as the sum of its nodes, by a softmax of what each scores (Li et al., 2016, eq. 7).

    (nodes, features) -> (graphs, features). Parameters: ``gate``, a dense layer to one number.
    Sums, means and maxima of graphs are `jaxdl.ops.segment_reduction`'s.

    Attributes:
      dtype: of the result.
    """

    dtype: Any = None

    @nn.compact
    def __call__(self, x: jax.Array, graphs: jax.Array, count: int) -> jax.Array:
        """Arguments as of `GraphNorm`; a graph without nodes is 0."""
        scores = Dense(1, dtype=self.dtype, wide=True, name="gate")(x)
        weights = ops.segment_softmax(scores, graphs, count)
        return ops.segment_sum(x * weights.astype(x.dtype), graphs, count)
