"""YOLOv3's published weights (Redmon and Farhadi, 2018), as Darknet has them."""

from jaxdl.data.preprocess import Preprocess
from jaxdl.models.yolov3 import Detector, YOLOv3, YOLOv3Tiny
from jaxdl.ops import yolo
from jaxdl.pretrained import darknet, register
from jaxdl.pretrained.architecture import Architecture, Naming, Published, images
from jaxdl.pretrained.mapping import Table

# Darknet fills a picture up to a square; here both sides are scaled, so that nothing is cut off.
_PREPROCESS = Preprocess(416, 416, mean=(0, 0, 0), std=(1, 1, 1), squash=True)


def _yolov3(module: YOLOv3) -> Table:
    layers = ["stem"]
    for i, depth in enumerate(module.depths):
        layers.append(f"down_{i}")
        layers += [f"block_{i}_{j}/conv_{k}" for j in range(depth) for k in range(2)]
    for i, stride in enumerate(module.strides):
        layers += [f"up_{stride}"] if i else []
        layers += [f"neck_{stride}_{k}" for k in range(5)]
        layers += [f"last_{stride}", f"head_{stride}"]
    return darknet.table(layers)


def _tiny(module: YOLOv3Tiny) -> Table:
    coarse, fine = module.strides
    layers = [f"block_{i}" for i in range(module.stages + 2)]
    layers += ["neck", f"last_{coarse}", f"head_{coarse}"]
    return darknet.table([*layers, "up", f"last_{fine}", f"head_{fine}"])


def _head_size(module: Detector) -> tuple[int, int]:
    each = len(module.anchors) // len(module.strides)
    return each, each * yolo.OBJECT


def _architecture(name, table, heads) -> Architecture:
    return Architecture(
        model=name,
        inputs=images(416),
        namings={
            darknet.NAMING: Naming(table, {name: Published(name, preprocess=_PREPROCESS)}),
        },
        head=heads,
        head_size=_head_size,
        neck=_NECK,
        optional=("constants",),
    )


# Strides that a scale of a network with up to eight stages can have.
_STRIDES = tuple(1 << i for i in range(9))
_HEADS = tuple(f"head_{stride}" for stride in _STRIDES)

# What stands between the heads and the network that has learned to classify.
_NECK = (
    *("neck", "up"),
    *(f"{part}_{stride}" for stride in _STRIDES for part in ("last", "up")),
    *(f"neck_{stride}_{k}" for stride in _STRIDES for k in range(5)),
)

YOLOV3 = register("yolov3")(_architecture("yolov3", _yolov3, _HEADS))
YOLOV3_TINY = register("yolov3_tiny")(_architecture("yolov3_tiny", _tiny, _HEADS))
