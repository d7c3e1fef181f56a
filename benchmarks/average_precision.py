"""COCO's average precision: ours against pycocotools, the same figures, sooner.

    pip install pycocotools==2.0.11
    python -m benchmarks.average_precision [--images=1000] [--classes=80] [--rounds=5]

Random scenes as crowded as COCO's: seven objects an image, a hundred finds, most of the surer ones
near an object. Seconds of processor time from what is in memory to precision and recall; of
pycocotools `evaluate` and `accumulate`, without reading and indexing; medians, by turns.
"""

import argparse
import contextlib
import io
import time
from collections.abc import Callable

import numpy as np

from benchmarks import machine
from jaxdl.metrics import detection
from jaxdl.metrics.matching import Found, Truth


def scenes(images: int, classes: int, each: int = 100) -> tuple[Found, Truth]:
    """Finds and objects, drawn once."""
    rng = np.random.default_rng(0)
    n = 7 * images
    low = rng.uniform(0, 500, (n, 2))
    boxes = np.concatenate([low, low + np.exp(rng.uniform(2, 5.5, (n, 2)))], 1)
    # Few classes have most objects, as in photographs.
    share = 1 / np.arange(1, classes + 1)
    labels = rng.choice(classes, n, p=share / share.sum())
    truth = Truth(np.sort(rng.integers(0, images, n)), boxes, labels, rng.random(n) < 0.01)
    near = np.repeat(np.arange(n), 3)
    size = (boxes[near, 2:] - boxes[near, :2])[:, [0, 1, 0, 1]]
    around = boxes[near] + 0.1 * rng.normal(size=(len(near), 4)) * size
    blind = each * images - len(near)
    low = rng.uniform(0, 500, (blind, 2))
    anywhere = np.concatenate([low, low + np.exp(rng.uniform(2, 5.5, (blind, 2)))], 1)
    right = rng.random(len(near)) < 0.8
    found = Found(
        np.concatenate([truth.image[near], rng.integers(0, images, blind)]),
        np.concatenate([around, anywhere]),
        np.concatenate([rng.beta(2, 1, len(near)), rng.beta(1, 6, blind)]),
        np.concatenate(
            [
                np.where(right, labels[near], rng.integers(0, classes, len(near))),
                rng.choice(classes, blind, p=share / share.sum()),
            ]
        ),
    )
    ordered = (around[:, :2] <= around[:, 2:]).all(axis=1)
    return found.of(np.concatenate([ordered, np.ones(blind, bool)])), truth


def pycocotools(found: Found, truth: Truth, images: int, classes: int) -> Callable[[], np.ndarray]:
    """What evaluates and gives precision (T, R, K, A, M)."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    def loaded(rows: Found | Truth, crowd: np.ndarray, scores: np.ndarray | None) -> COCO:
        made = COCO()
        low, size = rows.boxes[:, :2], rows.boxes[:, 2:] - rows.boxes[:, :2]
        listed = {
            "image_id": rows.image,
            "category_id": rows.classes,
            "bbox": np.concatenate([low, size], 1),
            "area": size.prod(axis=1),
            "iscrowd": crowd.astype(int),
            **({} if scores is None else {"score": scores}),
        }
        listed = {name: x.tolist() for name, x in listed.items()}
        made.dataset = dict(
            images=[dict(id=i) for i in range(images)],
            categories=[dict(id=i) for i in range(classes)],
            annotations=[
                dict(id=i + 1, **dict(zip(listed, values, strict=True)))
                for i, values in enumerate(zip(*listed.values(), strict=True))
            ],
        )
        made.createIndex()
        return made

    with contextlib.redirect_stdout(io.StringIO()):
        none = np.zeros(len(found.image), bool)
        made = COCOeval(
            loaded(truth, truth.crowds, None), loaded(found, none, found.scores), "bbox"
        )

    def run() -> np.ndarray:
        with contextlib.redirect_stdout(io.StringIO()):
            made.evaluate()
            made.accumulate()
        return made.eval["precision"]

    return run


def main() -> None:
    """Prints what was measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--classes", type=int, default=80)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    found, truth = scenes(options.images, options.classes)
    sides = {
        "ours": lambda: detection.curves(found, truth, options.classes).precision,
        "pycocotools": pycocotools(found, truth, options.images, options.classes),
    }
    seconds, made = {name: [] for name in sides}, {}
    for _ in range(options.rounds):
        for name, run in sides.items():
            began = time.process_time()
            made[name] = run()
            seconds[name].append(time.process_time() - began)
    apart = np.abs(np.nan_to_num(made["ours"], nan=-1) - made["pycocotools"]).max()
    print(f"{machine.model()}; {len(found.image)} finds, {len(truth.image)} objects")
    for name, each in seconds.items():
        print(f"{name:12} {np.median(each):8.3f} s  ({min(each):.3f} to {max(each):.3f})")
    ratios = np.divide(seconds["pycocotools"], seconds["ours"])
    print(f"ratio {np.median(ratios):.1f} ({ratios.min():.1f} to {ratios.max():.1f})")
    print(f"largest difference of precision {apart:.1g}")


if __name__ == "__main__":
    main()
