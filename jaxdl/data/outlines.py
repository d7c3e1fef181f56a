"""Outlines of things: polygons and run lengths, as COCO has them, to masks.

To the pixel what pycocotools (version 2) makes of them; its maskApi.c defines the format: runs go
down the columns, zeros first, and a polygon's edge is drawn at five times the resolution.
"""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

# Times that a polygon's points are spread before they are rounded.
_SCALE = 5

# Pixels of a mask: what is larger is no picture. Pictures that a polygon may lie away from its own:
# all of its edge is gone along.
_MOST, _FAR = 2**28, 10


def mask(outline: Any, height: int, width: int) -> np.ndarray:
    """(height, width) bool of a COCO ``segmentation``.

    Args:
      outline: a list of polygons, [x0, y0, x1, y1, …] each, of which the union is meant; or
        {"size": [height, width], "counts": runs}, a list or a text.
      height: of the picture.
      width: of the picture.

    Raises:
      ValueError: it is none of these, or of another size.
    """
    if isinstance(outline, Mapping):
        if list(outline.get("size", ())) != [height, width]:
            raise ValueError(
                f"its size is {outline.get('size')}, the picture's [{height}, {width}]"
            )
        return from_runs(runs(outline.get("counts")), height, width)
    if not isinstance(outline, Sequence) or isinstance(outline, str):
        raise ValueError("it is neither a list of polygons nor run lengths")
    found = np.zeros((height, width), bool)
    for polygon in outline:
        found |= from_polygon(polygon, height, width)
    return found


def ends(outline: Any) -> tuple[float, float, float, float]:
    """The box around an outline: of polygons their points', of run lengths their pixels'.

    Raises:
      ValueError: it is neither, or empty.
    """
    if isinstance(outline, Mapping):
        found = mask(outline, *_size(outline))
        rows, columns = np.flatnonzero(found.any(1)), np.flatnonzero(found.any(0))
        if not len(rows):
            raise ValueError("it is empty")
        return (*map(float, (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)),)
    if not isinstance(outline, Sequence) or isinstance(outline, str) or not outline:
        raise ValueError("it is neither a list of polygons nor run lengths")
    x, y = np.concatenate([_points(polygon) for polygon in outline]).T
    return float(x.min()), float(y.min()), float(x.max()), float(y.max())


def from_runs(counts: Sequence[int], height: int, width: int) -> np.ndarray:
    """(height, width) bool of run lengths, zeros and ones by turns, down the columns.

    Raises:
      ValueError: they are not of so many pixels.
    """
    counts = np.asarray(counts, np.int64)
    if (counts < 0).any() or counts.sum() != height * width:
        raise ValueError(f"its runs are of {counts.sum()} pixels, not {height} x {width}")
    flat = np.repeat(np.arange(len(counts)) % 2 == 1, counts)
    return flat.reshape(width, height).T


def runs(counts: Any) -> list[int]:
    """Run lengths of a list of them, or of the text that they are compressed to.

    Six bits a letter, from "0" on: five of the number, the lowest first, and whether more follow;
    from the third on each is less the one two before it.

    Raises:
      ValueError: it is neither.
    """
    if isinstance(counts, Sequence) and not isinstance(counts, str | bytes):
        if not all(type(n) is int and 0 <= n <= _MOST for n in counts):
            raise ValueError("its runs must be whole numbers of pixels")
        return list(counts)
    if isinstance(counts, bytes):
        counts = counts.decode("latin-1")
    if not isinstance(counts, str):
        raise ValueError("it has no runs (counts)")
    found, value, shift = [], 0, 0
    for letter in counts:
        bits = ord(letter) - 48
        if not 0 <= bits < 64 or shift > 30:
            raise ValueError(f"its compressed runs are broken at {letter!r}")
        value |= (bits & 0x1F) << shift
        shift += 5
        if bits & 0x20:
            continue
        if bits & 0x10:
            value -= 1 << shift
        found.append(value + found[-2] if len(found) > 2 else value)
        value, shift = 0, 0
    if shift:
        raise ValueError("its compressed runs are cut off")
    return found


def from_polygon(polygon: Any, height: int, width: int) -> np.ndarray:
    """(height, width) bool of [x0, y0, x1, y1, …], in pixels, edges.

    Raises:
      ValueError: it is no polygon.
    """
    points = _points(polygon)
    if np.abs(points).max() > _FAR * max(height, width):
        raise ValueError(f"its points lie far outside the picture of {width} x {height} pixels")
    # As C casts to whole numbers: towards 0.
    points = np.trunc(_SCALE * points + 0.5).astype(np.int64)
    u, v = _along(np.concatenate([points, points[:1]]))
    # Where the edge steps from one column of pixels into the next.
    step = np.flatnonzero(u[1:] != u[:-1]) + 1
    column = (np.where(u[step] < u[step - 1], u[step], u[step] - 1) + 0.5) / _SCALE - 0.5
    row = np.minimum(v[step], v[step - 1])
    row = np.ceil(np.clip((row + 0.5) / _SCALE - 0.5, 0, height))
    inside = (np.floor(column) == column) & (column >= 0) & (column <= width - 1)
    at = (column[inside] * height + row[inside]).astype(np.int64)
    # From each crossing on, down the columns, it is the other way round.
    crossings = np.bincount(at, minlength=height * width + 1)[: height * width]
    return (np.cumsum(crossings) % 2 == 1).reshape(width, height).T


def _along(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Every whole place along the edge through ``points`` (k, 2), which are whole themselves."""
    us, vs = [], []
    for (xs, ys), (xe, ye) in itertools.pairwise(points):
        dx, dy = abs(xe - xs), abs(ye - ys)
        flip = xs > xe if dx >= dy else ys > ye
        if flip:
            xs, xe, ys, ye = xe, xs, ye, ys
        t = np.arange(max(dx, dy) + 1)
        t = t[::-1] if flip else t
        if dx >= dy:
            slope = (ye - ys) / dx if dx else 0.0
            us.append(t + xs)
            vs.append(np.trunc(ys + slope * t + 0.5).astype(np.int64))
        else:
            us.append(np.trunc(xs + (xe - xs) / dy * t + 0.5).astype(np.int64))
            vs.append(t + ys)
    return np.concatenate(us), np.concatenate(vs)


def _points(polygon: Any) -> np.ndarray:
    """(k, 2) float64."""
    try:
        points = np.asarray(polygon, np.float64)
    except (TypeError, ValueError, OverflowError):
        raise ValueError("a polygon must be a list of numbers") from None
    if points.ndim != 1 or len(points) < 6 or len(points) % 2:
        raise ValueError("a polygon takes x and y of three points at least")
    if not np.isfinite(points).all():
        raise ValueError("a polygon has numbers that are not finite")
    return points.reshape(-1, 2)


def _size(outline: Mapping) -> tuple[int, int]:
    size = outline.get("size")
    whole = isinstance(size, Sequence) and len(size) == 2 and all(type(n) is int for n in size)
    if not whole or min(size) < 1 or size[0] * size[1] > _MOST:
        raise ValueError(f"its size must be [height, width], not {size!r}")
    return size[0], size[1]
