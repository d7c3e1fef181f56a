"""Attention over a node's neighbours."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxdl import ops
from jaxdl.layers.dense import Dense
from jaxdl.layers.dropout import Dropout
from jaxdl.layers.initializers import initializer

_XAVIER = initializer("xavier_uniform")


class GATConv(nn.Module):
    """Graph attention: neighbours summed by weights that follow from what both ends hold.

    Static (Veličković et al., 2018, equations 1 to 6): the softmax over the edges that arrive at i
    of ``leaky_relu(aᵀ [W x_j ‖ W x_i ‖ W_e e_ji])``. Dynamic, GATv2 (Brody et al., 2022, equation
    7): of ``aᵀ leaky_relu(W_s x_j + W_t x_i + W_e e_ji)``, so that who is heard most depends on who
    hears. (nodes, features_in) -> (nodes, heads · features) joined, or (nodes, features).

    Parameters: ``source`` (and, dynamic, ``target``, both with biases), ``edge`` without bias where
    edges have features, a head's share of a being ``attention_source``, ``attention_target`` and
    ``attention_edge``, or, dynamic, ``attention``, (heads, features) each; ``bias``.

    Attributes:
      features: of a head.
      heads: that attend apart from each other.
      joined: heads' results stand side by side, otherwise they are averaged.
      dynamic: as of GATv2.
      negative_slope: of the leaky ReLU.
      dropout: rate of the weights, in training.
      hops: how often what nodes hold is passed on by the same weights, so that a node hears by
        their products (Wang et al., 2021, "Multi-hop Attention Graph Neural Networks", section 3.1,
        with all of the weight on the last hop).
      dtype: of the computation; the softmax is in float32.
    """

    features: int
    heads: int = 1
    joined: bool = True
    dynamic: bool = False
    negative_slope: float = 0.2
    dropout: float = 0.0
    hops: int = 1
    dtype: Any = None

    @nn.compact
    def __call__(self, x: jax.Array, edges: ops.Edges, *, train: bool = False) -> jax.Array:
        """A node hears itself where ``edges`` have its loop; their weights are not used."""
        sent = self._of_heads("source", x, self.dynamic)
        score = self._dynamic if self.dynamic else self._static
        weights = ops.arrived_softmax(ops.widen(score(x, sent, edges)), edges, len(x))
        weights = Dropout(self.dropout)(weights, train=train)
        for _ in range(self.hops):
            sent = ops.sum_of_heads(sent, weights, edges)
        x = sent
        x = x.reshape(len(x), -1) if self.joined else x.mean(axis=1)
        bias = self.param("bias", nn.initializers.zeros_init(), x.shape[-1:], jnp.float32)
        return x + bias.astype(x.dtype)

    def _of_heads(self, name: str, x: jax.Array, use_bias: bool) -> jax.Array:
        """(…, features_in) -> (…, heads, features)."""
        width = self.heads * self.features
        x = Dense(width, use_bias=use_bias, kernel_init=_XAVIER, dtype=self.dtype, name=name)(x)
        return x.reshape(*x.shape[:-1], self.heads, self.features)

    def _scores(self, name: str, x: jax.Array) -> jax.Array:
        """(…, heads, features) -> (…, heads)."""
        a = self.param(name, _XAVIER, (self.heads, self.features), jnp.float32)
        return jnp.einsum("...hf,hf->...h", x, a.astype(x.dtype))

    def _static(self, x: jax.Array, sent: jax.Array, edges: ops.Edges) -> jax.Array:
        scores = ops.senders(self._scores("attention_source", sent), edges)
        scores += ops.receivers(self._scores("attention_target", sent), edges)
        if edges.features is not None:
            edge = self._of_heads("edge", edges.features, use_bias=False)
            scores += self._scores("attention_edge", edge)
        return ops.leaky_relu(scores, self.negative_slope)

    def _dynamic(self, x: jax.Array, sent: jax.Array, edges: ops.Edges) -> jax.Array:
        heard = ops.senders(sent, edges)
        heard += ops.receivers(self._of_heads("target", x, use_bias=True), edges)
        if edges.features is not None:
            heard += self._of_heads("edge", edges.features, use_bias=False)
        return self._scores("attention", ops.leaky_relu(heard, self.negative_slope))
