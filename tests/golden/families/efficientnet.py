"""EfficientNet, as torchvision, timm and transformers have it: B0, half as wide and deep."""

import functools

import timm.models.efficientnet as timm_efficientnet
import torch
from make_classifiers import Case
from torchvision.models import efficientnet
from transformers import EfficientNetConfig, EfficientNetForImageClassification

HALF = dict(width=0.5, depth=0.5)
BLOCKS = [(i, j) for i, count in enumerate((1, 1, 1, 2, 2, 2, 1)) for j in range(count)]
FIELDS = dict(**HALF, dropout=0.0, drop_path=0.0, num_classes=10)


def torchvision() -> Case:
    """With the batch norm of B5 and larger ones."""

    def make():
        stages, _ = efficientnet._efficientnet_conf(
            "efficientnet_b0", width_mult=0.5, depth_mult=0.5
        )
        norm = functools.partial(torch.nn.BatchNorm2d, eps=1e-3, momentum=0.01)
        return efficientnet.EfficientNet(stages, 0.0, 0.0, num_classes=10, norm_layer=norm)

    named = {f"block_{i}_{j}": f"features.{i + 1}.{j}" for i, j in BLOCKS}
    return Case(
        make,
        (4, 64, 64, 3),
        "efficientnet_b0",
        dict(**FIELDS, epsilon=1e-3, momentum=0.99),
        "torchvision",
        blocks={"stem": "features.0", **named, "last": "features.8"},
        pyramid={2 << k: f"features.{i}" for k, i in enumerate((1, 2, 3, 5, 7))},
    )


def timm(authors: bool) -> Case:
    """timm's own, or the one for the authors' weights on images that do not halve evenly."""
    theirs = dict(bn_eps=1e-3, pad_type="same") if authors else {}
    ours = dict(epsilon=1e-3, padding="same") if authors else {}
    make = timm_efficientnet._gen_efficientnet
    named = {f"block_{i}_{j}": f"blocks.{i}.{j}" for i, j in BLOCKS}
    return Case(
        lambda: make("efficientnet_b0", 0.5, 0.5, num_classes=10, **theirs),
        (4, 59, 70, 3) if authors else (4, 64, 64, 3),
        "efficientnet_b0",
        dict(**FIELDS, **ours),
        "timm",
        blocks={"stem": "bn1", **named, "last": "bn2"},
        pyramid={2 << k: f"blocks.{i}" for k, i in enumerate((0, 1, 2, 4, 6))},
    )


def transformers() -> Case:
    """On images of 60 pixels: 30, 15, 8, 4, 2."""
    config = dict(
        width_coefficient=0.5,
        depth_coefficient=0.5,
        hidden_dim=640,
        image_size=60,
        depthwise_padding=[2],
        batch_norm_momentum=0.1,  # one of the norms in a block has always PyTorch's default
        dropout_rate=0.0,
        drop_connect_rate=0.0,
        num_labels=10,
    )
    top = "efficientnet.encoder"
    named = {f"block_{i}_{j}": f"{top}.blocks.{n}" for n, (i, j) in enumerate(BLOCKS)}
    return Case(
        lambda: EfficientNetForImageClassification(EfficientNetConfig(**config)),
        (4, 60, 60, 3),
        "efficientnet_b0",
        dict(**FIELDS, epsilon=1e-3, padding="same"),
        "transformers",
        blocks={"stem": "efficientnet.embeddings", **named, "last": f"{top}.top_activation"},
        pyramid={2 << k: f"{top}.blocks.{n}" for k, n in enumerate((0, 1, 2, 6, 9))},
    )


CASES = {
    "efficientnet_torchvision": torchvision(),
    "efficientnet_timm": timm(authors=False),
    "efficientnet_timm_authors": timm(authors=True),
    "efficientnet_transformers": transformers(),
}
