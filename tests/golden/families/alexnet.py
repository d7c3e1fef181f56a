"""AlexNet, as torchvision has it, with fewer channels."""

from make_classifiers import Case
from torch import nn
from torchvision.models.alexnet import AlexNet

CHANNELS = (8, 16, 24, 16, 16)
HIDDEN = 32


def make():
    """The published layers, but narrow."""
    model = AlexNet(num_classes=10, dropout=0.0)
    before = 3
    for i, channels in zip((0, 3, 6, 8, 10), CHANNELS, strict=True):
        wide = model.features[i]
        how = dict(stride=wide.stride, padding=wide.padding)
        model.features[i] = nn.Conv2d(before, channels, wide.kernel_size, **how)
        before = channels
    model.classifier[1] = nn.Linear(before * 36, HIDDEN)
    model.classifier[4] = nn.Linear(HIDDEN, HIDDEN)
    model.classifier[6] = nn.Linear(HIDDEN, 10)
    return model


CASES = {
    "alexnet": Case(
        make,
        # 4 pixels a side are left, which do not divide into the 6 that are wanted.
        (4, 159, 159, 3),
        "alexnet",
        dict(channels=CHANNELS, hidden=HIDDEN, dropout=0.0, num_classes=10),
        "torchvision",
        blocks={f"block_{i}": f"features.{j}" for i, j in enumerate((1, 4, 7, 9, 11))},
        pyramid={4: "features.1", 8: "features.4", 16: "features.11", 32: "features.12"},
    )
}
