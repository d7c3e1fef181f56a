"""Anchors: boxes of a few sizes and shapes around every cell of every map, known before training.

Made by NumPy from shapes alone: they are constants of a program.
"""

from collections.abc import Sequence

import numpy as np


def cell_anchors(sizes: Sequence[float], ratios: Sequence[float]) -> np.ndarray:
    """(ratios · sizes, 4) float32 around 0, rounded to whole pixels; by ratio, then by size.

    Args:
      sizes: square roots of areas, in pixels.
      ratios: heights over widths.
    """
    tall = np.sqrt(np.asarray(ratios, np.float32))[:, None]
    size = np.asarray(sizes, np.float32)[None]
    w, h = ((1 / tall) * size).reshape(-1), (tall * size).reshape(-1)
    return np.round(np.stack([-w, -h, w, h], axis=1) / 2).astype(np.float32)


def anchors(
    image: tuple[int, int],
    maps: Sequence[tuple[int, int]],
    sizes: Sequence[Sequence[float]],
    ratios: Sequence[Sequence[float]],
) -> list[np.ndarray]:
    """Of each map (h · w · anchors of a cell, 4) float32, in pixels of the image; by row, column.

    As torchvision has them: the first cell's are around the image's corner, and the next ones
    ``image // map`` pixels further, so 61 and not 64 where 13 cells see 800 pixels.

    Args:
      image: (height, width), with padding.
      maps: (height, width) of each.
      sizes: of each map, as `cell_anchors` takes them.
      ratios: as sizes.

    Raises:
      ValueError: there are not as many sizes or ratios as maps.
    """
    found = []
    for (h, w), size, ratio in zip(maps, sizes, ratios, strict=True):
        y, x = np.arange(h) * (image[0] // h), np.arange(w) * (image[1] // w)
        y, x = (place.astype(np.float32) for place in np.meshgrid(y, x, indexing="ij"))
        corner = np.stack([x, y, x, y], axis=-1).reshape(-1, 1, 4)
        found.append((corner + cell_anchors(size, ratio)).reshape(-1, 4))
    return found
