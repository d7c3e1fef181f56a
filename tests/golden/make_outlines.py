"""What pycocotools makes of polygons and run lengths, for tests/test_detection_files.py.

    pip install pycocotools==2.0.11 && python tests/golden/make_outlines.py

outlines.npz keeps drawn outlines, as JSON, and the bits of their masks.
"""

import json
from pathlib import Path

import numpy as np
from pycocotools import mask as coco

HEIGHT, WIDTH = 29, 41


def polygon(rng: np.random.Generator, kind: int) -> list[float]:
    """Corners within the picture, across its edges, or on half pixels; edges may cross."""
    points = int(rng.integers(3, 12))
    low, high = ((0, 1), (-0.4, 1.4), (0, 1), (0.2, 0.5))[kind % 4]
    at = rng.uniform(low, high, (points, 2)) * [WIDTH, HEIGHT]
    if kind % 3 == 0:  # around a centre, as a thing's outline goes
        turn = np.sort(rng.uniform(0, 2 * np.pi, points))
        far = rng.uniform(2, 14, points)
        at = np.stack([np.cos(turn), np.sin(turn)], 1) * far[:, None] + [WIDTH / 2, HEIGHT / 2]
    if kind % 4 == 2:
        at = np.round(at * 2) / 2
    if kind % 5 == 0:
        at = np.concatenate([at, at[:1], at[:1]])  # closed, and a point twice
    return np.round(at, 2).ravel().tolist()


def main() -> None:
    """Writes outlines.npz."""
    rng = np.random.default_rng(0)
    outlines, masks = [], []
    for i in range(120):
        given = [polygon(rng, i + j) for j in range(1 + i % 3)]
        made = coco.merge(coco.frPyObjects(given, HEIGHT, WIDTH))
        outlines.append(given)
        masks.append(coco.decode(made))
        if i % 4 == 0:
            outlines.append({"size": made["size"], "counts": made["counts"].decode()})
            masks.append(coco.decode(made))
    for share in (0, 0.02, 0.5, 0.98, 1):
        drawn = np.asfortranarray(rng.random((HEIGHT, WIDTH)) < share, np.uint8)
        packed = coco.encode(drawn)
        flat = drawn.ravel(order="F")
        edges = np.flatnonzero(np.diff(flat, prepend=0, append=2))
        counts = np.diff(edges, prepend=0).tolist()
        again = coco.frPyObjects({"size": [HEIGHT, WIDTH], "counts": counts}, HEIGHT, WIDTH)
        for counts_as in (packed["counts"].decode(), counts):
            outlines.append({"size": [HEIGHT, WIDTH], "counts": counts_as})
            masks.append(coco.decode(again if counts_as is counts else packed))
    bits = np.packbits(np.stack(masks).astype(bool), axis=None)
    file = Path(__file__).parent / "outlines.npz"
    np.savez_compressed(
        file, outlines=np.array(json.dumps(outlines)), masks=bits, shape=np.stack(masks).shape
    )


if __name__ == "__main__":
    main()
