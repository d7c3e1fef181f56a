"""What YOLOv3 computes, by PyTorch modules written from its definition, for tests/test_yolo.py.

    pip install torch==2.13.0 numpy
    python tests/golden/make_yolo.py

Redmon and Farhadi, 2018, and the layer lists of Darknet's configuration files: a list of layers,
as such a file has it, is run one by one. Weights are drawn by the layers' numbers (seeded.py) and
laid out as Darknet's files of weights are, whose hash is kept. Losses follow Darknet's loop over
objects, one by one, in float64.
"""

import hashlib
import math
import struct
from pathlib import Path

import numpy as np
import seeded
import torch
from torch.nn import functional

HERE = Path(__file__).parent
SIZE = 64


def conv(filters, size=1, stride=1, norm=True):
    return dict(kind="conv", filters=filters, size=size, stride=stride, norm=norm)


def route(*layers):
    return dict(kind="route", layers=layers)


def yolov3(width, depths, outputs):
    """The layers of yolov3.cfg, of any width and depths."""
    layers, ends = [conv(width, 3)], []
    for i, depth in enumerate(depths):
        layers.append(conv(width << (i + 1), 3, 2))
        for _ in range(depth):
            layers += [conv(width << i), conv(width << (i + 1), 3), dict(kind="shortcut", back=-3)]
        ends.append(len(layers) - 1)
    for i in range(3):
        filters = (width << len(depths)) >> (i + 1)
        if i:
            layers += [route(-4), conv(filters), dict(kind="upsample"), route(-1, ends[-1 - i])]
        for k in range(6):
            layers.append(conv(filters << k % 2, 3 if k % 2 else 1))
        layers += [conv(outputs, norm=False), dict(kind="yolo")]
    return layers


def yolov3_tiny(width, outputs):
    """The layers of yolov3-tiny.cfg, of any width."""
    pool = lambda stride: dict(kind="pool", stride=stride)
    layers = [conv(width, 3)]
    for i in range(1, 6):
        layers += [pool(2), conv(width << i, 3)]
    layers += [pool(1), conv(width << 6, 3), conv(width << 4), conv(width << 5, 3)]
    layers += [conv(outputs, norm=False), dict(kind="yolo"), route(-4), conv(width << 3)]
    layers += [dict(kind="upsample"), route(-1, 8), conv(width << 4, 3)]
    return [*layers, conv(outputs, norm=False), dict(kind="yolo")]


def run(layers, x):
    """Outputs of the yolo layers, (batch, channels, h, w), and the file of weights, as bytes."""
    kept, found, file, count = [], [], [struct.pack("<iiiq", 0, 2, 0, 0)], 0
    draw = lambda name, shape: torch.from_numpy(seeded.weight(f"{count}.{name}", shape)).double()
    for layer in layers:
        match layer["kind"]:
            case "conv":
                filters, size = layer["filters"], layer["size"]
                kernel = draw("weights", (filters, x.shape[1], size, size))
                biases = draw("biases", (filters,))
                file.append(biases)
                x = functional.conv2d(x, kernel, None, layer["stride"], size // 2)
                if layer["norm"]:
                    scales, mean = draw("scales", (filters,)), draw("running_mean", (filters,))
                    variance = draw("running_var", (filters,))
                    file += [scales, mean, variance]
                    x = functional.batch_norm(x, mean, variance, scales, biases, eps=1e-5)
                    x = functional.leaky_relu(x, 0.1)
                else:
                    x = x + biases[:, None, None]
                file.append(kernel)
                count += 1
            case "shortcut":
                x = x + kept[layer["back"]]
            case "upsample":
                x = functional.interpolate(x, scale_factor=2, mode="nearest")
            case "pool":
                if layer["stride"] == 1:
                    x = functional.pad(x, (0, 1, 0, 1), value=-math.inf)
                x = functional.max_pool2d(x, 2, layer["stride"])
            case "route":
                x = torch.cat([kept[i] for i in layer["layers"]], 1)
            case "yolo":
                found.append(x)
        kept.append(x)
    as_bytes = lambda part: (
        part if isinstance(part, bytes) else part.numpy().astype("<f4").tobytes()
    )
    return found, b"".join(map(as_bytes, file))


def decoded(t, stride, anchors):
    """Boxes of one map (anchors, 5 + classes, h, w): (anchors, h, w, 4), corners in pixels."""
    _, _, h, w = t.shape
    column, row = torch.arange(w).view(1, 1, w), torch.arange(h).view(1, h, 1)
    x, y = (torch.sigmoid(t[:, 0]) + column) * stride, (torch.sigmoid(t[:, 1]) + row) * stride
    sides = [anchors[:, i].view(-1, 1, 1) * torch.exp(t[:, 2 + i]) for i in range(2)]
    return torch.stack([x - sides[0] / 2, y - sides[1] / 2, x + sides[0] / 2, y + sides[1] / 2], -1)


def overlap(a, b):
    """Intersection over union of two boxes."""
    w = torch.minimum(a[2], b[2]) - torch.maximum(a[0], b[0])
    h = torch.minimum(a[3], b[3]) - torch.maximum(a[1], b[1])
    shared = w.clamp(min=0) * h.clamp(min=0)
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


def complete(a, b):
    """Complete IoU (Zheng et al., 2020), equations 9 to 11."""
    iou = overlap(a, b)
    centres = (((a[:2] + a[2:]) - (b[:2] + b[2:])) ** 2).sum() / 4
    diagonal = ((torch.maximum(a[2:], b[2:]) - torch.minimum(a[:2], b[:2])) ** 2).sum()
    angle = lambda box: torch.atan((box[2] - box[0]) / (box[3] - box[1]))
    v = 4 / math.pi**2 * (angle(b) - angle(a)) ** 2
    return iou - centres / diagonal - v * v / (1 - iou + v)


def image_losses(maps, anchors, boxes, classes, ignore, by_overlap):
    """(box, objectness, classes) of one image; maps {stride: (anchors, 5 + classes, h, w)}."""
    strides = sorted(maps)
    each = len(anchors) // len(strides)
    own = {s: anchors[i * each : (i + 1) * each] for i, s in enumerate(strides)}
    height, width = maps[strides[0]].shape[2] * strides[0], maps[strides[0]].shape[3] * strides[0]
    found = {s: decoded(maps[s], s, own[s]) for s in strides}
    answers = {}
    for box, label in zip(boxes, classes, strict=True):
        w, h = box[2] - box[0], box[3] - box[1]
        likeness = [
            overlap(torch.tensor([-p / 2, -q / 2, p / 2, q / 2]), torch.stack([-w, -h, w, h]) / 2)
            for p, q in anchors.tolist()
        ]
        best = int(np.argmax([float(x) for x in likeness]))
        s, a = strides[best // each], best % each
        i, j = int((box[0] + box[2]) / 2 // s), int((box[1] + box[3]) / 2 // s)
        labels = answers[s, a, j, i][1] if (s, a, j, i) in answers else set()
        answers[s, a, j, i] = box, labels | {int(label)}
    log = lambda x, t: functional.binary_cross_entropy_with_logits(
        x, torch.full_like(x, t) if isinstance(t, float) else t, reduction="sum"
    )
    of_box = of_classes = of_object = torch.zeros(())
    for (s, a, j, i), (box, labels) in answers.items():
        t = maps[s][a, :, j, i]
        w, h = box[2] - box[0], box[3] - box[1]
        if by_overlap:
            of_box = of_box + 1 - complete(found[s][a, j, i], box)
        else:
            part = torch.stack([(box[0] + box[2]) / 2 / s - i, (box[1] + box[3]) / 2 / s - j])
            sides = torch.log(torch.stack([w, h]) / own[s][a])
            errors = log(t[:2], part) + ((t[2:4] - sides) ** 2).sum() / 2
            of_box = of_box + (2 - w * h / (height * width)) * errors
        right = torch.tensor([float(c in labels) for c in range(len(t) - 5)])
        of_classes = of_classes + log(t[5:], right)
    for s in strides:
        for a, j, i in np.ndindex(*found[s].shape[:3]):
            logit = maps[s][a, 4, j, i]
            if (s, a, j, i) in answers:
                of_object = of_object + log(logit, 1.0)
            elif all(overlap(found[s][a, j, i], box) <= ignore for box in boxes):
                of_object = of_object + log(logit, 0.0)
    return torch.stack([of_box, of_object, of_classes])


def objects():
    """Two images with 5 and 2 objects: (boxes, classes) each; two of the first share a place."""
    first = [(2, 3, 12, 15), (20, 8, 52, 30), (3, 4, 12, 15), (30, 30, 38, 41), (0, 0, 61, 40)]
    second = [(10.5, 20.25, 30, 31), (40, 2, 45.5, 30)]
    return (first, [0, 1, 2, 3, 1]), (second, [3, 0])


def loss_cases():
    """Losses of drawn outputs, and their gradients."""
    anchors = np.array([(9, 11), (20, 12), (30, 40), (60, 50)], np.float64)
    kept = {"loss/anchors": anchors.astype(np.float32)}
    maps = {}
    for stride, (h, w) in {8: (6, 8), 16: (3, 4)}.items():
        x = 0.7 * seeded.normal(f"map/{stride}", (2, h, w, 2, 9))
        maps[stride] = torch.from_numpy(x).permute(0, 3, 4, 1, 2).requires_grad_()
        kept[f"loss/shape/{stride}"] = np.array(x.shape)
    for name, ignore, by_overlap in [("squared", 0.5, False), ("ciou", 0.3, True)]:
        found = torch.stack([
            image_losses(
                {s: x[b] for s, x in maps.items()}, torch.from_numpy(anchors),
                torch.tensor(boxes, dtype=torch.float64), classes, ignore, by_overlap,
            )
            for b, (boxes, classes) in enumerate(objects())
        ])  # fmt: skip
        kept[f"loss/{name}"] = found.detach().numpy()
        if not by_overlap:
            gradients = torch.autograd.grad(found.sum(), list(maps.values()))
            for stride, gradient in zip(maps, gradients, strict=True):
                kept[f"loss/gradient/{stride}"] = gradient.permute(0, 3, 4, 1, 2).numpy()
    for stride, x in maps.items():
        own = torch.from_numpy(anchors[:2] if stride == 8 else anchors[2:])
        boxes = torch.stack([decoded(image, stride, own) for image in x])
        kept[f"loss/boxes/{stride}"] = boxes.detach().permute(0, 2, 3, 1, 4).numpy()
    return kept


if __name__ == "__main__":
    torch.set_default_dtype(torch.float64)
    x = torch.from_numpy(seeded.images((2, SIZE, SIZE, 3))).permute(0, 3, 1, 2).double()
    kept = loss_cases()
    for name, layers in {
        "yolov3": yolov3(2, (1, 2, 1, 1, 1), 3 * 9),
        "yolov3_tiny": yolov3_tiny(2, 3 * 9),
    }.items():
        found, file = run(layers, x)
        kept[f"{name}/file"] = np.array([hashlib.sha256(file).hexdigest(), str(len(file))])
        for output in found:
            channels_last = output.permute(0, 2, 3, 1).numpy()
            stride = SIZE // channels_last.shape[1]
            kept[f"{name}/{stride}"] = seeded.sample(channels_last, 2048)
    np.savez_compressed(HERE / "yolo.npz", **kept)
    print((HERE / "yolo.npz").stat().st_size)
