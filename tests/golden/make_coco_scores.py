"""Writes coco_scores.json: a JSON of COCO's form, finds, and what pycocotools says of them.

pip install pycocotools==2.0.11 && python tests/golden/make_coco_scores.py

The JSON has what users' have: ids with gaps and in no order, a class without objects, areas of
segments that are smaller than their boxes, crowds, boxes over the edge, empty ones and some twice.
"""

import contextlib
import io
import json
from importlib.metadata import version
from pathlib import Path

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

SIZES = [(200, 120), (90, 160), (300, 300), (40, 64), (250, 100), (128, 128), (60, 240), (64, 64)]
CATEGORIES = {3: "cup", 7: "fork", 44: "spoon", 90: "knife"}


def dataset(rng):
    """Pictures, what is in them, and classes."""
    ids = rng.permutation([9, 2, 40, 41, 500, 77, 6, 123])
    images = [
        dict(id=int(i), file_name=f"{i}.png", width=w, height=h)
        for i, (w, h) in zip(ids, SIZES, strict=True)
    ]
    made = []

    def add(image, category, box, share, crowd=0):
        box = [round(float(x), 2) for x in box]
        number = 1000 - 3 * len(made)  # an id of 0 is never found
        made.append(
            dict(id=number, image_id=image["id"], category_id=category, bbox=box, iscrowd=crowd,
                 area=round(float(share * box[2] * box[3]), 2))
        )  # fmt: skip

    for image in images[:-1]:  # there is nothing in the last
        sides = np.array([image["width"], image["height"]])
        for _ in range(rng.integers(3, 7)):
            size = sides * rng.uniform(0.1, 0.6, 2)
            corner = rng.uniform(0, 1, 2) * (sides - size)
            category = int(rng.choice([3, 7, 90]))
            add(image, category, [*corner, *size], rng.choice([1, 0.7, 0.3]), rng.random() < 0.1)
    crowds = [one for one in made if one["iscrowd"]]
    assert 0 < len(crowds) < len(made) / 4
    for one in crowds:
        one["iscrowd"] = 1
    first, wide = images[0], images[4]
    add(first, 7, [190.5, 20, 10, 30], 0.9)  # half a pixel over the edge
    add(wide, 7, [-0.5, 10.25, 50, 60], 0.5)
    add(first, 3, [20, 20, 0, 15], 1)  # empty
    again = dict(made[0], id=7)  # twice
    return dict(
        images=images,
        annotations=[*made, again],
        categories=[dict(id=i, name=name) for i, name in [*CATEGORIES.items()][::-1]],
    )


def finds(rng, content):
    """COCO's results: about the objects, some of another class, and some of nothing."""
    rows = []
    for image in content["images"]:
        own = [one for one in content["annotations"] if one["image_id"] == image["id"]]
        sides = np.array([image["width"], image["height"]] * 2)
        boxes = [np.array(one["bbox"]) for one in own for _ in range(rng.integers(0, 4))]
        labels = [one["category_id"] for one in own]
        boxes += [np.concatenate([rng.uniform(0, 0.6, 2), rng.uniform(0.1, 0.4, 2)]) * sides
                  for _ in range(4)]  # fmt: skip
        for box in boxes:
            size = np.maximum(box[[2, 3, 2, 3]], 4)
            low, sides_of = np.split(box + rng.normal(size=4) * 0.08 * size, 2)
            low, high = low, low + np.maximum(sides_of, 2)
            low, high = np.clip(low, 0, sides[:2]), np.clip(high, 0, sides[:2])
            if (high - low).min() < 1:
                continue
            apart = [np.abs(np.array(one["bbox"]) - [*low, *(high - low)]).max() for one in own]
            near = [label for label, x in zip(labels, apart, strict=True) if x < 20]
            category = near[0] if near and rng.random() < 0.8 else int(rng.choice([*CATEGORIES]))
            rows.append(
                dict(image_id=image["id"], category_id=category,
                     bbox=np.round([*low, *(high - low)], 3).tolist(),
                     score=round(float(rng.uniform(0.05, 1)), 1))
            )  # fmt: skip
    return rows


def main():
    """Writes the file."""
    rng = np.random.default_rng(4)
    content = dataset(rng)
    rows = finds(rng, content)
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = content
        truth.createIndex()
        made = COCOeval(truth, truth.loadRes([dict(row) for row in rows]), iouType="bbox")
        made.evaluate()
        made.accumulate()
        made.summarize()
    kept = dict(
        dataset=content,
        results=rows,
        summary=[float(x) for x in made.stats],
        versions=[f"pycocotools {version('pycocotools')}"],
    )
    file = Path(__file__).parent / "coco_scores.json"
    file.write_text(json.dumps(kept, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
