"""YOLOv3 and its small sister: objects in images, by one pass over a grid of cells.

Redmon and Farhadi, 2018, "YOLOv3: An Incremental Improvement", table 1 (Darknet-53) and section 2.3
(three scales, three anchors each); layers that the paper leaves open are as in the files of
Darknet, the program that its figures are of, and so is all of yolov3_tiny. Batch norm and a leaky
ReLU of slope .1 stand behind every convolution but the last of each scale.

Images (batch, h, w, c) in [0, 1] in, not standardised, of sides that the largest stride divides.
Parameters for 3 channels and 80 classes: yolov3 61,949,149; yolov3_tiny 8,852,366.
"""

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxdl import layers, ops
from jaxdl.errors import UserError
from jaxdl.models import register
from jaxdl.ops import yolo

# Of objects of COCO in images of 416 pixels, width and height, smallest first: the paper's, section
# 2.3, and those of Darknet's file of the small one.
COCO = (
    (10, 13), (16, 30), (33, 23), (30, 61), (62, 45), (59, 119), (116, 90), (156, 198), (373, 326),
)  # fmt: skip
COCO_TINY = ((10, 14), (23, 27), (37, 58), (81, 82), (135, 169), (344, 319))

# Darknet's.
_SLOPE, _EPSILON = 0.1, 1e-5

# The share of places that have an object, before anything is learned.
_PRIOR = 0.01


class ConvLeaky(nn.Module):
    """A convolution, batch norm and a leaky ReLU; submodules ``conv`` and ``norm``.

    Attributes:
      features: of the result.
      kernel_size: of the convolution; so is stride.
      momentum: of the normalisation.
      dtype: of the computation.
    """

    features: int
    kernel_size: int = 3
    stride: int = 1
    momentum: float = 0.99
    dtype: Any = None

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """(batch, h, w, c) -> (batch, h / stride, w / stride, features)."""
        norm = layers.BatchNorm(
            not train, self.momentum, epsilon=_EPSILON, dtype=self.dtype, name="norm"
        )
        x = layers.Conv(
            self.features, self.kernel_size, stride=self.stride, use_bias=False, dtype=self.dtype,
            name="conv",
        )(x)  # fmt: skip
        return ops.leaky_relu(norm(x), _SLOPE)


class Residual(nn.Module):
    """``x + branch(x)``: a 1x1 convolution to half the features, and a 3x3 one back."""

    momentum: float
    dtype: Any

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """(batch, h, w, c) in and out."""
        how = dict(momentum=self.momentum, dtype=self.dtype)
        y = ConvLeaky(x.shape[-1] // 2, 1, **how, name="conv_0")(x, train=train)
        return x + ConvLeaky(x.shape[-1], 3, **how, name="conv_1")(y, train=train)


class Detector(nn.Module):
    """What both sizes share: what they give, and how it becomes boxes.

    Besides parameters and ``batch_stats`` there is the collection "constants", whose ``anchors``
    (n, 2) float32 are pixels of width and height, and begin as the field is.

    Attributes:
      num_classes: that objects are of.
      anchors: width and height in pixels, smallest first; as many at each scale, of which the
        finest has the first.
      width: features of the first convolution, of which all others have multiples.
      least_score: of what is found.
      overlap: intersection over union above which the better one of two of a class is kept alone.
      detections: how many are found in each image at the most.
      candidates: how many of the best places and classes are looked at for them.
      momentum: share of the statistics that batch norm keeps in an update.
      dtype: of the computation; parameters, statistics and what comes out stay float32.
    """

    num_classes: int = 80
    anchors: tuple[tuple[float, float], ...] = COCO
    width: int = 32
    least_score: float = 0.01
    overlap: float = 0.45
    detections: int = 100
    candidates: int = 1000
    momentum: float = 0.99
    dtype: Any = None

    @nn.compact
    def __call__(
        self, x: jax.Array, *, train: bool = False, raw: bool = False, features: bool = False
    ) -> dict[Any, jax.Array]:
        """What is in images.

        Args:
          x: (batch, h, w, c).
          train: normalise by the batch's own statistics; the result is ``raw``.
          raw: give the outputs themselves, {stride: (batch, h / stride, w / stride, anchors, 5 +
            classes)} float32, of which `jaxdl.ops.yolo` has the meaning.
          features: give {stride: (batch, h / stride, w / stride, c)} of the backbone instead.

        Returns:
          ``boxes`` (batch, detections, 4) float32, x0, y0, x1, y1 in pixels, within the image;
          ``scores`` (batch, detections) float32 in [0, 1], best first, and ``classes`` (batch,
          detections) int32. Where less is found, scores are 0.

        Raises:
          UserError: the stride does not divide the image's sides, or the scales the anchors.
        """
        strides = self.strides
        if any(side % strides[0] for side in x.shape[1:3]):
            raise UserError(
                f"images of {x.shape[1]}x{x.shape[2]} pixels: sides must be multiples of "
                f"{strides[0]}"
            )
        count = self._check_anchors(len(strides))
        constants = self.variable("constants", "anchors", jnp.array, self.anchors, jnp.float32)
        # `features` has nothing to do with heads, but they are made where the module is.
        pyramid = self.pyramid(x, train)
        if features and not self.is_initializing():
            return pyramid
        maps = {}
        for stride, found in zip(strides, self.scales(pyramid, train), strict=True):
            head = layers.Conv(
                count * (yolo.OBJECT + self.num_classes), 1, dtype=self.dtype,
                kernel_init=nn.initializers.normal(0.01), name=f"head_{stride}",
                bias_init=functools.partial(_rarely, places=count),
            )  # fmt: skip
            found = ops.widen(head(found))
            maps[stride] = found.reshape(*found.shape[:3], count, -1)
        if features:
            return pyramid
        if raw or train or self.is_initializing():
            return maps
        return self.detect(maps, constants.value)

    def detect(self, maps: yolo.Maps, anchors: jax.Array) -> dict[str, jax.Array]:
        """What `__call__` gives of these outputs, with these anchors; a pure function."""
        return yolo.detect(
            maps,
            anchors,
            least_score=self.least_score,
            overlap=self.overlap,
            detections=self.detections,
            candidates=self.candidates,
        )

    @property
    def strides(self) -> tuple[int, ...]:
        """Pixels a cell of each scale, coarsest first."""
        raise NotImplementedError

    def pyramid(self, x: jax.Array, train: bool) -> dict[int, jax.Array]:
        """{stride: (batch, h / stride, w / stride, c)}."""
        raise NotImplementedError

    def scales(self, pyramid: dict[int, jax.Array], train: bool) -> list[jax.Array]:
        """What the heads read, coarsest first."""
        raise NotImplementedError

    def _conv(self, name: str, features: int, kernel: int = 3, stride: int = 1) -> ConvLeaky:
        return ConvLeaky(features, kernel, stride, self.momentum, self.dtype, name=name)

    def _check_anchors(self, scales: int) -> int:
        """Anchors at each scale."""
        count, rest = divmod(len(self.anchors), scales)
        if rest or not count or any(len(a) != 2 or min(a) <= 0 for a in self.anchors):
            raise UserError(
                f"model.anchors={self.anchors} must be pairs of positive sides, as many at each of "
                f"{scales} scales"
            )
        return count


@register("yolov3")
class YOLOv3(Detector):
    """Darknet-53 and three scales, each finer one of which reads the coarser one too.

    Submodules: ``stem``; ``down_{i}`` and ``block_{i}_{j}`` of each stage; ``neck_{stride}_{k}``,
    ``last_{stride}`` and ``head_{stride}`` of each scale, and ``up_{stride}``, whose result is
    enlarged and joined to the backbone's.

    Attributes:
      depths: residual blocks of each stage; each stage halves the map and doubles the features. The
        last stages, as many as there are scales, are looked at.
      levels: how many scales.
    """

    depths: tuple[int, ...] = (1, 2, 8, 8, 4)
    levels: int = 3

    @property
    def strides(self) -> tuple[int, ...]:
        """Pixels a cell of each scale, coarsest first."""
        stages = len(self.depths)
        if not 1 <= self.levels <= stages:
            raise UserError(f"model.levels={self.levels} must be from 1 to the {stages} stages")
        return tuple(2 << i for i in reversed(range(stages)))[: self.levels]

    def pyramid(self, x: jax.Array, train: bool) -> dict[int, jax.Array]:
        """{1: the stem's map, 2: the first stage's, …}."""
        x = self._conv("stem", self.width)(x, train=train)
        pyramid = {1: x}
        for i, depth in enumerate(self.depths):
            x = self._conv(f"down_{i}", self.width << (i + 1), 3, 2)(x, train=train)
            for j in range(depth):
                block = Residual(self.momentum, self.dtype, name=f"block_{i}_{j}")
                x = block(x, train=train)
            pyramid[2 << i] = x
        return pyramid

    def scales(self, pyramid: dict[int, jax.Array], train: bool) -> list[jax.Array]:
        """What the heads read, coarsest first."""
        found, x = [], None
        for stride in self.strides:
            half = self.width * stride // 2
            if x is None:
                x = pyramid[stride]
            else:
                x = self._conv(f"up_{stride}", half, 1)(x, train=train)
                x = jnp.concatenate([_enlarged(x), pyramid[stride]], -1)
            for k in range(5):
                conv = self._conv(f"neck_{stride}_{k}", half << k % 2, 3 if k % 2 else 1)
                x = conv(x, train=train)
            found.append(self._conv(f"last_{stride}", 2 * half)(x, train=train))
        return found


@register("yolov3_tiny")
class YOLOv3Tiny(Detector):
    """Seven convolutions with pools between them, and two scales.

    Submodules: ``block_{i}``; ``neck``, which both scales read; ``last_{stride}`` and
    ``head_{stride}`` of each, and ``up``, whose result is enlarged and joined to a finer map.

    Attributes:
      stages: how often the map is halved.
    """

    anchors: tuple[tuple[float, float], ...] = COCO_TINY
    width: int = 16
    stages: int = 5

    @property
    def strides(self) -> tuple[int, ...]:
        """Pixels a cell of each scale, coarsest first."""
        if self.stages < 2:
            raise UserError(f"model.stages={self.stages} must be at least 2")
        return 1 << self.stages, 1 << (self.stages - 1)

    def pyramid(self, x: jax.Array, train: bool) -> dict[int, jax.Array]:
        """{1: the first convolution's map, 2: the second's, …}."""
        pyramid = {}
        for i in range(self.stages + 1):
            if i:
                x = ops.max_pool(x)
            x = self._conv(f"block_{i}", self.width << i)(x, train=train)
            pyramid[1 << i] = x
        # The last pool moves by one pixel; beyond the edge nothing is larger.
        beyond = ((0, 0), (0, 1), (0, 1), (0, 0))
        x = ops.max_pool(jnp.pad(x, beyond, constant_values=-jnp.inf), 2, 1)
        x = self._conv(f"block_{self.stages + 1}", self.width << (self.stages + 1))(x, train=train)
        return {**pyramid, 1 << self.stages: x}

    def scales(self, pyramid: dict[int, jax.Array], train: bool) -> list[jax.Array]:
        """What the heads read, coarsest first."""
        coarse, fine = self.strides
        half = self.width << (self.stages - 1)
        x = self._conv("neck", half, 1)(pyramid[coarse], train=train)
        up = _enlarged(self._conv("up", half // 2, 1)(x, train=train))
        joined = jnp.concatenate([up, pyramid[fine]], -1)
        return [
            self._conv(f"last_{coarse}", 2 * half)(x, train=train),
            self._conv(f"last_{fine}", half)(joined, train=train),
        ]


def _rarely(key: jax.Array, shape: tuple[int, ...], dtype: Any, places: int) -> jax.Array:
    """A bias by which few places have an object at first, instead of every second one.

    The prior of Lin et al., 2017, "Focal Loss for Dense Object Detection", section 4.1: otherwise
    the first gradients are of nothing else, and Adam remembers how large they were.
    """
    del key
    of_place = jnp.zeros((places, shape[0] // places), dtype)
    return of_place.at[:, yolo.BOX].set(math.log(_PRIOR / (1 - _PRIOR))).reshape(shape)


def _enlarged(x: jax.Array) -> jax.Array:
    """Each pixel twice in both directions."""
    return x.repeat(2, axis=1).repeat(2, axis=2)
