"""Faster R-CNN with a feature pyramid: objects in images, regions first and their classes then.

Ren et al., 2015, "Faster R-CNN", with the pyramid of Lin et al., 2017, "Feature Pyramid Networks
for Object Detection", section 4, and RoI align (He et al., 2017); where they leave it open, and in
the numbers of the fields, it is torchvision's fasterrcnn_resnet50_fpn.

Images (batch, h, w, c) in [0, 1] in, of any sides, which are not scaled: torchvision's scales them
to 800 pixels first. Parameters for 3 channels and 90 classes: faster_rcnn 41,755,286; batch norms
are frozen and count for none.
"""

import contextlib
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxdl import layers, ops
from jaxdl.errors import UserError
from jaxdl.layers.initializers import PYTORCH
from jaxdl.models import backbones, register
from jaxdl.ops import boxes as box_ops
from jaxdl.ops import regions as region_ops

# Of the pictures that classifiers are published with.
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

# Of the heads: Girshick, 2015, "Fast R-CNN", section 2.3.
_OF_CLASSES, _OF_BOXES = nn.initializers.normal(0.01), nn.initializers.normal(0.001)


class Outputs(NamedTuple):
    """What both stages say.

    Attributes:
      anchors: (n, 4) float32 x0, y0, x1, y1 in pixels.
      objectness: (batch, n) float32 logits.
      deltas: (batch, n, 4) float32, of `jaxdl.ops.boxes.encode`.
      regions: with ``boxes`` (batch, m, 4), that the second stage looked at.
      logits: (batch, m, 1 + classes) float32, the ground's first.
      corrections: (batch, m, 1 + classes, 4) float32, deltas with `jaxdl.ops.regions.WEIGHTS`.
    """

    anchors: jax.Array
    objectness: jax.Array
    deltas: jax.Array
    regions: Any
    logits: jax.Array
    corrections: jax.Array


@register("faster_rcnn")
class FasterRCNN(nn.Module):
    """A backbone, a pyramid, a network that proposes regions, and one that looks at each of them.

    Submodules: ``backbone``; ``pyramid``; ``proposals``; ``dense_0`` and ``dense_1``, which see a
    region, ``head_class`` and ``head_box``.

    Attributes:
      num_classes: that objects are of, without the ground.
      backbone: name in `jaxdl.models`, of one that gives its maps by ``features=True``.
      backbone_fields: of that model, where they are not its own: ('width=16', 'stem=small').
      frozen_norms: the backbone's batch norms are constants (`jaxdl.layers.frozen_norms`).
      norm_epsilon: of batch norms that are frozen.
      strides: of the backbone's maps that the pyramid has, ascending; sides of images are filled up
        to a multiple of the last.
      extra: coarser maps of the pyramid, of which regions are proposed, and none are read.
      width: features of the pyramid.
      hidden: features of a region.
      sizes: of anchors of each map of the pyramid, in pixels: square roots of their areas.
      ratios: their heights over their widths, for each size.
      mean: of each channel, that is taken off images; a grey one is grey in all of them. () for
        images that are standardised already.
      std: of each channel, that they are divided by.
      region_candidates: anchors of each map that are looked at, in training and otherwise.
      regions: that are proposed, in training and otherwise.
      region_overlap: intersection over union above which the better of two regions is kept alone.
      region_size: side of the map that is read of a region.
      region_side: in pixels, of a region that is read from the map of stride 16; a half of it from
        stride 8.
      least_score: of what is found: more than that.
      overlap: intersection over union above which the better one of two of a class is kept alone.
      detections: how many are found in each image at the most.
      candidates: how many of the best regions and classes are looked at for them.
      dtype: of the computation; parameters, statistics and what comes out stay float32.
    """

    num_classes: int = 90
    backbone: str = "resnet50"
    backbone_fields: tuple[str, ...] = ()
    frozen_norms: bool = True
    norm_epsilon: float = 1e-5
    strides: tuple[int, ...] = (4, 8, 16, 32)
    extra: int = 1
    width: int = 256
    hidden: int = 1024
    sizes: tuple[tuple[float, ...], ...] = ((32,), (64,), (128,), (256,), (512,))
    ratios: tuple[float, ...] = (0.5, 1.0, 2.0)
    mean: tuple[float, ...] = _MEAN
    std: tuple[float, ...] = _STD
    region_candidates: tuple[int, int] = (2000, 1000)
    regions: tuple[int, int] = (2000, 1000)
    region_overlap: float = 0.7
    region_size: int = 7
    region_side: float = 224.0
    least_score: float = 0.05
    overlap: float = 0.5
    detections: int = 100
    candidates: int = 2000
    dtype: Any = None

    @nn.compact
    def __call__(
        self,
        x: jax.Array,
        *,
        train: bool = False,
        raw: bool = False,
        choose: Callable[[region_ops.Regions], Any] | None = None,
    ) -> dict[str, jax.Array] | Outputs:
        """What is in images.

        Args:
          x: (batch, h, w, c).
          train: as many regions as in training; batch norms that are not frozen normalise by the
            batch's own statistics. The result is ``raw``.
          raw: give `Outputs` instead.
          choose: proposed regions -> those that the second stage looks at, something with ``boxes``
            (batch, m, 4), which becomes `Outputs.regions`; all by default.

        Returns:
          ``boxes`` (batch, detections, 4) float32, x0, y0, x1, y1 in pixels, within the image;
          ``scores`` (batch, detections) float32 in [0, 1], best first, and ``classes`` (batch,
          detections) int32. Where less is found, scores are 0.

        Raises:
          UserError: fields that do not fit each other, the images or the backbone.
        """
        self._check(x.shape)
        size = x.shape[1:3]
        maps = layers.FeaturePyramid(self.width, self.extra, dtype=self.dtype, name="pyramid")(
            self._seen(self._filled(x), train)
        )
        each = len(self.sizes[0]) * len(self.ratios)
        found = layers.RegionProposals(each, dtype=self.dtype, name="proposals")(maps)
        objectness, deltas = found
        anchors, counts = self._anchors(maps)
        regions = region_ops.propose(
            objectness,
            deltas,
            anchors,
            counts,
            size,
            candidates=self.region_candidates[0 if train else 1],
            regions=self.regions[0 if train else 1],
            overlap=self.region_overlap,
        )
        chosen = regions if choose is None else choose(regions)
        logits, corrections = self._looked_at(maps, chosen.boxes)
        if raw or train or self.is_initializing():
            anchors = jnp.asarray(anchors)
            return Outputs(anchors, objectness, deltas, chosen, logits, corrections)
        return region_ops.detect(
            logits,
            corrections,
            chosen,
            size,
            least_score=self.least_score,
            overlap=self.overlap,
            detections=self.detections,
            candidates=self.candidates,
        )

    @nn.nowrap
    def create_backbone(self) -> nn.Module:
        """The backbone on its own.

        Raises:
          UserError: there is none of that name, or with these fields, or it gives no maps.
        """
        return backbones.create(self.backbone, self.backbone_fields, dtype=self.dtype)

    def _filled(self, x: jax.Array) -> jax.Array:
        """Standardised images, with 0 at the right and below up to the coarsest stride."""
        x = ops.widen(x)
        if self.mean:
            x = x.repeat(len(self.mean) // x.shape[-1], axis=-1)
            x = (x - jnp.asarray(self.mean, x.dtype)) / jnp.asarray(self.std, x.dtype)
        rest = [(0, -side % self.strides[-1]) for side in x.shape[1:3]]
        return jnp.pad(x, ((0, 0), *rest, (0, 0)))

    def _seen(self, x: jax.Array, train: bool) -> dict[int, jax.Array]:
        """The backbone's maps that the pyramid has."""
        encoder = self.create_backbone().clone(parent=self, name="backbone")
        frozen = layers.frozen_norms(self.norm_epsilon)
        with frozen if self.frozen_norms else contextlib.nullcontext():
            maps = encoder(x, train=train, features=True)
        if not isinstance(maps, dict) or (missing := set(self.strides) - set(maps)):
            there = ", ".join(map(str, maps)) if isinstance(maps, dict) else "no"
            asked = f"strides {self.strides}" if not isinstance(maps, dict) else sorted(missing)
            raise UserError(
                f"config.model.backbone={self.backbone!r} gives maps of strides {there}, and "
                f"config.model.strides asks for {asked}"
            )
        for stride in self.strides:
            if maps[stride].shape[1:3] != tuple(side // stride for side in x.shape[1:3]):
                raise UserError(
                    f"config.model.backbone={self.backbone!r} makes {maps[stride].shape[1]}x"
                    f"{maps[stride].shape[2]} of images of {x.shape[1]}x{x.shape[2]} at stride "
                    f"{stride}: its maps do not lie upon one another"
                )
        return {stride: maps[stride] for stride in self.strides}

    def _anchors(self, maps: dict[int, jax.Array]) -> tuple[Any, list[int]]:
        """(n, 4) of all maps, and how many of each; of torchvision's places, images filled up."""
        sides = [x.shape[1:3] for x in maps.values()]
        filled = tuple(side * self.strides[0] for side in sides[0])
        made = box_ops.anchors(filled, sides, self.sizes, [self.ratios] * len(sides))
        return jnp.concatenate([jnp.asarray(part) for part in made]), [len(p) for p in made]

    def _looked_at(
        self, maps: dict[int, jax.Array], boxes: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """(batch, m, 1 + classes) and (batch, m, 1 + classes, 4) of boxes (batch, m, 4)."""
        first, last = (stride.bit_length() - 1 for stride in (self.strides[0], self.strides[-1]))
        # Side 224 is of stride 16 there.
        level = box_ops.levels(boxes * (224 / self.region_side), first, last)
        # Strides may leave out some.
        place = [sum(s < 2**i for s in self.strides) for i in range(first, last + 1)]
        read = box_ops.pyramid_roi_align(
            [maps[stride] for stride in self.strides],
            boxes,
            jnp.asarray(place)[level],
            self.region_size,
            [1 / stride for stride in self.strides],
        )
        how = dict(kernel_init=PYTORCH, dtype=self.dtype)
        x = read.reshape(-1, *read.shape[2:])
        x = ops.relu(layers.MapDense(self.hidden, **how, name="dense_0")(x))
        x = layers.Dense(self.hidden, **how, name="dense_1")(x.reshape(*boxes.shape[:2], -1))
        head = lambda name, count, init: layers.Dense(
            count, kernel_init=init, dtype=self.dtype, wide=True, name=name
        )
        x, kinds = ops.relu(x), 1 + self.num_classes
        logits = head("head_class", kinds, _OF_CLASSES)(x)
        corrections = head("head_box", kinds * 4, _OF_BOXES)(x)
        return logits, corrections.reshape(*corrections.shape[:2], kinds, 4)

    def _check(self, shape: tuple[int, ...]) -> None:
        counts = dict(
            num_classes=self.num_classes, width=self.width, hidden=self.hidden,
            region_size=self.region_size, detections=self.detections, candidates=self.candidates,
        )  # fmt: skip
        for name, value in counts.items():
            if value < 1:
                raise UserError(f"config.model.{name}={value} must be at least 1")
        powers = all(s > 0 and s & (s - 1) == 0 for s in self.strides)
        if not self.strides or not powers or sorted(set(self.strides)) != [*self.strides]:
            raise UserError(
                f"config.model.strides={self.strides} must be ascending powers of 2, such as (4, 8)"
            )
        if self.extra < 0 or len(self.sizes) != len(self.strides) + self.extra:
            raise UserError(
                f"config.model.sizes={self.sizes} must be one tuple for each of the "
                f"{len(self.strides) + self.extra} maps: those of config.model.strides, and "
                f"extra={self.extra} more"
            )
        alike = len({len(s) for s in self.sizes}) == 1 and self.sizes[0] and self.ratios
        if not alike or min(*(x for s in self.sizes for x in s), *self.ratios) <= 0:
            raise UserError(
                f"config.model.sizes={self.sizes} and ratios={self.ratios} must be positive, and "
                "as many sizes for each map"
            )
        channels = (1, len(self.mean)) if self.mean else shape[-1:]
        if len(self.mean) != len(self.std) or shape[-1] not in channels:
            raise UserError(
                f"config.model.mean={self.mean} and std={self.std} must be one number for each of "
                f"the images' {shape[-1]} channels"
            )
