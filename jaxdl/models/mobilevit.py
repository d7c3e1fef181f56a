"""MobileViT (Mehta and Rastegari, 2021, "MobileViT", section 3 and table 4).

Images (batch, h, w, c) of any size in, logits (batch, num_classes) float32 out. Maps have strides
of 2, 4, 8, 16 and 32. Parameters at 3 channels and 1000 classes: mobilevit_xxs 1,272,024;
mobilevit_xs 2,317,848; mobilevit_s 5,578,632.
"""

import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxdl import layers, ops
from jaxdl.errors import UserError
from jaxdl.layers.initializers import FAN_OUT
from jaxdl.layers.inverted_residual import InvertedResidual
from jaxdl.models import register

VARIANTS = {
    "mobilevit_xxs": dict(
        widths=(16, 24, 48, 64, 80),
        tokens=(64, 80, 96),
        last_width=320,
        expand_ratio=2.0,
        dropout=0.05,
    ),
    "mobilevit_xs": dict(widths=(32, 48, 64, 80, 96), tokens=(96, 120, 144), last_width=384),
    "mobilevit_s": dict(widths=(32, 64, 96, 128, 160), tokens=(144, 192, 240), last_width=640),
}

# The published one is truncated at ±2, a hundred deviations away.
INIT = nn.initializers.normal(0.02)


class MobileViTBlock(nn.Module):
    """A transformer across patches, between convolutions within them.

    Each pixel attends to those at its place in all other patches. Submodules: ``local``, ``embed``,
    ``block_0`` and so on, ``norm``, ``unembed``, and ``fuse``, which reads what went in, too.

    Attributes:
      width: features of a token.
      depth: transformer blocks.
      patch_size: pixels along a patch's side.
      kernel_size: of ``local`` and ``fuse``.
      conv: makes a `jaxdl.layers.ConvNorm`.
      block: makes a `jaxdl.layers.Block`.
      epsilon: of ``norm``.
      dtype: of the computation.
    """

    width: int
    depth: int
    patch_size: int
    kernel_size: int
    conv: Callable[..., nn.Module]
    block: Callable[..., nn.Module]
    epsilon: float
    dtype: Any

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """(batch, h, w, c) in and out."""
        C = x.shape[-1]
        y = self.conv(C, self.kernel_size, name="local")(x, train=train)
        embed = functools.partial(layers.Dense, use_bias=False, kernel_init=FAN_OUT)
        y = embed(self.width, dtype=self.dtype, name="embed")(y)
        y, places = unfold(y, self.patch_size)
        for i in range(self.depth):
            y = self.block(name=f"block_{i}")(y, train=train)
        y = layers.LayerNorm(epsilon=self.epsilon, dtype=self.dtype, name="norm")(y)
        y = fold(y, self.patch_size, places)
        y = self.conv(C, 1, name="unembed")(y, train=train)
        both = jnp.concatenate([x, y], axis=-1)
        return self.conv(C, self.kernel_size, name="fuse")(both, train=train)


def unfold(x: jax.Array, p: int) -> tuple[jax.Array, tuple[int, int, int]]:
    """A map (batch, h, w, c) -> sequences (batch · p², patches, c), one a place in the patches.

    A side that does not divide is enlarged, as the published code does, to the next that does.

    Returns:
      The sequences, and for `fold` (batch, h, w).
    """
    B, H, W, C = x.shape
    rows, columns = math.ceil(H / p), math.ceil(W / p)
    x = _resized(x, rows * p, columns * p)
    x = x.reshape(B, rows, p, columns, p, C).transpose(0, 2, 4, 1, 3, 5)
    return x.reshape(B * p * p, rows * columns, C), (B, H, W)


def fold(x: jax.Array, p: int, places: tuple[int, int, int]) -> jax.Array:
    """The map of the sequences that `unfold` gave."""
    B, H, W = places
    rows, columns = math.ceil(H / p), math.ceil(W / p)
    x = x.reshape(B, p, p, rows, columns, -1).transpose(0, 3, 1, 4, 2, 5)
    return _resized(x.reshape(B, rows * p, columns * p, -1), H, W)


def _resized(x: jax.Array, height: int, width: int) -> jax.Array:
    if x.shape[1:3] == (height, width):
        return x
    shape = (x.shape[0], height, width, x.shape[-1])
    return jax.image.resize(x, shape, "bilinear", antialias=False)


@register("mobilevit", VARIANTS)
class MobileViT(nn.Module):
    """A stem, stages of inverted residuals, then stages of one with a `MobileViTBlock` behind it.

    Submodules: ``stem``; ``block_0_0`` … of stage 0 and so on, the `MobileViTBlock` last in its
    stage; ``last``, a 1x1 convolution in front of the pooling; ``head``.

    Attributes:
      num_classes: logits at the end; 0 for the features that they are made of.
      stem_width: features of the stem.
      widths: features of each stage.
      last_width: features in front of the head.
      depths: of each stage without a transformer its blocks; the other stages' transformers' blocks
        for the rest.
      tokens: features in each stage's transformer; stages at the front without one have none.
      strides: of the stem and each stage.
      expand_ratio: features in an inverted residual over those that go in.
      heads: attention heads.
      mlp_ratio: hidden features of the feed-forward layers over a token's.
      patch_size: pixels of a map along a patch's side.
      kernel_size: of the convolutions around the transformers.
      activation: a name in `jaxdl.ops.activations`.
      norm_epsilon: of layer norms; batch norms have 1e-5.
      dropout: rate behind attention and behind feed-forward.
      attention_dropout: rate on the attention weights.
      head_dropout: rate before the head.
      dtype: of the computation; parameters, statistics and logits stay float32.
    """

    num_classes: int = 1000
    stem_width: int = 16
    widths: tuple[int, ...] = (32, 64, 96, 128, 160)
    last_width: int = 640
    depths: tuple[int, ...] = (1, 3, 2, 4, 3)
    tokens: tuple[int, ...] = (144, 192, 240)
    strides: tuple[int, ...] = (2, 1, 2, 2, 2, 2)
    expand_ratio: float = 4.0
    heads: int = 4
    mlp_ratio: float = 2.0
    patch_size: int = 2
    kernel_size: int = 3
    activation: str = "silu"
    norm_epsilon: float = 1e-5
    dropout: float = 0.1
    attention_dropout: float = 0.0
    head_dropout: float = 0.1
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self, x: jax.Array, *, train: bool = False, features: bool = False
    ) -> jax.Array | dict[int, jax.Array]:
        """(batch, h, w, c) -> (batch, num_classes), or (batch, last_width) without classes.

        With ``features``: {stride: the last map at it (batch, h / stride, w / stride, c)}.
        """
        if not len(self.widths) == len(self.depths) == len(self.strides) - 1:
            raise UserError(
                f"{len(self.widths)} widths need as many depths and one stride more, the stem's; "
                f"there are {len(self.depths)} and {len(self.strides)}"
            )
        shared = dict(activation=self.activation, kernel_init=FAN_OUT, dtype=self.dtype)
        conv = functools.partial(layers.ConvNorm, **shared)
        residual = functools.partial(InvertedResidual, expand_ratio=self.expand_ratio, **shared)
        transformer = functools.partial(
            layers.Block,
            self.heads,
            mlp_ratio=self.mlp_ratio,
            activation=self.activation,
            norm_epsilon=self.norm_epsilon,
            dropout=self.dropout,
            attention_dropout=self.attention_dropout,
            activation_dropout=0.0,
            kernel_init=INIT,
            bias_init=nn.initializers.zeros_init(),
            dtype=self.dtype,
        )
        x = conv(self.stem_width, stride=self.strides[0], name="stem")(x, train=train)
        stride, pyramid = self.strides[0], {self.strides[0]: x}
        first = len(self.widths) - len(self.tokens)
        for i, (width, depth) in enumerate(zip(self.widths, self.depths, strict=True)):
            for j in range(depth if i < first else 1):
                block = residual(
                    width, stride=1 if j else self.strides[i + 1], name=f"block_{i}_{j}"
                )
                x = block(x, train=train)
            if i >= first:
                across = MobileViTBlock(
                    self.tokens[i - first],
                    depth,
                    patch_size=self.patch_size,
                    kernel_size=self.kernel_size,
                    conv=conv,
                    block=transformer,
                    epsilon=self.norm_epsilon,
                    dtype=self.dtype,
                    name=f"block_{i}_1",
                )
                x = across(x, train=train)
            stride *= self.strides[i + 1]
            pyramid[stride] = x
        if features:
            return pyramid
        x = conv(self.last_width, 1, name="last")(x, train=train).mean(axis=(1, 2))
        x = ops.widen(x)
        if not self.num_classes:
            return x
        x = layers.Dropout(self.head_dropout)(x, train=train)
        return layers.Dense(self.num_classes, kernel_init=INIT, name="head")(x)
