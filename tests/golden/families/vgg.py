"""VGG, as torchvision and timm have it, with fewer channels."""

import timm.models.vgg
from make_classifiers import Case
from timm.layers import ClassifierHead
from torch import nn
from torchvision.models.vgg import VGG, make_layers

STAGES = (2, 1, 1, 2, 1)
CHANNELS = (8, 8, 16, 16, 16)
HIDDEN = 32


def layout() -> list:
    """The configuration in their words."""
    pairs = zip(STAGES, CHANNELS, strict=True)
    return [word for count, channels in pairs for word in (*[channels] * count, "M")]


def torchvision(batch_norm: bool):
    """A model with narrow dense layers."""
    model = VGG(make_layers(layout(), batch_norm), 10, init_weights=False, dropout=0.0)
    model.classifier[0] = nn.Linear(CHANNELS[-1] * 49, HIDDEN)
    model.classifier[3] = nn.Linear(HIDDEN, HIDDEN)
    model.classifier[6] = nn.Linear(HIDDEN, 10)
    return model


def in_timm(batch_norm: bool):
    """The same."""
    model = timm.models.vgg.VGG(
        layout(), num_classes=10, norm_layer=nn.BatchNorm2d if batch_norm else None
    )
    model.pre_logits = timm.models.vgg.ConvMlp(CHANNELS[-1], HIDDEN, 7, drop_rate=0.0)
    model.head = ClassifierHead(HIDDEN, 10)
    return model


def case(make, batch_norm: bool, naming: str) -> Case:
    """With or without batch norm; 3 pixels a side are left for the 7 that are wanted."""
    blocks, pyramid, index = {}, {}, -1
    for i, count in enumerate(STAGES):
        for j in range(count):
            index += 3 if batch_norm else 2
            blocks[f"block_{i}_{j}"] = pyramid[2**i] = f"features.{index}"
        index += 1
        pyramid[2 ** (i + 1)] = f"features.{index}"
    return Case(
        lambda: make(batch_norm),
        (4, 96, 96, 3),
        "vgg16_bn" if batch_norm else "vgg16",
        dict(stages=STAGES, channels=CHANNELS, hidden=HIDDEN, dropout=0.0, num_classes=10),
        naming,
        blocks=blocks,
        pyramid=pyramid,
    )


CASES = {
    "vgg": case(torchvision, False, "torchvision"),
    "vgg_bn": case(torchvision, True, "torchvision"),
    "vgg_timm": case(in_timm, False, "timm"),
    "vgg_bn_timm": case(in_timm, True, "timm"),
}
