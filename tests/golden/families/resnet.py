"""ResNet, as torchvision, timm and transformers have it."""

import timm.models.resnet as timm_resnet
from make_classifiers import Case
from torchvision.models import resnet
from transformers import ResNetConfig, ResNetForImageClassification

STAGES = (2, 1, 1, 1)
BLOCKS = [(i, j) for i, count in enumerate(STAGES) for j in range(count)]


# With 33x41 no unit of a bottleneck stands so near its kink that float32's rounding takes it over;
# with most other sizes one does, and its gradients differ by a hundredth.
IMAGE = (4, 33, 41, 3)


def torchvision(block, ours: str) -> Case:
    """A small one of either block, as wide as the published."""
    return Case(
        lambda: resnet.ResNet(block, STAGES, num_classes=10),
        IMAGE,
        ours,
        dict(stages=STAGES, num_classes=10),
        "torchvision",
        blocks={"stem": "relu", **{f"block_{i}_{j}": f"layer{i + 1}.{j}" for i, j in BLOCKS}},
        pyramid={2: "relu", 4: "layer1", 8: "layer2", 16: "layer3", 32: "layer4"},
    )


def timm(block, ours: str) -> Case:
    """The same of timm's."""
    case = torchvision(block, ours)
    return case._replace(
        model=lambda: timm_resnet.ResNet(block, STAGES, num_classes=10),
        naming="timm",
        blocks={**case.blocks, "stem": "act1"},
        pyramid={**case.pyramid, 2: "act1"},
    )


def transformers(layer: str, ours: str) -> Case:
    """A narrow one."""
    widths = [8, 16, 32, 64] if layer == "basic" else [32, 64, 128, 256]
    config = dict(embedding_size=8, hidden_sizes=widths, depths=list(STAGES), layer_type=layer)
    stem, stages = "resnet.embedder.embedder", "resnet.encoder.stages"
    return Case(
        lambda: ResNetForImageClassification(ResNetConfig(**config, num_labels=10)),
        (4, 64, 64, 3),
        ours,
        dict(stages=STAGES, width=8, num_classes=10),
        "transformers",
        blocks={"stem": stem, **{f"block_{i}_{j}": f"{stages}.{i}.layers.{j}" for i, j in BLOCKS}},
        pyramid={2: stem, **{4 << i: f"{stages}.{i}" for i in range(4)}},
    )


CASES = {
    "resnet_basic": torchvision(resnet.BasicBlock, "resnet18"),
    "resnet_bottleneck": torchvision(resnet.Bottleneck, "resnet50"),
    "resnet_timm": timm(timm_resnet.Bottleneck, "resnet50"),
    "resnet_transformers_basic": transformers("basic", "resnet18"),
    "resnet_transformers_bottleneck": transformers("bottleneck", "resnet50"),
}
