"""Convolutional vision Transformer (Wu et al., 2021, "CvT", section 3 and table 2).

Images (batch, h, w, c) in, logits (batch, num_classes) float32 out; h and w of 3 or more. Maps have
strides of 4, 8 and 16. Parameters at 3 channels and 1000 classes: cvt_13 19,997,480; cvt_21
31,622,696; cvt_w24 277,196,392.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxdl import layers, ops
from jaxdl.errors import UserError
from jaxdl.layers.attention import Projection
from jaxdl.models import register
from jaxdl.models.lengths import check_lengths
from jaxdl.registry import choose

VARIANTS = {
    "cvt_13": dict(depths=(1, 2, 10), widths=(64, 192, 384), heads=(1, 3, 6)),
    "cvt_21": dict(depths=(1, 4, 16), widths=(64, 192, 384), heads=(1, 3, 6)),
    "cvt_w24": dict(depths=(2, 2, 20), widths=(192, 768, 1024), heads=(3, 12, 16)),
}

# The published one is truncated at ±2, a hundred deviations away.
INIT = nn.initializers.normal(0.02)
# Of all layer norms. The one that transformers' configurations name is not what its code computes.
EPSILON = 1e-5


class ConvAttention(nn.Module):
    """Attention whose queries, keys and values are each a convolution's, with a matrix behind it.

    A class token goes past the convolutions. Parameters: ``query``, ``key``, ``value`` and ``out``,
    as `jaxdl.layers.MultiHeadAttention` has them, and the depthwise convolutions ``query_conv``,
    ``key_conv`` and ``value_conv``, each with a batch norm. Sows ``weights`` as that does.

    Attributes:
      heads: heads; divides the width.
      kernel_size: of the convolutions.
      stride: of those of keys and values.
      dropout: rate on the weights; the fast forms of `jaxdl.ops.attention` have none.
      dtype: of the computation.
    """

    heads: int
    kernel_size: int = 3
    stride: int = 2
    dropout: float = 0.0
    dtype: Any = None

    @nn.compact
    def __call__(self, x: jax.Array, places: tuple[int, int], *, train: bool) -> jax.Array:
        """Tokens of a map of h x w places, behind a class token if there is one more; same out."""
        B, _, C = x.shape
        N = self.heads
        if C % N:
            raise UserError(f"a width of {C} does not divide into {N} heads")
        token, image = jnp.split(x, [x.shape[1] - places[0] * places[1]], axis=1)
        image = image.reshape(B, *places, C)

        def project(name: str, stride: int) -> jax.Array:
            conv = layers.ConvNorm(
                C,
                self.kernel_size,
                stride=stride,
                groups=C,
                activation="identity",
                kernel_init=INIT,
                dtype=self.dtype,
                name=f"{name}_conv",
            )
            y = conv(image, train=train).reshape(B, -1, C)
            y = jnp.concatenate([token.astype(y.dtype), y], axis=1)
            kernel, bias = Projection(C, N, C // N, kernel_init=INIT, name=name)()
            y = ops.dense(*nn.dtypes.promote_dtype(y, kernel, bias, dtype=self.dtype))
            return y.reshape(B, -1, N, C // N)

        q_BxTxNxD = project("query", 1)
        k_BxSxNxD, v_BxSxNxD = project("key", self.stride), project("value", self.stride)
        scale = C**-0.5  # the authors', by the whole width and not a head's
        if self.is_mutable_collection("intermediates"):
            weights_BxNxTxS = ops.attention_weights(q_BxTxNxD, k_BxSxNxD, scale=scale)
            self.sow("intermediates", "weights", weights_BxNxTxS)
        drop = None
        if train and self.dropout:
            drop = functools.partial(layers.Dropout(self.dropout, name="drop_weights"), train=True)
        y_BxTxNxD = ops.attention(q_BxTxNxD, k_BxSxNxD, v_BxSxNxD, scale=scale, drop=drop)
        kernel, bias = Projection(C, N, C // N, out=True, kernel_init=INIT, name="out")()
        y = y_BxTxNxD.reshape(B, -1, C)
        return ops.dense(*nn.dtypes.promote_dtype(y, kernel, bias, dtype=self.dtype))


class Block(nn.Module):
    """A pre-norm transformer block around `ConvAttention`.

    Submodules: ``norm_attention``, ``attention``, ``norm_feed_forward``, ``feed_forward``.

    Attributes:
      heads: of the attention; so are kernel_size, stride and attention_dropout.
      mlp_ratio: hidden features of the feed-forward layers over width.
      dropout: rate behind attention and behind feed-forward.
      drop_path: stochastic depth.
      dtype: of the computation.
    """

    heads: int
    kernel_size: int = 3
    stride: int = 2
    mlp_ratio: float = 4.0
    dropout: float = 0.0
    attention_dropout: float = 0.0
    drop_path: float = 0.0
    dtype: Any = None

    @nn.compact
    def __call__(self, x: jax.Array, places: tuple[int, int], *, train: bool) -> jax.Array:
        """(batch, T, width) in and out; T and ``places`` as `ConvAttention` has them."""
        norm = functools.partial(layers.LayerNorm, epsilon=EPSILON, dtype=self.dtype)

        def leave(name: str, x: jax.Array, y: jax.Array) -> jax.Array:
            return x + layers.DropPath(self.drop_path, name=f"drop_{name}")(y, train=train)

        attention = ConvAttention(
            self.heads,
            kernel_size=self.kernel_size,
            stride=self.stride,
            dropout=self.attention_dropout,
            dtype=self.dtype,
            name="attention",
        )
        y = attention(norm(name="norm_attention")(x), places, train=train)
        x = leave("attention", x, layers.Dropout(self.dropout)(y, train=train))
        feed_forward = layers.FeedForward(
            int(self.mlp_ratio * x.shape[-1]),
            dropout=self.dropout,
            activation_dropout=0.0,
            kernel_init=INIT,
            bias_init=nn.initializers.zeros_init(),
            dtype=self.dtype,
            name="feed_forward",
        )
        y = feed_forward(norm(name="norm_feed_forward")(x), train=train)
        return leave("feed_forward", x, y)


@register("cvt", VARIANTS)
class CvT(nn.Module):
    """Stages of a convolution, which makes tokens of a map, and transformer blocks on them.

    Submodules: ``embed_i`` and ``embed_norm_i`` of stage i, ``block_{i}_{j}``, ``norm``, ``head``;
    parameter: ``class_token`` (1, 1, c).

    Attributes:
      num_classes: logits at the end; 0 for the features that they are made of.
      depths: blocks of each stage.
      widths: features of each stage.
      heads: attention heads of each stage.
      patch_sizes: kernel of each stage's first convolution.
      strides: of it.
      paddings: of it.
      pool: "token" reads a class token, which the last stage has, "mean" the mean of its map.
      kernel_size: of the attention's convolutions.
      key_stride: of those of keys and values.
      mlp_ratio: hidden features of the feed-forward layers over width.
      dropout: rate behind the embedding, attention and feed-forward layers.
      attention_dropout: rate on the attention weights.
      drop_path: stochastic depth of the last block; the last stage's earlier blocks' rise linearly
        from 0, and the other stages have none.
      dtype: of the computation; parameters, statistics and logits stay float32.
    """

    num_classes: int = 1000
    depths: tuple[int, ...] = (1, 2, 10)
    widths: tuple[int, ...] = (64, 192, 384)
    heads: tuple[int, ...] = (1, 3, 6)
    patch_sizes: tuple[int, ...] = (7, 3, 3)
    strides: tuple[int, ...] = (4, 2, 2)
    paddings: tuple[int, ...] = (2, 1, 1)
    pool: str = "token"
    kernel_size: int = 3
    key_stride: int = 2
    mlp_ratio: float = 4.0
    dropout: float = 0.0
    attention_dropout: float = 0.0
    drop_path: float = 0.1
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self, x: jax.Array, *, train: bool = False, features: bool = False
    ) -> jax.Array | dict[int, jax.Array]:
        """(batch, h, w, c) -> (batch, num_classes), or (batch, last width) without classes.

        With ``features``: {stride: the last map of each stage (batch, h / stride, w / stride, c)}.

        Raises:
          UserError: the image is smaller than what the first convolution sees at once, or fields
            have not an entry a stage each.
        """
        with_token = choose("pool", self.pool, {"token": True, "mean": False})
        check_lengths(self, "depths", "widths", "heads", "patch_sizes", "strides", "paddings")
        smallest = self.patch_sizes[0] - 2 * self.paddings[0]
        if min(x.shape[1:3]) < smallest:
            size = "{}x{}".format(*x.shape[1:3])
            raise UserError(f"images of {size} pixels are too small: at least {smallest} a side")
        norm = functools.partial(layers.LayerNorm, epsilon=EPSILON, dtype=self.dtype)
        pyramid, stride = {}, 1
        stages = zip(self.depths, self.widths, self.heads, strict=True)
        for i, (depth, width, heads) in enumerate(stages):
            embed = layers.Conv(
                width,
                self.patch_sizes[i],
                stride=self.strides[i],
                padding=self.paddings[i],
                kernel_init=INIT,
                dtype=self.dtype,
                name=f"embed_{i}",
            )
            x = norm(name=f"embed_norm_{i}")(embed(x))
            x = layers.Dropout(self.dropout)(x, train=train)
            shape, last = x.shape, i == len(self.depths) - 1
            x = x.reshape(shape[0], -1, width)
            if last and with_token:
                token = self.param("class_token", INIT, (1, 1, width), jnp.float32)
                token = jnp.tile(token, (shape[0], 1, 1)).astype(x.dtype)
                x = jnp.concatenate([token, x], axis=1)
            for j in range(depth):
                block = Block(
                    heads,
                    kernel_size=self.kernel_size,
                    stride=self.key_stride,
                    mlp_ratio=self.mlp_ratio,
                    dropout=self.dropout,
                    attention_dropout=self.attention_dropout,
                    drop_path=self.drop_path * j / max(depth - 1, 1) if last else 0.0,
                    dtype=self.dtype,
                    name=f"block_{i}_{j}",
                )
                x = block(x, shape[1:3], train=train)
            tokens, x = x, x[:, x.shape[1] - shape[1] * shape[2] :].reshape(shape)
            stride *= self.strides[i]
            pyramid[stride] = x
        if features:
            return pyramid
        x = norm(name="norm")(tokens[:, :1] if with_token else tokens).mean(axis=1)
        x = ops.widen(x)
        if not self.num_classes:
            return x
        return layers.Dense(self.num_classes, kernel_init=INIT, name="head")(x)
