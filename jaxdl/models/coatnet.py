"""CoAtNet: convolutions where maps are large, attention where they are small.

Dai, Liu, Le and Tan, 2021, "CoAtNet: Marrying Convolution and Attention for All Data Sizes", table
3; what the paper leaves open is as in timm's coatnet_0_224 and its larger kin. A stem of two 3x3
convolutions, the first of stride 2, then stages, each of which halves the map in its first block:
inverted bottlenecks with squeeze-excite ("C"), then transformer blocks whose attention adds a
learned number for each relative position ("T").

Images (batch, h, w, c) in, logits (batch, num_classes) float32 out; h and w are multiples of 32,
and the same as those that the parameters were made for. Parameters at 224x224x3 and 1000 classes:
coatnet_0 25,036,820; coatnet_1 42,225,776; coatnet_2 74,684,744; coatnet_3 166,966,264; coatnet_4
275,425,288; coatnet_5 687,472,008.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxdl import layers, ops
from jaxdl.errors import UserError
from jaxdl.layers.attention import Projection
from jaxdl.layers.initializers import DEPTHWISE, FAN_OUT, PYTORCH
from jaxdl.models import register
from jaxdl.models.lengths import check_lengths
from jaxdl.registry import choose

_SMALL, _LARGE = (96, 192, 384, 768), (192, 384, 768, 1536)
VARIANTS = {
    "coatnet_0": dict(widths=_SMALL, depths=(2, 3, 5, 2), stem_width=64),
    "coatnet_1": dict(widths=_SMALL, depths=(2, 6, 14, 2), stem_width=64),
    "coatnet_2": dict(widths=(128, 256, 512, 1024), depths=(2, 6, 14, 2), stem_width=128),
    "coatnet_3": dict(widths=_LARGE, depths=(2, 6, 14, 2), stem_width=192),
    "coatnet_4": dict(widths=_LARGE, depths=(2, 12, 28, 2), stem_width=192),
    "coatnet_5": dict(widths=(256, 512, 1280, 2048), depths=(2, 12, 28, 2), stem_width=192),
}

# timm's: FAN_OUT and DEPTHWISE for convolutions; matrices of the transformer blocks by both sides;
# PYTORCH for the head.
_XAVIER = nn.initializers.xavier_uniform()


@register("coatnet", VARIANTS)
class CoAtNet(nn.Module):
    """A stem, stages of either kind, and a head of two dense layers with tanh between.

    Attributes:
      num_classes: logits at the end; with 0 the result is what the last layer would get.
      widths: features of each stage.
      depths: its blocks.
      blocks: a letter a stage, "C" or "T".
      stem_width: features of the stem.
      head_dim: features of an attention head; divides the widths of stages "T".
      expansion: hidden features of a block over its features.
      dropout: rate before the last layer.
      drop_path: stochastic depth of the last block; earlier blocks' rise linearly from 0.
      dtype: of the computation; parameters, statistics and logits stay float32.
    """

    num_classes: int = 1000
    widths: tuple[int, ...] = _SMALL
    depths: tuple[int, ...] = (2, 3, 5, 2)
    blocks: str = "CCTT"
    stem_width: int = 64
    head_dim: int = 32
    expansion: float = 4.0
    dropout: float = 0.0
    drop_path: float = 0.0
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self, x: jax.Array, *, train: bool = False, features: bool = False
    ) -> jax.Array | dict[int, jax.Array]:
        """(batch, h, w, c) -> (batch, num_classes).

        With ``features``: {stride: (batch, h / stride, w / stride, channels)}, the last map of the
        stem and of each stage.

        Raises:
          UserError: h or w is not a multiple of the last stride, or is one that the parameters were
            not made for; or there are not as many widths, depths and blocks.
        """
        check_lengths(self, "widths", "depths", "blocks")
        last = 2 ** (len(self.depths) + 1)
        if x.shape[1] % last or x.shape[2] % last:
            raise UserError(
                f"images of {x.shape[1]}x{x.shape[2]} pixels: sides must be multiples of {last}"
            )
        dtype = self.dtype
        conv = dict(kernel_init=FAN_OUT, dtype=dtype)
        stem = layers.ConvNorm(self.stem_width, stride=2, activation="gelu", name="stem_0", **conv)
        x = stem(x, train=train)
        x = layers.Conv(self.stem_width, use_bias=False, name="stem_1", **conv)(x)
        pyramid, done, total = {2: x}, 0, sum(self.depths)
        for i, (width, depth, kind) in enumerate(
            zip(self.widths, self.depths, self.blocks, strict=True)
        ):
            stage = {"C": MBConv, "T": functools.partial(Transformer, head_dim=self.head_dim)}
            block = functools.partial(
                choose("block", kind, stage), width, expansion=self.expansion, dtype=dtype
            )
            for j in range(depth):
                x = block(
                    halve=j == 0,
                    stride=2 ** (i + 2),
                    drop_path=self.drop_path * done / max(total - 1, 1),
                    name=f"block_{i}_{j}",
                )(x, train=train)
                done += 1
            pyramid[2 ** (i + 2)] = x
        if features:
            return pyramid
        x = ops.widen(x).mean(axis=(1, 2))
        x = layers.LayerNorm(epsilon=1e-6, name="norm")(x)
        x = ops.tanh(layers.Dense(x.shape[-1], kernel_init=PYTORCH, name="hidden")(x))
        if not self.num_classes:
            return x
        x = layers.Dropout(self.dropout)(x, train=train)
        return layers.Dense(self.num_classes, kernel_init=PYTORCH, name="head")(x)


def _shortcut(x: jax.Array, features: int, halve: bool, init: Callable, dtype: Any) -> jax.Array:
    """What a block adds to: its input, averaged by fours and brought to its width if need be."""
    x = ops.avg_pool(x, 2) if halve else x
    if x.shape[-1] == features:
        return x
    return layers.Dense(features, kernel_init=init, dtype=dtype, name="shortcut")(x)


class MBConv(nn.Module):
    """Norm, 1x1 up, depthwise 3x3, squeeze-excite, 1x1 down: added to what went in.

    Attributes:
      features: of the result.
      halve: the depthwise convolution and the shortcut have stride 2.
      stride: pixels of the image between places of the result.
      expansion: hidden features over ``features``.
      drop_path: stochastic depth.
      dtype: of the computation.
    """

    features: int
    halve: bool = False
    stride: int = 1
    expansion: float = 4.0
    drop_path: float = 0.0
    dtype: Any = None

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """(batch, h, w, any channels) -> (batch, h', w', features)."""
        hidden, dtype = int(self.features * self.expansion), self.dtype
        conv = functools.partial(layers.ConvNorm, hidden, activation="gelu", dtype=dtype)
        norm = layers.BatchNorm(use_running_average=not train, dtype=dtype, name="norm")
        y = conv(kernel_size=1, kernel_init=FAN_OUT, name="expand")(norm(x), train=train)
        y = conv(
            stride=2 if self.halve else 1, groups=hidden, kernel_init=DEPTHWISE, name="depthwise"
        )(y, train=train)
        y = layers.SqueezeExcite(
            self.features // 4, activation="silu", dtype=dtype, name="squeeze_excite"
        )(y)
        y = layers.Dense(self.features, kernel_init=FAN_OUT, dtype=dtype, name="project")(y)
        y = layers.DropPath(self.drop_path)(y, train=train)
        return _shortcut(x, self.features, self.halve, FAN_OUT, dtype) + y


class Transformer(nn.Module):
    """Attention among all places of a map, then two dense layers; fields as `MBConv`'s.

    Attributes:
      head_dim: features of an attention head.
    """

    features: int
    halve: bool = False
    stride: int = 1
    expansion: float = 4.0
    head_dim: int = 32
    drop_path: float = 0.0
    dtype: Any = None

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """(batch, h, w, any channels) -> (batch, h', w', features)."""
        norm = functools.partial(layers.LayerNorm, epsilon=1e-6, dtype=self.dtype)
        y = norm(name="norm_attention")(x)
        y = ops.avg_pool(y, 2) if self.halve else y
        y = RelativeAttention(
            self.features, self.head_dim, stride=self.stride, dtype=self.dtype, name="attention"
        )(y)
        y = layers.DropPath(self.drop_path)(y, train=train)
        x = _shortcut(x, self.features, self.halve, _XAVIER, self.dtype) + y
        y = layers.FeedForward(
            int(self.features * self.expansion), dtype=self.dtype, name="feed_forward"
        )(norm(name="norm_feed_forward")(x), train=train)
        return x + layers.DropPath(self.drop_path)(y, train=train)


class RelativeAttention(nn.Module):
    """Attention of a map to itself, scores plus a `RelativeBias`.

    As `jaxdl.layers.MultiHeadAttention`, it sows its ``weights``.

    Attributes:
      features: of the result, and of all heads together.
      head_dim: of one; divides features.
      stride: pixels of the image between places.
      dtype: of the computation.
    """

    features: int
    head_dim: int
    stride: int = 1
    dtype: Any = None

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """(batch, h, w, any channels) -> (batch, h, w, features)."""
        B, h, w, C = x.shape
        if self.features % self.head_dim:
            raise UserError(
                f"a width of {self.features} does not divide by head_dim={self.head_dim}"
            )
        N, D, T = self.features // self.head_dim, self.head_dim, h * w
        maps = functools.partial(Projection, heads=N, head_dim=D)
        names = ("query", "key", "value")
        kernels, biases = zip(*(maps(C, name=name)() for name in names), strict=True)
        kernel, bias = jnp.concatenate(kernels, axis=1), jnp.concatenate(biases)
        y = ops.dense(*nn.dtypes.promote_dtype(x, kernel, bias, dtype=self.dtype))
        q_BxTxNxD, k_BxTxNxD, v_BxTxNxD = (
            part.reshape(B, T, N, D) for part in jnp.split(y, 3, axis=-1)
        )
        mask = layers.RelativeBias(N, stride=self.stride, name="positions")(h, w)
        if self.is_mutable_collection("intermediates"):
            weights_BxNxTxT = ops.attention_weights(q_BxTxNxD, k_BxTxNxD, mask=mask)
            self.sow("intermediates", "weights", weights_BxNxTxT)
        y = ops.attention(q_BxTxNxD, k_BxTxNxD, v_BxTxNxD, mask=mask).reshape(B, h, w, N * D)
        kernel, bias = maps(self.features, out=True, name="out")()
        return ops.dense(*nn.dtypes.promote_dtype(y, kernel, bias, dtype=self.dtype))
