"""Attention with its projections."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxdl import ops
from jaxdl.errors import UserError
from jaxdl.layers.cache import Cache
from jaxdl.layers.dropout import Dropout
from jaxdl.parallel import TensorRule

# By heads, of `MultiHeadAttention` under whatever name ends in "attention".
TENSOR_RULES = (
    TensorRule(r"(query|key|value)/kernel$", 1),
    TensorRule(r"(query|key|value)/bias$", 0),
    TensorRule(r"attention/out/kernel$", 0),
)


class Projection(nn.Module):
    """Parameters of a map between a width and (heads, head_dim), as matrices.

    ``kernel`` is (width, heads, head_dim) going in and (heads, head_dim, width) coming ``out``;
    ``bias`` is shaped like the result, and zeros that are no parameter without ``use_bias``. The
    head axis stands by itself so that tensor parallelism can split it. ``kernel_init`` draws the
    matrix, whose fans are width and heads · head_dim; Glorot's (Xavier's) by default.
    """

    width: int
    heads: int
    head_dim: int
    out: bool = False
    use_bias: bool = True
    kernel_init: Callable = nn.initializers.xavier_uniform()

    @nn.compact
    def __call__(self) -> tuple[jax.Array, jax.Array]:
        """Returns (kernel, bias), reshaped to two dimensions and one."""
        split, inner = (self.heads, self.head_dim), self.heads * self.head_dim
        shape = (*split, self.width) if self.out else (self.width, *split)
        flat = (inner, self.width) if self.out else (self.width, inner)
        init = lambda key, shape, dtype: self.kernel_init(key, flat, dtype).reshape(shape)
        kernel = self.param("kernel", init, shape, jnp.float32)
        bias_shape = (self.width,) if self.out else split
        zeros = nn.initializers.zeros_init()
        bias = (
            self.param("bias", zeros, bias_shape, jnp.float32)
            if self.use_bias
            else jnp.zeros(bias_shape)
        )
        return kernel.reshape(flat), bias.reshape(-1)


class MultiHeadAttention(nn.Module):
    """Multi-head attention (Vaswani et al., 2017, section 3.2.2), self or cross.

    Parameters: ``query``, ``key``, ``value`` and ``out``, each a `Projection`. Where the collection
    "intermediates" is mutable, ``weights`` (batch, heads, T, S) are sown into it.

    Attributes:
      heads: heads.
      head_dim: features of a head; width / heads if None.
      scale: factor on the scores; head_dim^-½ if None.
      dropout: rate on the weights, in training; the fast forms of `jaxdl.ops.attention` have none.
      use_bias: all four projections have one.
      key_bias: the keys' too. It shifts a query's scores all alike, so the softmax undoes it.
      kernel_init: of query, key and value, as matrices.
      query_init: of the query; kernel_init if None.
      out_init: of ``out``; kernel_init if None.
      dtype: of the computation.
    """

    heads: int
    head_dim: int | None = None
    scale: float | None = None
    dropout: float = 0.0
    use_bias: bool = True
    key_bias: bool = True
    kernel_init: Callable = nn.initializers.xavier_uniform()
    query_init: Callable | None = None
    out_init: Callable | None = None
    dtype: Any = None

    @nn.compact
    def __call__(
        self,
        x: jax.Array,
        context: jax.Array | None = None,
        *,
        mask: jax.Array | None = None,
        causal: bool = False,
        train: bool = False,
        cache: Cache | None = None,
        layer: int = 0,
    ) -> jax.Array | tuple[jax.Array, Cache]:
        """Attends from ``x`` (batch, T, width) to ``context`` (batch, S, width), itself if None.

        With a ``cache`` the keys are written there, as those of ``layer``, behind the ones that it
        has, and all of them are attended to: S is the cache's length. A context of no tokens adds
        none: so an encoder's are projected once.

        Args:
          x: queries.
          context: keys and values.
          mask: of `jaxdl.ops.attention`, over (batch, heads, T, S).
          causal: query t sees keys up to t + S - T only, of those that are in the cache if there
            is one.
          train: whether there is dropout.
          cache: of the model.
          layer: the cache's layer that is this module's.

        Returns:
          (batch, T, width), and the cache if one was given.
        """
        width, N = x.shape[-1], self.heads
        if self.head_dim is None and width % N:
            raise UserError(f"a width of {width} does not divide into {N} heads")
        D = self.head_dim or width // N
        context_width = width if context is None else context.shape[-1]
        maps = functools.partial(
            Projection, heads=N, head_dim=D, use_bias=self.use_bias, kernel_init=self.kernel_init
        )
        query = maps(width, kernel_init=self.query_init or self.kernel_init, name="query")()
        key = maps(context_width, use_bias=self.use_bias and self.key_bias, name="key")()
        value = maps(context_width, name="value")()

        def project(inputs: jax.Array, *maps: tuple[jax.Array, jax.Array]) -> list[jax.Array]:
            kernels, biases = zip(*maps, strict=True)
            inputs, *parts = nn.dtypes.promote_dtype(inputs, *kernels, *biases, dtype=self.dtype)
            found = ops.dense_each(inputs, parts[: len(maps)], parts[len(maps) :])
            return [y.reshape(*y.shape[:2], N, D) for y in found]

        if context is None:
            q_BxTxNxD, k_BxSxNxD, v_BxSxNxD = project(x, query, key, value)
        else:
            (q_BxTxNxD,) = project(x, query)
            k_BxSxNxD, v_BxSxNxD = project(context, key, value)
        if cache is not None:
            T, written = q_BxTxNxD.shape[1], k_BxSxNxD.shape[1]
            cache = cache.write(layer, k_BxSxNxD, v_BxSxNxD)
            k_BxSxNxD, v_BxSxNxD = cache.read(layer)
            # Where the last key stands is known when it runs only: a mask, not the causal form.
            mask, causal = ops.join_masks(mask, cache.seen(T, written, causal)), False
        seen = dict(mask=mask, causal=causal, scale=self.scale)
        if self.is_mutable_collection("intermediates"):
            weights_BxNxTxS = ops.attention_weights(q_BxTxNxD, k_BxSxNxD, **seen)
            self.sow("intermediates", "weights", weights_BxNxTxS)
        drop = None
        if train and self.dropout:
            drop = functools.partial(Dropout(self.dropout, name="drop_weights"), train=True)
        y_BxTxNxD = ops.attention(q_BxTxNxD, k_BxSxNxD, v_BxSxNxD, drop=drop, **seen)
        out_init = self.out_init or self.kernel_init
        kernel, bias = maps(width, out=True, kernel_init=out_init, name="out")()
        y = y_BxTxNxD.reshape(*y_BxTxNxD.shape[:2], N * D)
        y = ops.dense(*nn.dtypes.promote_dtype(y, kernel, bias, dtype=self.dtype))
        return y if cache is None else (y, cache)
