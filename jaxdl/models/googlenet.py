"""GoogLeNet (Inception v1).

Szegedy et al., 2014, "Going Deeper with Convolutions", table 1, in two forms. ``googlenet`` is what
torchvision publishes: batch norm (ε 1e-3) behind every convolution, 3x3 in place of 5x5, and a last
pool of 2x2. ``googlenet_paper`` is the paper's: 5x5, biases, and local response normalisation in
the stem (figure 3), with Caffe's constants.

Images (batch, h, w, c) in, at least 15 pixels a side (31 in the paper's form), logits (batch,
num_classes) float32 out. Parameters for 3 channels and 1000 classes: googlenet 6,624,904, with
auxiliary heads 13,004,888; googlenet_paper 6,998,552, with auxiliary heads 13,378,280.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from jaxdl import layers, ops
from jaxdl.errors import UserError
from jaxdl.models import register
from jaxdl.models.lengths import check_lengths
from jaxdl.registry import choose

VARIANTS = {"googlenet_paper": dict(form="paper", dropout=0.4)}

# A block's features: 1x1; in front of 3x3, 3x3; in front of 5x5, 5x5; behind the pool.
Features = tuple[int, int, int, int, int, int]

STAGES: tuple[tuple[Features, ...], ...] = (
    ((64, 96, 128, 16, 32, 32), (128, 128, 192, 32, 96, 64)),
    (
        (192, 96, 208, 16, 48, 64),
        (160, 112, 224, 24, 64, 64),
        (128, 128, 256, 24, 64, 64),
        (112, 144, 288, 32, 64, 64),
        (256, 160, 320, 32, 128, 128),
    ),
    ((256, 160, 320, 32, 128, 128), (384, 192, 384, 48, 128, 128)),
)

# torchvision's, from which batch norm frees the scale; the paper names none, and He's keeps it.
_INIT = nn.initializers.normal(0.01)
_PAPER_INIT = nn.initializers.he_normal()

# The mean and deviation by which images are prepared, and those that torchvision's weights know.
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_KNOWN = 0.5


class Inception(nn.Module):
    """Four branches side by side: 1x1; 1x1, 3x3; 1x1, 5x5 (or 3x3 again); 3x3 max-pool, 1x1.

    Attributes:
      features: of each of their convolutions, in this order.
      large: the kernel of the third branch.
      conv: makes a convolution of (features, kernel size, name).
    """

    features: Features
    large: int
    conv: Callable[..., nn.Module]

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """(batch, h, w, c) -> (batch, h, w, features of the four together)."""
        one, to_three, three, to_large, large, projected = self.features
        conv = lambda x, *how, name: self.conv(*how, name=name)(x, train=train)
        branches = [
            conv(x, one, 1, name="one"),
            conv(conv(x, to_three, 1, name="to_three"), three, 3, name="three"),
            conv(conv(x, to_large, 1, name="to_large"), large, self.large, name="large"),
            conv(ops.max_pool(x, 3, 1, 1), projected, 1, name="projected"),
        ]
        return jnp.concatenate(branches, axis=-1)


class Auxiliary(nn.Module):
    """A classifier on an early map: mean over windows, 1x1 convolution, two dense layers.

    Attributes:
      num_classes: logits.
      features: of the convolution.
      hidden: of the dense layer in front of the logits.
      dropout: rate between the two.
      paper: 5x5 windows at stride 3, as in the paper, instead of windows that fit the map.
      conv: as `Inception`'s.
      dense_init: of the first dense layer.
      dtype: of the computation.
    """

    num_classes: int
    features: int
    hidden: int
    dropout: float
    paper: bool
    conv: Callable[..., nn.Module]
    dense_init: Callable
    dtype: Any

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """(batch, h, w, c) -> (batch, num_classes) in at least float32."""
        if self.paper and min(x.shape[1:3]) >= 5:
            x = ops.avg_pool(x, 5, 3)
        x = ops.adaptive_avg_pool(x, 4)  # what the paper's 14x14 pixels already have become
        x = self.conv(self.features, 1, name="conv")(x, train=train)
        dense = layers.MapDense(
            self.hidden, kernel_init=self.dense_init, dtype=self.dtype, name="dense"
        )
        x = ops.relu(dense(x))
        x = layers.Dropout(self.dropout)(x, train=train)
        x = ops.widen(x)
        return layers.Dense(self.num_classes, kernel_init=_INIT, name="head")(x)


@register("googlenet", VARIANTS)
class GoogLeNet(nn.Module):
    """Three convolutions, then stages of Inception blocks with a pool between two of them.

    Attributes:
      num_classes: logits at the end; with 0, the pooled features are the result.
      stem: features of the first three convolutions.
      stem_strides: of the first convolution and the two pools of the stem, which 1 leaves out; 1
        for all where images have few pixels.
      stages: `Inception.features` of each block.
      form: "batch_norm" or "paper", as above.
      aux: there are two auxiliary heads, behind the first and the fourth block of the second stage.
        In training their logits are sown into the collection "auxiliary", where that is mutable, as
        ``logits_1`` and ``logits_2``; the paper adds .3 of their losses to the loss.
      aux_features: of the convolution in these heads; so is aux_hidden of their dense layer.
      order: of `jaxdl.layers.ConvNorm`, in the form that has it.
      transform_input: images come with ImageNet's mean and deviation removed, and are brought to
        those that torchvision's weights were trained with, .5 and .5.
      dropout: rate in front of the logits.
      aux_dropout: the same in the auxiliary heads.
      dtype: of the computation; parameters, statistics and logits stay float32.
    """

    num_classes: int = 1000
    stem: tuple[int, int, int] = (64, 64, 192)
    stem_strides: tuple[int, int, int] = (2, 2, 2)
    stages: tuple[tuple[Features, ...], ...] = STAGES
    form: str = "batch_norm"
    aux: bool = False
    aux_features: int = 128
    aux_hidden: int = 1024
    order: str = "conv_norm_act"
    transform_input: bool = False
    dropout: float = 0.2
    aux_dropout: float = 0.7
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self, x: jax.Array, *, train: bool = False, features: bool = False
    ) -> jax.Array | dict[int, jax.Array]:
        """(batch, h, w, c) -> (batch, num_classes), or the maps before pooling.

        Args:
          x: images.
          train: normalise by the batch's own statistics; with dropout and auxiliary heads.
          features: return {stride: (batch, ⌈h / stride⌉, ⌈w / stride⌉, c)} instead, the last map of
            each: the stem's (strides 2 and 4) and each stage's (8, 16 and 32).
        """
        check_lengths(self, "stem", "stem_strides", count=3)
        paper = choose("form", self.form, {"batch_norm": False, "paper": True})
        normed = functools.partial(layers.ConvNorm, order=self.order, epsilon=1e-3)
        init = _PAPER_INIT if paper else _INIT
        conv = functools.partial(
            layers.ConvAct if paper else normed, kernel_init=init, dtype=self.dtype
        )
        respond = ops.local_response_norm if paper else lambda x: x
        if self.transform_input:
            x = _transformed(x)
        stride, *pools = self.stem_strides
        x = conv(self.stem[0], 7, stride=stride, name="stem_0")(x, train=train)
        pyramid = {stride: x}
        x, stride = self._pooled(x, 3, pools[0]), stride * pools[0]
        x = conv(self.stem[1], 1, name="stem_1")(respond(x), train=train)
        x = conv(self.stem[2], 3, name="stem_2")(x, train=train)
        pyramid[stride] = x
        x, stride = self._pooled(respond(x), 3, pools[1]), stride * pools[1]
        for i, stage in enumerate(self.stages):
            if i:
                x, stride = self._pooled(x, 3 if paper or i == 1 else 2, 2), stride * 2
            for j, block in enumerate(stage):
                inception = Inception(block, 5 if paper else 3, conv, name=f"block_{i}_{j}")
                x = inception(x, train=train)
                # A head's parameters are made whatever the first call is for.
                head = {(1, 0): 1, (1, 3): 2}.get((i, j)) if self.has_aux else None
                if head and (train or self.is_initializing()):
                    logits = Auxiliary(
                        self.num_classes,
                        self.aux_features,
                        self.aux_hidden,
                        self.aux_dropout,
                        paper,
                        conv,
                        init,
                        self.dtype,
                        name=f"aux_{head}",
                    )(x, train=train)
                    if not self.is_initializing():
                        self.sow("auxiliary", f"logits_{head}", logits)
            pyramid[stride] = x
        if features:
            return pyramid
        x = ops.widen(x).mean(axis=(1, 2))
        if not self.num_classes:
            return x
        x = layers.Dropout(self.dropout)(x, train=train)
        return layers.Dense(self.num_classes, kernel_init=_INIT, name="head")(x)

    @property
    def has_aux(self) -> bool:
        """Whether there are auxiliary heads: not without classes."""
        return self.aux and self.num_classes > 0

    def _pooled(self, x: jax.Array, window: int, stride: int) -> jax.Array:
        if stride == 1:
            return x
        if min(x.shape[1:3]) < window - 1:
            least = 31 if self.form == "paper" else 15
            raise UserError(
                f"images are too small for GoogLeNet with stem_strides={self.stem_strides}: nothing"
                f" is left to pool; with (2, 2, 2) it takes {least}x{least} pixels and more"
            )
        return ops.max_pool(x, window, stride, ceil=True)


def _transformed(x: jax.Array) -> jax.Array:
    if x.shape[-1] != len(_MEAN):
        raise UserError(f"transform_input is for images of 3 channels, not {x.shape[-1]}")
    mean, std = (np.array(known) for known in (_MEAN, _STD))
    return x * (std / _KNOWN).astype(x.dtype) + ((mean - _KNOWN) / _KNOWN).astype(x.dtype)
