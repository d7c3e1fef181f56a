"""Pictures of any shape as squares of one size, and where what is seen in them is then.

Letterboxed, a picture keeps its shape in the middle of grey margins; stretched, it fills the
square. Boxes and masks follow.
"""

from typing import NamedTuple

import numpy as np
from etils import epath

from jaxdl.data import pictures
from jaxdl.errors import UserError

FITS = ("letterbox", "stretch")

# The level of margins, of 255, as of Ultralytics' YOLO.
GREY = 114


class Fit(NamedTuple):
    """Where a picture is in its square.

    Attributes:
      size: pixels a side of the square.
      of: the picture's own width and height.
      to: those in the square.
      start: its left and upper edge there.
    """

    size: int
    of: tuple[int, int]
    to: tuple[int, int]
    start: tuple[int, int]

    def boxes(self, boxes: np.ndarray) -> np.ndarray:
        """Boxes (…, 4) of x0, y0, x1, y1 in the picture's pixels -> in the square's."""
        scale = np.tile(np.divide(self.to, self.of), 2)
        return np.asarray(boxes, np.float64) * scale + np.tile(self.start, 2)

    def back(self, boxes: np.ndarray) -> np.ndarray:
        """Boxes (…, 4) in the square's pixels -> in the picture's, the part that is inside it."""
        scale = np.tile(np.divide(self.to, self.of), 2)
        found = (np.asarray(boxes, np.float64) - np.tile(self.start, 2)) / scale
        return np.clip(found, 0, np.tile(self.of, 2))

    def mask(self, mask: np.ndarray, outside: int = 0) -> np.ndarray:
        """(height, width) integers -> (size, size), each the nearest of the picture's."""
        made = np.full((self.size, self.size), outside, mask.dtype)
        columns, rows = (
            ((np.arange(to) + 0.5) * of / to).astype(np.int64)
            for of, to in zip(self.of, self.to, strict=True)
        )
        made[self._place] = mask[rows[:, None], columns]
        return made

    def mask_back(self, mask: np.ndarray) -> np.ndarray:
        """(size, size) of the square -> (height, width) of the picture, each pixel the nearest."""
        inside = mask[self._place]
        columns, rows = (
            ((np.arange(of) + 0.5) * to / of).astype(np.int64)
            for of, to in zip(self.of, self.to, strict=True)
        )
        return inside[rows[:, None], columns]

    def picture(self, file: epath.Path, channels: int) -> np.ndarray:
        """The picture in a file, (size, size, channels) uint8, bilinear, antialiased.

        Raises:
          UserError: it cannot be read.
        """
        from PIL import Image

        with pictures.opened(file) as found:
            found = pictures.decoded(found, file, channels)
            found = found.resize(self.to, Image.Resampling.BILINEAR)
        made = np.full((self.size, self.size, channels), GREY, np.uint8)
        made[self._place] = np.asarray(found).reshape(*self.to[::-1], channels)
        return made

    @property
    def _place(self) -> tuple[slice, slice]:
        (left, top), (width, height) = self.start, self.to
        return slice(top, top + height), slice(left, left + width)


def fitted(width: int, height: int, size: int, how: str) -> Fit:
    """How a picture of ``width`` and ``height`` goes into a square of ``size``: one of `FITS`."""
    if how == "stretch":
        return Fit(size, (width, height), (size, size), (0, 0))
    longer = max(width, height)
    to = tuple(max(1, round(side * size / longer)) for side in (width, height))
    return Fit(size, (width, height), to, tuple((size - side) // 2 for side in to))


def upright_size(file: epath.Path) -> tuple[int, int]:
    """Width and height of the picture in a file, held upright, without decoding it.

    Raises:
      UserError: it cannot be read.
    """
    with pictures.opened(file) as found:
        width, height = found.size
        try:
            turned = found.getexif().get(0x0112) in (5, 6, 7, 8)
        except Exception:  # a broken note beside a sound picture
            turned = False
    return (height, width) if turned else (width, height)


def check(channels: int, fit: str) -> None:
    """Raises UserError if these settings of a data set cannot be."""
    if channels not in (1, 3):
        raise UserError(f"data.channels={channels} must be 1 (grey) or 3 (colour)")
    if fit not in FITS:
        raise UserError(f"data.fit={fit!r} must be {' or '.join(FITS)}")
