"""The transformer's block and its feed-forward half."""

from collections.abc import Callable
from typing import Any

import jax
from flax import linen as nn

from jaxdl import ops
from jaxdl.layers.attention import MultiHeadAttention
from jaxdl.layers.cache import Cache
from jaxdl.layers.dense import Dense
from jaxdl.layers.drop_path import DropPath
from jaxdl.layers.dropout import Dropout
from jaxdl.layers.normalization import LayerNorm
from jaxdl.parallel import TensorRule

# By hidden features, of a `FeedForward` that its owner calls "feed_forward".
TENSOR_RULES = (
    TensorRule(r"feed_forward/(up|gate)/kernel$", 1),
    TensorRule(r"feed_forward/(up|gate)/bias$", 0),
    TensorRule(r"feed_forward/down/kernel$", 0),
)


class FeedForward(nn.Module):
    """Two dense layers with an activation between: (…, width) -> (…, hidden) -> (…, width).

    Attributes:
      hidden: features between.
      activation: a name in `jaxdl.ops.activations`.
      gated: ``activation(gate(x)) · up(x)`` in place of ``activation(up(x))`` (Shazeer, 2020,
        "GLU Variants Improve Transformer").
      dropout: rate behind the second layer.
      activation_dropout: rate behind the activation; ``dropout`` if None, as in the published ViT.
      use_bias: both layers have one.
      kernel_init: of the first layer.
      out_init: of the second; kernel_init if None.
      bias_init: of both.
      dtype: of the computation.
    """

    hidden: int
    activation: str = "gelu"
    gated: bool = False
    dropout: float = 0.0
    activation_dropout: float | None = None
    use_bias: bool = True
    kernel_init: Callable = nn.initializers.xavier_uniform()
    out_init: Callable | None = None
    bias_init: Callable = nn.initializers.normal(1e-6)
    dtype: Any = None

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """(…, width) in and out."""
        dense = lambda features, init, name: Dense(
            features,
            use_bias=self.use_bias,
            kernel_init=init,
            bias_init=self.bias_init,
            dtype=self.dtype,
            name=name,
        )
        h = dense(self.hidden, self.kernel_init, "up")(x)
        gate = dense(self.hidden, self.kernel_init, "gate")(x) if self.gated else None
        act = ops.activation(self.activation)
        h = act(h) if gate is None else act(gate) * h
        inner = self.dropout if self.activation_dropout is None else self.activation_dropout
        h = Dropout(inner)(h, train=train)
        y = dense(x.shape[-1], self.out_init or self.kernel_init, "down")(h)
        return Dropout(self.dropout)(y, train=train)


class Block(nn.Module):
    """The transformer's block: attention to itself, to a context if there is one, feed-forward.

    Each is added to what it read: pre-norm ``x + f(norm(x))`` (Xiong et al., 2020) or post-norm
    ``norm(x + f(x))`` (Vaswani et al., 2017, section 3.1), f with dropout and stochastic depth at
    its end. Parameters: ``attention`` and ``norm_attention``; ``cross_attention`` and
    ``norm_cross_attention`` where there is a context; ``feed_forward`` and ``norm_feed_forward``.

    Attributes:
      heads: attention heads.
      head_dim: features of a head; width / heads if None.
      mlp_ratio: hidden features of the feed-forward layers over width.
      hidden: these themselves, whatever the ratio; None for the ratio.
      activation: between these, a name in `jaxdl.ops.activations`.
      gated: of `FeedForward`.
      pre_norm: the norm comes before attention and feed-forward, not behind the sum.
      norm: makes the normalisation of (epsilon, dtype, name).
      norm_epsilon: its ε. Published models differ.
      scale: of `MultiHeadAttention`; so are use_bias and key_bias.
      use_bias: attention and feed-forward layers have biases.
      key_bias: keys have one, too.
      dropout: rate behind attention and behind feed-forward.
      attention_dropout: rate on the attention weights, which then take the slow form.
      activation_dropout: rate behind the activation; ``dropout`` if None.
      drop_path: stochastic depth.
      kernel_init: of the matrices.
      query_init: of the queries'; kernel_init if None.
      out_init: of those whose result is added to what was there; kernel_init if None.
      bias_init: of the feed-forward biases.
      remat: keep only the block's inputs for the backward pass, which computes the rest anew: the
        same numbers for less memory and about a third more work.
      dtype: of the computation.
    """

    heads: int
    head_dim: int | None = None
    mlp_ratio: float = 4.0
    hidden: int | None = None
    activation: str = "gelu"
    gated: bool = False
    pre_norm: bool = True
    norm: Callable[..., nn.Module] = LayerNorm
    norm_epsilon: float = 1e-6
    scale: float | None = None
    use_bias: bool = True
    key_bias: bool = True
    dropout: float = 0.0
    attention_dropout: float = 0.0
    activation_dropout: float | None = None
    drop_path: float = 0.0
    kernel_init: Callable = nn.initializers.xavier_uniform()
    query_init: Callable | None = None
    out_init: Callable | None = None
    bias_init: Callable = nn.initializers.normal(1e-6)
    remat: bool = False
    dtype: Any = None

    def __call__(
        self,
        x: jax.Array,
        context: jax.Array | None = None,
        *,
        train: bool,
        mask: jax.Array | None = None,
        causal: bool = False,
        context_mask: jax.Array | None = None,
        cache: Cache | None = None,
        layer: int = 0,
    ) -> jax.Array | tuple[jax.Array, Cache]:
        """(batch, T, width) in and out.

        Args:
          x: tokens.
          context: (batch, S, any width), the encoder's; with it there is cross-attention. If the
            cache has a place for it, it is given once, and then without tokens, (batch, 0, width).
          train: whether there is dropout.
          mask: of `jaxdl.ops.attention`, over (batch, heads, T, T or the cache's length).
          causal: no token attends to a later one.
          context_mask: over (batch, heads, T, S or the context's cache's length).
          cache: of the model; without gradients.
          layer: the cache's layer that is this block's.

        Returns:
          The tokens, and the cache if one was given.
        """
        how = dict(train=train, causal=causal, layer=layer)
        if not self.remat or cache is not None:
            return self._run(x, context, mask, context_mask, cache, **how)
        # Lifted here and not on the class: the parameters keep their names.
        run = lambda block, *arrays: block._run(*arrays, None, **how)
        return nn.remat(run)(self, x, context, mask, context_mask)

    @nn.compact
    def _run(self, x, context, mask, context_mask, cache, *, train, causal, layer):
        def norm(name: str, x: jax.Array) -> jax.Array:
            make = self.norm(epsilon=self.norm_epsilon, dtype=self.dtype, name=f"norm_{name}")
            return make(x)

        enter = lambda name, x: norm(name, x) if self.pre_norm else x

        def leave(name: str, x: jax.Array, y: jax.Array) -> jax.Array:
            x = x + DropPath(self.drop_path, name=f"drop_{name}")(y, train=train)
            return x if self.pre_norm else norm(name, x)

        def attend(name: str, x: jax.Array, context, cache, **seen):
            y = MultiHeadAttention(
                self.heads,
                head_dim=self.head_dim,
                scale=self.scale,
                dropout=self.attention_dropout,
                use_bias=self.use_bias,
                key_bias=self.key_bias,
                kernel_init=self.kernel_init,
                query_init=self.query_init,
                out_init=self.out_init,
                dtype=self.dtype,
                name=name,
            )(enter(name, x), context, train=train, cache=cache, layer=layer, **seen)
            y, cache = (y, None) if cache is None else y
            return leave(name, x, Dropout(self.dropout)(y, train=train)), cache

        x, own = attend("attention", x, None, cache, mask=mask, causal=causal)
        if context is not None:
            theirs = None if cache is None else cache.context
            x, theirs = attend("cross_attention", x, context, theirs, mask=context_mask)
            own = None if own is None else own._replace(context=theirs)
        y = FeedForward(
            int(self.mlp_ratio * x.shape[-1]) if self.hidden is None else self.hidden,
            activation=self.activation,
            gated=self.gated,
            dropout=self.dropout,
            activation_dropout=self.activation_dropout,
            use_bias=self.use_bias,
            kernel_init=self.kernel_init,
            out_init=self.out_init,
            bias_init=self.bias_init,
            dtype=self.dtype,
            name="feed_forward",
        )(enter("feed_forward", x), train=train)
        x = leave("feed_forward", x, y)
        return x if own is None else (x, own)
