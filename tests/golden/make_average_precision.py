"""Writes average_precision.npz: COCO's own evaluation of random finds, or compares it with ours.

pip install pycocotools==2.0.11 && python tests/golden/make_average_precision.py
… && PYTHONPATH=. python tests/golden/make_average_precision.py --cases=1000

The second writes nothing: it compares `jaxdl.metrics.detection` with pycocotools in so many cases,
and says how far apart the twelve figures, precision and recall are at most.
"""

import argparse
import contextlib
import io
from importlib.metadata import version
from pathlib import Path

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

# Cases in the file, of which the first have their whole curves there.
CASES, WHOLE = 30, 6

FOUND = ("image", "boxes", "scores", "classes")
TRUTH = ("image", "boxes", "classes", "crowd", "ignored", "areas")


def case(seed):
    """A random case: (finds, objects, number of classes), both dicts of arrays in one row."""
    rng = np.random.default_rng((7, seed))
    images, classes = rng.integers(1, 7), rng.integers(1, 5)
    exact = rng.random() < 0.6  # quarters of pixels: overlaps are equal to each other, and to .5
    step = 2.0 ** rng.integers(-2, 4)
    rounded = (lambda x: np.round(x / step) * step) if exact else (lambda x: x)
    there = rng.choice([1, 3, 8, 20]) if seed % 10 else 0

    def boxes(n):
        size = rounded(np.exp(rng.uniform(np.log(6), np.log(260), (n, 2)))) + step
        return np.concatenate([rounded(rng.uniform(0, 200, (n, 2))), size], 1)

    n = rng.poisson(there * 0.7, images).sum()
    true = dict(
        image=np.sort(rng.integers(0, images, n)),
        boxes=boxes(n),
        classes=rng.integers(0, max(1, classes - (seed % 3 == 0)), n),
        crowd=rng.random(n) < rng.choice([0, 0.2]),
        ignored=rng.random(n) < rng.choice([0, 0.2]),
    )
    if n and seed % 4 == 0:  # some twice
        twice = rng.integers(0, n, n // 3)
        true["boxes"][rng.integers(0, n, n // 3)] = true["boxes"][twice]
    area = true["boxes"][:, 2] * true["boxes"][:, 3]
    given = rng.choice([32.0**2, 96.0**2, 1e10, 0.0, 500.0, 5000.0], n)
    true["areas"] = np.where(rng.random(n) < 0.5, area, given) if seed % 5 == 1 else area

    near = np.repeat(np.arange(n), rng.integers(0, 5, n))
    moved = rng.normal(size=(len(near), 4)) * rng.choice([0.02, 0.1, 0.3])
    around = true["boxes"][near] + moved * true["boxes"][near][:, [2, 3, 2, 3]]
    around[:, 2:] = np.maximum(rounded(around[:, 2:]), step)
    around[:, :2] = rounded(around[:, :2])
    other = rng.integers(0, classes, len(near))
    many = 150 * images * (seed % 7 == 2)  # more than are looked at
    blind = rng.integers(0, rng.choice([1, 20])) + many
    d = len(near) + blind
    found = dict(
        image=np.concatenate([true["image"][near], rng.integers(0, images, blind)]),
        boxes=np.concatenate([around, boxes(blind)]),
        scores=np.round(rng.random(d), rng.choice([1, 2, 8])),
        classes=np.concatenate(
            [
                np.where(rng.random(len(near)) < 0.8, true["classes"][near], other),
                rng.integers(0, classes, blind),
            ]
        ),
    )
    if seed % 11 == 5:
        found = {name: x[:0] for name, x in found.items()}
    mixed = rng.permutation(len(found["scores"]))
    return {name: x[mixed] for name, x in found.items()}, true, int(images), int(classes)


class Ignoring(COCOeval):
    """With what is to be ignored beside crowds, which pycocotools reads from nowhere."""

    def _prepare(self):
        super()._prepare()
        for objects in self._gts.values():
            for each in objects:
                each["ignore"] = each["iscrowd"] or each["ignored"]


def dataset(rows, images, classes):
    """Of rows {key: array}, ids from 1 on: an id of 0 is never found."""
    made = COCO()
    count = len(rows["image"])
    names = dict(image="image_id", boxes="bbox", classes="category_id", crowd="iscrowd",
                 scores="score", areas="area")  # fmt: skip
    listed = {names.get(k, k): np.asarray(x).tolist() for k, x in rows.items()}
    listed["id"] = list(range(1, count + 1))
    made.dataset = dict(
        images=[dict(id=i) for i in range(images)],
        categories=[dict(id=i) for i in range(classes)],
        annotations=[{k: x[i] for k, x in listed.items()} for i in range(count)],
    )
    with contextlib.redirect_stdout(io.StringIO()):
        made.createIndex()
    return made


def evaluator(found, true, images, classes):
    """pycocotools', ready to be run."""
    found = found | dict(areas=found["boxes"][:, 2] * found["boxes"][:, 3],
                         crowd=np.zeros(len(found["image"]), int))  # fmt: skip
    true = true | dict(crowd=true["crowd"].astype(int))
    with contextlib.redirect_stdout(io.StringIO()):
        return Ignoring(
            dataset(true, images, classes), dataset(found, images, classes), iouType="bbox"
        )


def theirs(made):
    """(twelve figures, precision (T, R, K, A, M), recall (T, K, A, M)), NaN for their -1."""
    with contextlib.redirect_stdout(io.StringIO()):
        made.evaluate()
        made.accumulate()
        made.summarize()
    nan = lambda x: np.where(np.asarray(x) == -1, np.nan, x)
    return nan(made.stats), nan(made.eval["precision"]), nan(made.eval["recall"])


def edges(rows):
    """With x0, y0, x1, y1 in place of x, y, width, height."""
    low, size = rows["boxes"][:, :2], rows["boxes"][:, 2:]
    return rows | dict(boxes=np.concatenate([low, low + size], 1))


def apart(a, b):
    """The largest difference; infinite where one is NaN alone."""
    if (np.isnan(a) != np.isnan(b)).any():
        return np.inf
    return float(np.nanmax(np.abs(a - b), initial=0))


def compare(count):
    """Says how far apart we are."""
    from jaxdl.metrics import detection
    from jaxdl.metrics.matching import Found, Truth

    most = np.zeros(3)
    for seed in range(count):
        found, true, images, classes = case(seed)
        expected = theirs(evaluator(found, true, images, classes))
        made = detection.curves(Found(**edges(found)), Truth(**edges(true)), classes)
        figures = np.array(list(detection.summary(made).values()))
        own = [apart(*two) for two in zip(expected, (figures, *made), strict=True)]
        if max(own) > 1e-9:
            print(f"case {seed}: {own}")
        most = np.maximum(most, own)
    print(f"{count} cases, pycocotools {version('pycocotools')}: the largest differences")
    for name, value in zip(("twelve figures", "precision", "recall"), most, strict=True):
        print(f"  {name} {value:.2g}")


def main():
    """Writes, or compares."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--cases", type=int, default=0, help="to compare; 0 writes the file")
    if count := parser.parse_args().cases:
        return compare(count)
    kept = {f"found/{name}": [] for name in FOUND} | {f"true/{name}": [] for name in TRUTH}
    counts, summaries, whole = [], [], {}
    for seed in range(CASES):
        found, true, images, classes = case(seed)
        stats, precision, recall = theirs(evaluator(found, true, images, classes))
        counts.append((len(found["image"]), len(true["image"]), classes))
        summaries.append(stats)
        if seed < WHOLE:
            whole |= {f"precision/{seed}": precision, f"recall/{seed}": recall}
        for part, rows in (("found", edges(found)), ("true", edges(true))):
            for name, x in rows.items():
                kept[f"{part}/{name}"].append(x)
    np.savez_compressed(
        Path(__file__).parent / "average_precision.npz",
        **{name: np.concatenate(x) for name, x in kept.items()},
        **whole,
        counts=np.array(counts),
        summary=np.array(summaries),
        versions=np.array([f"pycocotools {version('pycocotools')}"]),
    )


if __name__ == "__main__":
    main()
