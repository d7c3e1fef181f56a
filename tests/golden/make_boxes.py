"""Writes boxes.npz: torchvision's operators on boxes, values and gradients.

pip install torch==2.13.0 torchvision==0.28.0 && python tests/golden/make_boxes.py

A build of torchvision for a GPU wants CUDA's libraries to be there; its CPU build does not.
"""

from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from torchvision import ops
from torchvision.models.detection._utils import BoxCoder
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.image_list import ImageList
from torchvision.ops.poolers import LevelMapper

OVERLAPS = {
    "iou": ops.box_iou,
    "giou": ops.generalized_box_iou,
    "diou": ops.distance_box_iou,
    "ciou": ops.complete_box_iou,
}
LOSSES = {
    "giou": ops.generalized_box_iou_loss,
    "diou": ops.distance_box_iou_loss,
    "ciou": ops.complete_box_iou_loss,
}


def boxes(rng, n, side=100.0, least=4.0, most=60.0):
    """(n, 4) float32, of any places and sizes."""
    low, size = rng.uniform(0, side, (n, 2)), rng.uniform(least, most, (n, 2))
    return np.concatenate([low, low + size], axis=1).astype(np.float32)


def overlaps(rng, found):
    """Of all pairs, with the gradient of a weighted sum; and of losses of pairs."""
    for unit, scale in (("pixels", 1.0), ("shares", 0.01)):
        a, b = (boxes(rng, n) * np.float32(scale) for n in (12, 9))
        weight = rng.normal(size=(12, 9)).astype(np.float32)
        found |= {f"{unit}/a": a, f"{unit}/b": b, f"{unit}/weight": weight}
        for name, overlap in OVERLAPS.items():
            x, y = (torch.tensor(each, requires_grad=True) for each in (a, b))
            value = overlap(x, y)
            (value * torch.tensor(weight)).sum().backward()
            for part, each in dict(value=value.detach(), da=x.grad, db=y.grad).items():
                found[f"{unit}/{name}/{part}"] = each.numpy()
    a = found["pixels/a"][:9]
    for name, loss in LOSSES.items():
        found[f"loss/{name}"] = loss(torch.tensor(a), torch.tensor(found["pixels/b"])).numpy()


def suppression(rng, found):
    """Of boxes that cluster, some of equal scores, some overlapping by exactly the threshold."""
    b = np.concatenate([boxes(rng, 150, 60.0), np.round(boxes(rng, 150, 20, 2, 12))])
    b = np.concatenate([b, [[0, 0, 10, 10], [0, 0, 10, 5], [0, 0, 10, 3]]]).astype(np.float32)
    s = np.round(rng.random(len(b)), 2).astype(np.float32)
    classes = rng.integers(0, 4, len(b)).astype(np.int32)
    found |= {"suppress/boxes": b, "suppress/scores": s, "suppress/classes": classes}
    for threshold in (0.3, 0.5, 0.7):
        x, y = torch.tensor(b), torch.tensor(s)
        found[f"suppress/{threshold}"] = ops.nms(x, y, threshold).numpy()
        # Class by class, as torchvision does it for many boxes: its other way moves them apart,
        # and rounds them.
        kept = [
            torch.tensor(np.flatnonzero(classes == c))[
                ops.nms(x[classes == c], y[classes == c], threshold)
            ]
            for c in range(4)
        ]
        kept = np.sort(torch.cat(kept).numpy())
        order = np.argsort(-s[kept], kind="stable")
        found[f"suppress_by_class/{threshold}"] = kept[order]


def align(rng, found):
    """Of boxes inside, across the edge, outside, empty and of one cell."""
    maps = rng.normal(size=(2, 3, 9, 11)).astype(np.float32)
    inside = boxes(rng, 12, 60, 1, 90)
    odd = [[-30, -20, 20, 30], [150, 130, 260, 240], [300, 300, 400, 400], [40, 40, 40, 40]]
    each = np.concatenate([inside, odd]).astype(np.float32).reshape(2, 8, 4)
    found |= {"align/maps": maps.transpose(0, 2, 3, 1), "align/boxes": each}
    for aligned in (False, True):
        for samples in (1, 2, 3):
            x = torch.tensor(maps, requires_grad=True)
            value = ops.roi_align(x, list(torch.tensor(each)), 4, 1 / 16, samples, aligned=aligned)
            weight = torch.tensor(rng.normal(size=value.shape).astype(np.float32))
            (value * weight).sum().backward()
            name = f"align/{aligned}/{samples}"
            small = lambda t: t.detach().numpy().transpose(0, 2, 3, 1)
            found[f"{name}/value"], found[f"{name}/weight"] = small(value), small(weight)
            found[f"{name}/dmaps"] = small(x.grad)


def pyramid(rng, found):
    """Of boxes of all sizes, each from the map that its size asks for."""
    image, sides = 256, (64, 32, 16, 8)
    maps = {str(i): rng.normal(size=(1, 2, n, n)).astype(np.float32) for i, n in enumerate(sides)}
    low = rng.uniform(0, 120, (24, 2))
    b = np.concatenate([low, low + np.geomspace(3, 900, 24)[:, None]], axis=1).astype(np.float32)
    pool = ops.MultiScaleRoIAlign(["0", "1", "2", "3"], 7, 2)
    value = pool({k: torch.tensor(v) for k, v in maps.items()}, [torch.tensor(b)], [(image, image)])
    found |= {f"pyramid/{k}": v.transpose(0, 2, 3, 1) for k, v in maps.items()}
    found |= {"pyramid/boxes": b, "pyramid/value": value.numpy().transpose(0, 2, 3, 1)}
    found["pyramid/levels"] = LevelMapper(2, 5)([torch.tensor(b)]).numpy()


def coding(rng, found):
    """There and back, by the weights of heads; deltas that are too large."""
    a, b = boxes(rng, 20), boxes(rng, 20)
    deltas = (rng.normal(size=(20, 4)) * 12).astype(np.float32)
    found |= {"coding/boxes": a, "coding/anchors": b, "coding/deltas": deltas}
    for name, weights in (("ones", (1.0, 1.0, 1.0, 1.0)), ("head", (10.0, 10.0, 5.0, 5.0))):
        coder = BoxCoder(weights)
        found[f"coding/{name}/encoded"] = coder.encode_single(
            torch.tensor(a), torch.tensor(b)
        ).numpy()
        found[f"coding/{name}/decoded"] = coder.decode_single(
            torch.tensor(deltas), torch.tensor(b)
        ).numpy()


def anchors(found):
    """Of the pyramid of an image of 800 by 500 pixels, padded to 512."""
    sizes, ratios = ((32,), (64,), (128,), (256,), (512,)), ((0.5, 1.0, 2.0),) * 5
    maps = ((200, 128), (100, 64), (50, 32), (25, 16), (13, 8))
    generator = AnchorGenerator(sizes, ratios)
    images = ImageList(torch.zeros(1, 3, 800, 512), [(800, 500)])
    (whole,) = generator(images, [torch.zeros(1, 1, *each) for each in maps])
    # All of the coarse maps, and a sum of each.
    found["anchors/coarse"] = whole[-(25 * 16 + 13 * 8) * 3 :].numpy()
    counts = [h * w * 3 for h, w in maps]
    parts = torch.split(whole.double() * torch.arange(1, 5), counts)
    found["anchors/sums"] = np.array([part.sum().item() for part in parts])


def main():
    """All of them."""
    rng, found = np.random.default_rng(0), {}
    for part in (overlaps, suppression, align, pyramid, coding):
        part(rng, found)
    anchors(found)
    found["versions"] = np.array([f"{n} {version(n)}" for n in ("torch", "torchvision")])
    np.savez_compressed(Path(__file__).parent / "boxes.npz", **found)


if __name__ == "__main__":
    main()
