"""U-Net: what is in an image, said of every pixel.

Ronneberger, Fischer and Brox, 2015, "U-Net: Convolutional Networks for Biomedical Image
Segmentation", figure 1. Images (batch, h, w, c) in, logits (batch, h', w', num_classes) float32
out. Unpadded, as published, h' = h - 184, and h + 4 is a multiple of 16 (572 gives 388); padded, h'
is h, any number. Parameters of 1 channel and 2 classes: 31,030,658, padded or not.

With a ``backbone`` the way down is another model of this package, one that gives its maps by
``features=True``, such as a ResNet that has learned to classify.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxdl import layers, models, ops
from jaxdl.errors import UserError
from jaxdl.models import backbones

# Of a 2x2 kernel that moves by two every pixel sees one weight a channel, where what counts fan in
# sees four; and no ReLU follows. With variance 1 / channels what comes up is as large as what is
# passed beside it.
_UP = nn.initializers.variance_scaling(4.0, "fan_in", "truncated_normal")


@models.register("unet", {"unet_padded": dict(padded=True)})
class UNet(nn.Module):
    """A way down through smaller and smaller maps, and one up that sees each of them again.

    Submodules: ``down_i_j`` and ``bottom_j``, or ``backbone``; ``double_i`` and ``up_i_j``, i from
    the last to 0, the map of the whole image; ``told`` and ``seen`` with ``head_width``; ``head``.

    Attributes:
      num_classes: logits a pixel.
      width: features of the largest map; each further one has twice as many.
      depth: times that the map is halved on the way down.
      padded: whether 3x3 convolutions keep the map's size; of images whose sides do not divide by
        2^depth the last row and column are repeated, and what comes of them is cut off.
      batch_norm: behind every 3x3 convolution, which then has no bias. The paper is older.
      dropout: rate at the end of the way down, on its last two maps (the paper's section 3.1; .5 in
        the network that was published); on the last one alone of a backbone.
      backbone: name in `jaxdl.models` of what goes down; needs ``padded``. Its smallest map must be
        of stride 2^depth; ``width`` is then of the way up, whose largest map has as many features.
      backbone_fields: of that model, where they are not its own: ('width=16', 'stem=small').
      patch: pixels a side that are one place of the largest map: they come in side by side as its
        channels, and the head tells of each of them (Shi et al., 2016, "Real-Time Single Image and
        Video Super-Resolution", section 3.1). 2 makes an update several times cheaper; needs
        ``padded``, and no backbone.
      head_width: features of a stage at the pixels' own resolution, in front of a head that is then
        one for all of them; 0 for none, as published. What the largest map tells of each pixel of a
        place and a 3x3 convolution of the image are added up, and the activation follows. Where a
        thing ends is so told by each pixel's own brightness against what the map says of the place.
      activation: a name in `jaxdl.ops.activations`, behind every 3x3 convolution but a backbone's.
      dtype: of the computation; parameters, statistics and logits stay float32.
    """

    num_classes: int = 2
    width: int = 64
    depth: int = 4
    padded: bool = False
    batch_norm: bool = False
    dropout: float = 0.5
    backbone: str = ""
    backbone_fields: tuple[str, ...] = ()
    patch: int = 1
    head_width: int = 0
    activation: str = "relu"
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """(batch, h, w, c) -> (batch, h', w', num_classes) float32; h' as `output_side` has it.

        Args:
          x: images.
          train: with dropout; batch norm by the batch's own statistics.

        Raises:
          UserError: a size that an unpadded network cannot halve so often, or a backbone that does
            not fit.
        """
        self._check()
        height, width = x.shape[1:3]
        sides = [self.output_side(side) for side in (height, width)]
        if self.padded:
            fill = [(0, -side % (self.patch * 2**self.depth)) for side in (height, width)]
            x = jnp.pad(x, ((0, 0), *fill, (0, 0)), mode="edge")
        image, x = x, layers.cut_patches(x, self.patch)
        x, passed = (self._encoded if self.backbone else self._down)(x, train)
        for i in reversed(range(self.depth)):
            x = layers.ConvTranspose(
                self.width << i, 2, padding=0, kernel_init=_UP, dtype=self.dtype, name=f"double_{i}"
            )(x)
            if i in passed:
                x = jnp.concatenate([_middle(passed[i], x.shape), x], axis=-1)
            x = self._twice(x, i, f"up_{i}", train)
        pixels = self.patch**2
        if self.head_width:
            x = self._beside(image, x)
            pixels = 1
        x = layers.Dense(self.num_classes * pixels, dtype=self.dtype, wide=True, name="head")(x)
        x = _spread(x.reshape(*x.shape[:3], -1), self.patch)
        return x[:, : sides[0], : sides[1]]

    @nn.nowrap
    def output_side(self, side: int) -> int:
        """Rows (columns) of the logits of an image of so many.

        Raises:
          UserError: there is no such image; the nearest sizes are told.
        """
        if self.padded:
            return side
        fold, lost = 2**self.depth, 12 * 2**self.depth - 8
        if (side + 4) % fold or side <= lost:
            above = self.input_side(max(side - lost, 1))
            below = [str(above - fold)] if above - fold > lost else []
            raise UserError(
                f"an unpadded U-Net of depth {self.depth} has no use of images of {side} pixels a "
                f"side: they must be a multiple of {fold} less 4, above {lost}, such as "
                f"{' or '.join([*below, str(above)])}; config.model.padded=true takes any"
            )
        return side - lost

    @nn.nowrap
    def input_side(self, side: int) -> int:
        """Rows (columns) of the smallest image whose logits are at least so many."""
        if self.padded:
            return side
        fold = 2**self.depth
        return fold * (12 + max(0, -(-(side - 4) // fold))) - 4

    def _twice(self, x: jax.Array, i: int, name: str, train: bool) -> jax.Array:
        """Two 3x3 convolutions at stride 2^i, each with its activation."""
        kind = layers.ConvNorm if self.batch_norm else layers.ConvAct
        padding = "half" if self.padded else 0
        for j in range(2):
            x = kind(
                self.width << i,
                padding=padding,
                activation=self.activation,
                dtype=self.dtype,
                name=f"{name}_{j}",
            )(x, train=train)
        return x

    def _beside(self, image: jax.Array, x: jax.Array) -> jax.Array:
        """Of the largest map (batch, h, w, c) its pixels: (batch, h, w, patch², head_width)."""
        (B, h, w, _), p, F = x.shape, self.patch, self.head_width
        image = jnp.pad(image, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")
        image = _middle(image, (B, h * p + 2, w * p + 2))
        seen = layers.Conv(F, padding=0, use_bias=False, dtype=self.dtype, name="seen")(image)
        told = layers.Dense(p**2 * F, dtype=self.dtype, name="told")(x)
        hidden = ops.activation(self.activation)(told + layers.cut_patches(seen, p))
        return hidden.reshape(B, h, w, p**2, F)

    def _down(self, x: jax.Array, train: bool) -> tuple[jax.Array, dict[int, jax.Array]]:
        """The smallest map, and the others by how often they were halved."""
        passed = {}
        for i in range(self.depth):
            x = self._twice(x, i, f"down_{i}", train)
            if i == self.depth - 1:
                x = layers.Dropout(self.dropout)(x, train=train)
            passed[i] = x
            x = ops.max_pool(x, 2)
        x = self._twice(x, self.depth, "bottom", train)
        return layers.Dropout(self.dropout)(x, train=train), passed

    def _encoded(self, x: jax.Array, train: bool) -> tuple[jax.Array, dict[int, jax.Array]]:
        """The same of the backbone's maps; there may be none of the whole image."""
        encoder = self.create_backbone().clone(parent=self, name="backbone")
        maps = encoder(x, train=train, features=True)
        if not isinstance(maps, dict) or max(maps) != 2**self.depth:
            strides = ", ".join(map(str, maps)) if isinstance(maps, dict) else "no"
            raise UserError(
                f"config.model.backbone={self.backbone!r} gives maps of strides {strides}, and "
                f"config.model.depth={self.depth} asks for a last one of {2**self.depth}"
            )
        for stride, found in maps.items():
            if found.shape[1:3] != tuple(side // stride for side in x.shape[1:3]):
                raise UserError(
                    f"config.model.backbone={self.backbone!r} makes {found.shape[1]}x"
                    f"{found.shape[2]} of images of {x.shape[1]}x{x.shape[2]} at stride {stride}: "
                    "its maps do not lie upon one another"
                )
        passed = {i: maps[2**i] for i in range(self.depth) if 2**i in maps}
        x = layers.Dropout(self.dropout)(maps[2**self.depth], train=train)
        return x, passed

    @nn.nowrap
    def create_backbone(self) -> nn.Module:
        """The model that goes down, on its own.

        Raises:
          UserError: there is none of that name, or with these fields, or it gives no maps.
        """
        return backbones.create(self.backbone, self.backbone_fields, dtype=self.dtype)

    def _check(self) -> None:
        least = min(self.width, self.depth, self.num_classes, self.patch)
        if least < 1 or self.head_width < 0 or not 0 <= self.dropout < 1:
            raise UserError(
                f"config.model: width={self.width}, depth={self.depth}, num_classes="
                f"{self.num_classes} and patch={self.patch} must be at least 1, head_width="
                f"{self.head_width} at least 0, and dropout={self.dropout} at least 0 and below 1"
            )
        if self.patch > 1 and (self.backbone or not self.padded):
            raise UserError(
                f"config.model.patch={self.patch} needs config.model.padded=true, and no backbone"
            )
        if self.backbone and not self.padded:
            raise UserError(
                f"config.model.backbone={self.backbone!r} needs config.model.padded=true: its maps "
                "are of the whole image"
            )
        if self.backbone_fields and not self.backbone:
            raise UserError("config.model.backbone_fields is of a backbone, and there is none")


def _middle(x: jax.Array, shape: Sequence[int]) -> jax.Array:
    """The part of a map (batch, h, w, c) around its middle that has ``shape``'s h and w."""
    top, left = ((mine - its) // 2 for mine, its in zip(x.shape[1:3], shape[1:3], strict=True))
    return x[:, top : top + shape[1], left : left + shape[2]]


def _spread(x: jax.Array, patch: int) -> jax.Array:
    """`jaxdl.layers.cut_patches`, undone."""
    B, h, w, C = x.shape
    x = x.reshape(B, h, w, patch, patch, C // patch**2).transpose(0, 1, 3, 2, 4, 5)
    return x.reshape(B, h * patch, w * patch, C // patch**2)
