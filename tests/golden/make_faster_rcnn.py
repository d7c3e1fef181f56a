"""Writes faster_rcnn.npz: what torchvision's Faster R-CNN finds and learns, on its own operators.

pip install torch==2.13.0 torchvision==0.28.0 && python tests/golden/make_faster_rcnn.py

A build of torchvision for a GPU wants CUDA's libraries to be there; its CPU build does not. Shared
libraries of their names, whose functions do nothing, are enough: no tensor is on a GPU. The
network is a narrow one; weights are drawn by their names (seeded.py). What it samples to learn from
are those listed first, in place of a random draw.
"""

import hashlib
from importlib.metadata import version
from pathlib import Path

import numpy as np
import seeded
import torch
from torchvision.models.detection import FasterRCNN, faster_rcnn, fasterrcnn_resnet50_fpn
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.backbone_utils import _resnet_fpn_extractor
from torchvision.models.resnet import Bottleneck, ResNet
from torchvision.ops import MultiScaleRoIAlign
from torchvision.ops.misc import FrozenBatchNorm2d

# Images whose sides 32 does not divide.
HEIGHT, WIDTH, CLASSES, FEATURES, HIDDEN = 90, 122, 4, 16, 32
SIZES = ((12,), (24,), (48,), (72,), (100,))
BOXES = (
    [(10, 12, 40, 50), (60, 20, 75, 41), (5, 5, 115, 85)],
    [],
    [(100.5, 60.25, 121, 89), (30, 30, 52, 58)],
)
LABELS = ([1, 4, 2], [], [3, 1])


class Narrow(ResNet):
    """An eighth of the features."""

    def __init__(self):
        super().__init__(Bottleneck, [1, 1, 1, 1], norm_layer=FrozenBatchNorm2d)
        self.conv1, self.bn1 = torch.nn.Conv2d(3, 8, 7, 2, 3, bias=False), FrozenBatchNorm2d(8)

    def _make_layer(self, block, planes, blocks, stride=1, dilate=False):
        if planes == 64:
            self.inplanes = 8
        return super()._make_layer(block, planes // 8, blocks, stride, dilate)


def model():
    """With drawn weights."""
    net = FasterRCNN(
        narrowed(_resnet_fpn_extractor(Narrow(), 5)),
        min_size=HEIGHT,
        max_size=WIDTH,
        rpn_anchor_generator=AnchorGenerator(SIZES, ((0.5, 1.0, 2.0),) * 5),
        rpn_batch_size_per_image=32,
        box_batch_size_per_image=48,
        box_roi_pool=MultiScaleRoIAlign(["0", "1", "2", "3"], 7, 2, canonical_scale=56),
        box_head=faster_rcnn.TwoMLPHead(FEATURES * 49, HIDDEN),
        box_predictor=faster_rcnn.FastRCNNPredictor(HIDDEN, 1 + CLASSES),
    )
    drawn = {
        name: torch.tensor(seeded.weight(name, tuple(x.shape)))
        for name, x in net.state_dict().items()
    }
    net.load_state_dict(drawn)
    return net.requires_grad_(True)


def narrowed(extractor):
    """torchvision's pyramid has 256 features and no way to say so."""
    ins = [block[0].in_channels for block in extractor.fpn.inner_blocks]
    conv = lambda i, kernel: torch.nn.Conv2d(i, FEATURES, kernel, padding=kernel // 2)
    for block, count in zip(extractor.fpn.inner_blocks, ins, strict=True):
        block[0] = conv(count, 1)
    for block in extractor.fpn.layer_blocks:
        block[0] = conv(FEATURES, 3)
    extractor.out_channels = FEATURES
    return extractor


def names(net):
    """A hash of all tensors' names and shapes, and how many parameters there are."""
    lines = [f"{name} {tuple(x.shape)}" for name, x in sorted(net.state_dict().items())]
    lines = [line for line in lines if "num_batches_tracked" not in line]
    count = sum(p.numel() for p in net.parameters())
    return np.array([hashlib.sha256("\n".join(lines).encode()).hexdigest(), str(count)])


def main():
    """All of it."""
    found = {}
    net = model()
    images = seeded.images((3, HEIGHT, WIDTH, 3)) * np.float32(0.25) + np.float32(0.5)
    x = list(torch.tensor(images).permute(0, 3, 1, 2))
    net.eval()
    with torch.no_grad():
        for i, each in enumerate(net(x)):
            found |= {f"{i}/{name}": value.numpy() for name, value in each.items()}
    net.train()
    torch.randperm = lambda n, **_: torch.arange(n)
    targets = [
        {"boxes": torch.tensor(b).float().reshape(-1, 4), "labels": torch.tensor(c).long()}
        for b, c in zip(BOXES, LABELS, strict=True)
    ]
    losses = net(x, targets)
    found |= {f"loss/{name}": value.detach().numpy() for name, value in losses.items()}
    sum(losses.values()).backward()
    for name, p in net.named_parameters():
        found[f"gradient/{name}"] = seeded.summary(name, p.grad.numpy())
    # As it is when a classifier's weights are in it: with frozen norms.
    whole = fasterrcnn_resnet50_fpn(weights=None, weights_backbone=None)
    parts = [m for m in whole.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    norms = sum(p.numel() for m in parts for p in m.parameters())
    found["names"] = names(whole)
    found["names"][1] = str(int(found["names"][1]) - norms)
    found["versions"] = np.array([f"{n} {version(n)}" for n in ("torch", "torchvision")])
    np.savez_compressed(Path(__file__).parent / "faster_rcnn.npz", **found)
    for name, value in found.items():
        if not name.startswith("gradient/"):
            print(name, value.shape, value.tolist() if value.size < 4 else "")


if __name__ == "__main__":
    main()
