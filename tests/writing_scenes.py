"""Writers of scenes in the forms that users have them in."""

import json

import numpy as np
from PIL import Image


def runs(mask):
    """COCO's run lengths of (h, w) bool: down the columns, zeros first."""
    flat = mask.ravel(order="F").astype(int)
    edges = np.flatnonzero(np.diff(flat, prepend=0))
    return np.diff([0, *edges, flat.size]).tolist()


def pictures(folder, arrays):
    folder.mkdir(parents=True, exist_ok=True)
    for i, image in enumerate(arrays["image"]):
        Image.fromarray(image.squeeze()).save(folder / f"{i:03}.png")


def things(arrays, i):
    """(class, box) of what is in a scene."""
    there = arrays["present"][i]
    return zip(
        arrays["classes"][i][there].tolist(), arrays["boxes"][i][there].tolist(), strict=True
    )


def coco(root, arrays, names):
    pictures(root / "images", arrays)
    height, width = arrays["image"].shape[1:3]
    images, annotations = [], []
    for i in range(len(arrays["image"])):
        images.append(dict(id=100 + i, file_name=f"{i:03}.png", width=width, height=height))
        for label, (x0, y0, x1, y1) in things(arrays, i):
            mask = np.zeros((height, width), bool)
            mask[int(y0) : int(y1), int(x0) : int(x1)] = True
            annotations.append(
                dict(id=len(annotations), image_id=100 + i, category_id=7 * label + 3, iscrowd=0,
                     bbox=[x0, y0, x1 - x0, y1 - y0],
                     segmentation=dict(size=[height, width], counts=runs(mask)))
            )  # fmt: skip
    # Not in the order of their ids, which is what counts.
    categories = [dict(id=7 * i + 3, name=name) for i, name in enumerate(names)][::-1]
    content = dict(images=images, annotations=annotations, categories=categories)
    (root / "annotations").mkdir()
    file = root / "annotations" / "instances_train.json"
    file.write_text(json.dumps(content))
    return file


def yolo(root, arrays, names):
    pictures(root / "images" / "train", arrays)
    labels = root / "labels" / "train"
    labels.mkdir(parents=True)
    height, width = arrays["image"].shape[1:3]
    for i in range(len(arrays["image"])):
        rows = [
            f"{label} {(x0 + x1) / 2 / width!r} {(y0 + y1) / 2 / height!r} "
            f"{(x1 - x0) / width!r} {(y1 - y0) / height!r}"
            for label, (x0, y0, x1, y1) in things(arrays, i)
        ]
        (labels / f"{i:03}.txt").write_text("\n".join(rows) + "\n")
    file = root / "data.yaml"
    lines = [f"  {i}: {name!r}" for i, name in enumerate(names)]
    file.write_text("path: .\ntrain: images/train\nnames:\n" + "\n".join(lines) + "\n")
    return file


def voc(root, arrays, names):
    pictures(root / "JPEGImages", arrays)
    (root / "Annotations").mkdir()
    height, width = arrays["image"].shape[1:3]
    for i in range(len(arrays["image"])):
        objects = [
            f"<object><name>{names[label]}</name><difficult>0</difficult><bndbox>"
            f"<xmin>{x0 + 1:g}</xmin><ymin>{y0 + 1:g}</ymin>"
            f"<xmax>{x1:g}</xmax><ymax>{y1:g}</ymax></bndbox></object>"
            for label, (x0, y0, x1, y1) in things(arrays, i)
        ]
        (root / "Annotations" / f"{i:03}.xml").write_text(
            f"<annotation><filename>{i:03}.png</filename><size><width>{width}</width>"
            f"<height>{height}</height><depth>1</depth></size>{''.join(objects)}</annotation>"
        )
    lists = root / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("".join(f"{i:03}\n" for i in range(len(arrays["image"]))))
    return root / "Annotations" / "000.xml"
