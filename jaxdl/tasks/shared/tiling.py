"""Pictures of any size through a network that sees a part of them at a time, without seams."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from jaxdl.data import Arrays
from jaxdl.tasks.shared.splits import EachFn, over_split

# What beginnings and margins are multiples of. Winograd's convolution (`jaxdl.ops.winograd`) makes
# 4 x 4 pixels together: these are then the same as in the whole picture.
_STEP = 4


class Span(NamedTuple):
    """Part of a picture's rows, or columns.

    Attributes:
      start: the first that is seen.
      stop: behind the last.
      first: the first that is kept.
      last: behind the last of these.
    """

    start: int
    stop: int
    first: int
    last: int


def spans(size: int, side: int, margin: int) -> list[Span]:
    """Parts that overlap, and what is kept of them, which is every row once.

    Args:
      size: rows.
      side: that a part keeps where it has neighbours before and behind; rounded up to a multiple
        of 4.
      margin: rows, to each side of what is kept, that it depends on; rounded up likewise.
    """
    side, margin = (-(-pixels // _STEP) * _STEP for pixels in (side, margin))
    found, start, first = [], 0, 0
    while start + side + 2 * margin < size:
        stop = start + side + 2 * margin
        found.append(Span(start, stop, first, stop - margin))
        first = stop - margin
        start += side
    return [*found, Span(start, size, first, size)]


def by_tiles(
    fn: EachFn, state: Any, picture: np.ndarray, scale: int, side: int, margin: int
) -> np.ndarray:
    """What ``fn`` makes of a picture, a tile at a time.

    A tile's edge lies at the picture's own, or as far from what is kept as that depends on: what
    comes out is what comes of the whole picture at once, on a CPU to the bit where convolutions are
    of fewer than 16 channels, and otherwise within their rounding (1e-6). Tiles have up to four
    shapes, each of which is compiled for: those of a picture's last rows and columns are smaller.

    Args:
      fn: (state, {"image": (batch, h, w, c)}, key) -> (batch, h * scale, w * scale, c'), jitted.
      state: for ``fn``, on whose devices the tiles are put.
      picture: (h, w, c).
      scale: how many pixels a side become of one.
      side: as of `spans`; so is margin.
      margin: that a pixel depends on.

    Returns:
      (h * scale, w * scale, c'), on the host.
    """
    tiles = list(_tiles(picture.shape, side, margin))
    shapes = {}
    for tile in tiles:
        shapes.setdefault(tuple(span.stop - span.start for span in tile), []).append(tile)
    made = None
    for same in shapes.values():
        cut = np.stack([picture[y.start : y.stop, x.start : x.stop] for y, x in same])
        found = over_split(fn, Arrays({"image": cut}), 1, state)
        if made is None:
            height, width = (pixels * scale for pixels in picture.shape[:2])
            made = np.empty((height, width, found.shape[-1]), found.dtype)
        for (y, x), one in zip(same, found, strict=True):
            rows, columns = (slice(s.first * scale, s.last * scale) for s in (y, x))
            own = (slice((s.first - s.start) * scale, (s.last - s.start) * scale) for s in (y, x))
            made[rows, columns] = one[tuple(own)]
    return made


def _tiles(shape: tuple[int, ...], side: int, margin: int) -> Iterator[tuple[Span, Span]]:
    for y in spans(shape[0], side, margin):
        for x in spans(shape[1], side, margin):
            yield y, x
