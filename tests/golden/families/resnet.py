"""ResNet, as torchvision has it."""

from make_classifiers import Case
from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet


def case(block, ours: str) -> Case:
    """A small one of either block."""
    stages = (2, 1, 1, 1)
    named = {
        f"block_{i}_{j}": f"layer{i + 1}.{j}"
        for i, count in enumerate(stages)
        for j in range(count)
    }

    def make():
        return ResNet(block, stages, num_classes=10, width_per_group=64)

    return Case(
        make,
        (4, 32, 32, 3),
        ours,
        dict(stages=stages, num_classes=10),
        "torchvision",
        blocks=named,
        pyramid={4: "layer1", 8: "layer2", 16: "layer3", 32: "layer4"},
    )


CASES = {
    "resnet_basic": case(BasicBlock, "resnet18"),
    "resnet_bottleneck": case(Bottleneck, "resnet50"),
}
