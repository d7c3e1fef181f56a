"""Squares of two real photographs that come with scikit-learn, by where they were cut out.

To learn textures by: which part of which photograph a square is of, whatever its place in it.
"""

import itertools
from collections.abc import Mapping

import numpy as np

from jaxdl.data import Source, fingerprint, photographs, register
from jaxdl.data.split import Batch
from jaxdl.errors import UserError

# What 0 pixels a side stand for, and 0 rows and columns of parts where squares leave room.
_SIDE, _ROWS, _COLUMNS = 32, 3, 4


class Tiles:
    """Squares of pictures, cut out when they are asked for.

    Args:
      pictures: {name: (h, w, c) uint8}.
      places: (n, 3) of a square: its picture by number, row and column of its corner.
      labels: (n,) int32.
      side: pixels a side.
    """

    def __init__(
        self, pictures: Mapping[str, np.ndarray], places: np.ndarray, labels: np.ndarray, side: int
    ):
        self._pictures, self._places, self.labels, self._side = pictures, places, labels, side
        window = lambda x: np.lib.stride_tricks.sliding_window_view(x, (side, side), axis=(0, 1))
        self._windows = [window(picture) for picture in pictures.values()]

    def __len__(self) -> int:
        """Number of squares."""
        return len(self._places)

    def take(self, indices: np.ndarray) -> Batch:
        """``image`` (n, side, side, c) uint8 and ``label`` (n,) int32."""
        cut = [self._windows[i][y, x] for i, y, x in self._places[indices]]
        return {"image": np.stack(cut).transpose(0, 2, 3, 1), "label": self.labels[indices]}

    def subset(self, indices: np.ndarray) -> "Tiles":
        """Of only these."""
        return Tiles(self._pictures, self._places[indices], self.labels[indices], self._side)

    def fingerprint(self) -> str:
        """Of every pixel and place."""
        more = {"places": self._places, "labels": self.labels, "side": np.array(self._side)}
        return fingerprint.digest({**self._pictures, **more})


@register("photograph_tiles")
def photograph_tiles(
    image_size: int = 0, channels: int = 3, rows: int = 0, columns: int = 0, stride: int = 8
) -> Source:
    """Squares of "china" and "flower", 640 x 427 pixels both, and which part each was cut out of.

    A photograph is divided into ``rows`` x ``columns`` parts, each of which is a class. What is
    measured on are squares at the right edge of each part, half a square apart, and what is learned
    from those that lie to the left of these: they have no pixel in common.

    Args:
      image_size: pixels a side of a square; 0 is 32.
      channels: 3 for colour, 1 for grey.
      rows: of parts, from top to bottom; 0 is 3, or as many as squares leave room for.
      columns: of parts, from left to right; 0 is 4, or as many.
      stride: pixels from one square that is learned from to the next, in both directions.

    Raises:
      UserError: a part is smaller than two squares side by side, or a setting cannot be.
    """
    side = image_size or _SIDE
    for name, value, least in (("rows", rows, 0), ("columns", columns, 0), ("stride", stride, 1)):
        if value < least:
            raise UserError(f"data.{name}={value} must be at least {least}")
    if channels not in (1, 3):
        raise UserError(f"data.channels={channels} must be 1 (grey) or 3 (colour)")
    pictures = {name: photographs.read(name, channels) for name in photographs.FILES}
    height, width = min(picture.shape[:2] for picture in pictures.values())
    rows = rows or min(_ROWS, height // side) or 1
    columns = columns or min(_COLUMNS, width // (2 * side)) or 1
    height, width = height // rows, width // columns
    if side > height or 2 * side > width:
        raise UserError(
            f"data.image_size={image_size}: parts of {width} x {height} pixels (data.columns and "
            f"data.rows) must be two squares wide and one high: {min(height, width // 2)} at most"
        )
    down = np.arange(0, height - side + 1)
    learned = np.meshgrid(down[::stride], np.arange(0, width - 2 * side + 1, stride), indexing="ij")
    measured = np.meshgrid(down[:: max(1, side // 2)], [width - side], indexing="ij")
    parts = list(itertools.product(range(len(pictures)), range(rows), range(columns)))

    def split(inside: list[np.ndarray]) -> Tiles:
        inside = np.stack([x.ravel() for x in inside], axis=1)
        corners = [(i, y * height, x * width) for i, y, x in parts]
        places = [np.insert(inside + corner[1:], 0, corner[0], axis=1) for corner in corners]
        labels = np.repeat(np.arange(len(parts), dtype=np.int32), len(inside))
        return Tiles(pictures, np.concatenate(places), labels, side)

    names = tuple(f"{[*pictures][i]} {y + 1}.{x + 1}" for i, y, x in parts)
    return Source(split(learned), split(measured), names)
