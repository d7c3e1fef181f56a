"""Inception v3, and the form of it whose features the Fréchet inception distance is of.

Szegedy et al., 2015, "Rethinking the Inception Architecture for Computer Vision", section 6, with
batch norm (ε 1e-3) behind every convolution, as torchvision publishes it; of its auxiliary head,
which is for training alone, there is nothing here. ``inception_v3_fid`` is the network of Heusel et
al., 2017, as the package pytorch-fid has it: the same, but that mean pools leave out the padding,
that the last block pools by the maximum, and that there are 1008 logits.

Images (batch, h, w, c) in, of 299 pixels a side as published and at least 75, logits (batch,
num_classes) float32 out. Parameters for 3 channels: inception_v3 23,834,568, inception_v3_fid
23,850,960.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxdl import layers, ops
from jaxdl.errors import UserError
from jaxdl.models import register
from jaxdl.registry import choose

VARIANTS = {"inception_v3_fid": dict(fid=True, num_classes=1008)}

# A stage's blocks: the letter by which libraries call its kind, and the features that are its own,
# of A behind the pool, of C inside.
Block = tuple[str, int]
STAGES: tuple[tuple[Block, ...], ...] = (
    (("A", 32), ("A", 64), ("A", 64)),
    (("B", 0), ("C", 128), ("C", 160), ("C", 160), ("C", 192)),
    (("D", 0), ("E", 0), ("E", 0)),
)

_WIDE, _TALL = (1, 7), (7, 1)

# The convolutions of each branch, (features, kernel) one behind the other; None is the block's own
# number. A branch called pool begins with one, and one whose name ends in "fork" ends with two
# convolutions side by side.
Branch = Sequence[tuple[int | None, int | tuple[int, int]]]
KINDS: dict[str, dict[str, Branch]] = {
    "A": {
        "one": [(64, 1)],
        "five": [(48, 1), (64, 5)],
        "three": [(64, 1), (96, 3), (96, 3)],
        "pool": [(None, 1)],
    },
    "B": {"three": [(384, 3)], "double": [(64, 1), (96, 3), (96, 3)], "pool": []},
    "C": {
        "one": [(192, 1)],
        "seven": [(None, 1), (None, _WIDE), (192, _TALL)],
        "double": [(None, 1), (None, _TALL), (None, _WIDE), (None, _TALL), (192, _WIDE)],
        "pool": [(192, 1)],
    },
    "D": {
        "three": [(192, 1), (320, 3)],
        "seven": [(192, 1), (192, _WIDE), (192, _TALL), (192, 3)],
        "pool": [],
    },
    "E": {
        "one": [(320, 1)],
        "three_fork": [(384, 1), (384, (1, 3)), (384, (3, 1))],
        "double_fork": [(448, 1), (384, 3), (384, (1, 3)), (384, (3, 1))],
        "pool": [(192, 1)],
    },
}
# Kinds that halve the image: the last convolution of each branch, and the pool.
HALVE = ("B", "D")

# (features, kernel, stride, padding) of the stem's convolutions; a pool stands behind POOLED.
STEM = ((32, 3, 2, 0), (32, 3, 1, 0), (64, 3, 1, 1), (80, 1, 1, 0), (192, 3, 1, 0))
POOLED = (2, 4)

_INIT = nn.initializers.truncated_normal(0.1)
_LEAST = 75


class Branches(nn.Module):
    """A block: branches side by side, whose features lie one behind the other.

    Submodules: ``BRANCH_I``, the convolutions of each.

    Attributes:
      kind: a letter of `KINDS`.
      own: features where the kind names none.
      pool: what a branch begins with that pools: an image to one of the same size, or half of it.
      conv: makes a convolution of (features, kernel size, stride, padding, name).
    """

    kind: str
    own: int
    pool: Callable[[jax.Array], jax.Array]
    conv: Callable[..., nn.Module]

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """(batch, h, w, c) -> (batch, h', w', features of all branches)."""
        halve, found = self.kind in HALVE, []
        for branch, convolutions in choose("kind of block", self.kind, KINDS).items():
            y = self.pool(x) if branch == "pool" else x
            apart = []
            for i, (features, kernel) in enumerate(convolutions):
                is_last = i == len(convolutions) - 1
                stride, padding = (2, 0) if halve and is_last else (1, "half")
                conv = self.conv(
                    self.own if features is None else features,
                    kernel,
                    stride=stride,
                    padding=padding,
                    name=f"{branch}_{i}",
                )
                if branch.endswith("fork") and i >= len(convolutions) - 2:
                    apart.append(conv(y, train=train))
                else:
                    y = conv(y, train=train)
            found += apart or [y]
        return jnp.concatenate(found, axis=-1)


@register("inception_v3", VARIANTS)
class InceptionV3(nn.Module):
    """A stem of five convolutions, three stages of blocks, and a mean over the last map.

    Submodules: ``stem_I``, ``block_I_J`` of stage and place in it, and ``head``.

    Attributes:
      num_classes: logits at the end; with 0, the pooled features (batch, 2048) are the result.
      stages: (kind, own features) of each block; see `STAGES`.
      shrink: what all numbers of features are divided by, for small experiments; 1, 2, 4, 8 or 16.
      fid: in the form of the Fréchet inception distance.
      dropout: rate in front of the logits.
      dtype: of the computation; parameters, statistics and logits stay float32.
    """

    num_classes: int = 1000
    stages: tuple[tuple[Block, ...], ...] = STAGES
    shrink: int = 1
    fid: bool = False
    dropout: float = 0.5
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self, x: jax.Array, *, train: bool = False, features: bool = False, pooled: bool = False
    ) -> Any:
        """(batch, h, w, c) -> (batch, num_classes).

        Args:
          x: images.
          train: normalise by the batch's own statistics; with dropout.
          features: return {stride: (batch, h', w', c)} instead, the last map of each: the stem's
            (strides 2 and 4) and each stage's (8, 16 and 32). Most convolutions that halve an image
            pad nothing, so that maps are some pixels smaller than h / stride.
          pooled: return ((batch, 2048), logits) instead, both float32.
        """
        if self.shrink not in (1, 2, 4, 8, 16):
            raise UserError(f"InceptionV3's shrink={self.shrink} must be 1, 2, 4, 8 or 16")
        if min(x.shape[1:3]) < _LEAST:
            raise UserError(
                f"images of {x.shape[1]}x{x.shape[2]} pixels are too small for InceptionV3, which "
                f"takes {_LEAST}x{_LEAST} and more: set data.image_size"
            )

        def conv(count: int, *how: Any, **more: Any) -> nn.Module:
            more = dict(epsilon=1e-3, kernel_init=_INIT, dtype=self.dtype) | more
            return layers.ConvNorm(count // self.shrink, *how, **more)

        pyramid, stride = {}, 1
        for i, (count, kernel, step, padding) in enumerate(STEM):
            x = conv(count, kernel, stride=step, padding=padding, name=f"stem_{i}")(x, train=train)
            stride *= step
            pyramid[stride] = x
            if i in POOLED:
                x, stride = ops.max_pool(x, 3, 2), stride * 2
        for i, stage in enumerate(self.stages):
            for j, (kind, own) in enumerate(stage):
                is_last = (i, j) == (len(self.stages) - 1, len(stage) - 1)
                pool = self._pool(kind, is_last)
                stride *= 2 if kind in HALVE else 1
                x = Branches(kind, own, pool, conv, name=f"block_{i}_{j}")(x, train=train)
            pyramid[stride] = x
        if features:
            return pyramid
        x = ops.widen(x).mean(axis=(1, 2))
        if not self.num_classes:
            return x
        dropped = layers.Dropout(self.dropout)(x, train=train)
        head = layers.Dense(self.num_classes, kernel_init=_INIT, wide=True, name="head")
        logits = head(dropped)
        return (x, logits) if pooled else logits

    def _pool(self, kind: str, is_last: bool) -> Callable[[jax.Array], jax.Array]:
        if kind in HALVE:
            return functools.partial(ops.max_pool, window=3, stride=2)
        if self.fid and is_last:
            return functools.partial(ops.max_pool, window=3, stride=1, padding=1)
        return functools.partial(
            ops.avg_pool, window=3, stride=1, padding=1, count_padding=not self.fid
        )
