"""Pictures, and the same made smaller: what super-resolution is to undo, and its examples."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, lru_cache
from typing import NamedTuple

import numpy as np
from etils import epath

from jaxdl.data import fingerprint, letterbox, pictures
from jaxdl.data.pictures import MODES
from jaxdl.data.split import Batch
from jaxdl.errors import UserError

# The factors that networks are published for.
SCALES = (2, 3, 4)


class Pair(NamedTuple):
    """A picture twice.

    Attributes:
      small: (h, w, c) uint8.
      large: (h * scale, w * scale, c) uint8, which it was made of.
    """

    small: np.ndarray
    large: np.ndarray


def pair(picture: np.ndarray, scale: int) -> Pair:
    """A picture (h, w, c) uint8, and what Pillow's bicubic filter makes of it at 1 / scale.

    Rows and columns at the right and lower edge that would be no whole pixel of the small picture
    are cut off, as papers do it.
    """
    height, width = (side // scale for side in picture.shape[:2])
    large = np.ascontiguousarray(picture[: height * scale, : width * scale])
    return Pair(pictures.resized(large, height, width), large)


def enlarged(picture: np.ndarray, scale: int) -> np.ndarray:
    """What Pillow's bicubic filter makes of (h, w, c) uint8: (h * scale, w * scale, c) uint8."""
    height, width = (side * scale for side in picture.shape[:2])
    return pictures.resized(picture, height, width)


class Files(Sequence):
    """Pairs of pictures in files, decoded when they are asked for.

    Args:
      files: of pictures.
      scale: of the pairs.
      channels: 1 for grey, 3 for colour.
    """

    def __init__(self, files: Sequence[epath.Path], scale: int, channels: int):
        self.files, self.scale, self.channels = list(files), scale, channels
        # Batches are of many pictures, but what is looked at in a row is of the same.
        self._read = lru_cache(maxsize=8)(self._decoded)

    def __len__(self) -> int:
        """Number of files."""
        return len(self.files)

    def __getitem__(self, index: int) -> Pair:
        """The pair of a file; UserError if it cannot be read."""
        return self._read(int(index))

    @cached_property
    def sizes(self) -> list[tuple[int, int]]:
        """Height and width of the large pictures, by the files' headers."""
        with ThreadPoolExecutor(8) as threads:
            found = list(threads.map(letterbox.upright_size, self.files))
        return [(height, width) for width, height in found]

    @property
    def labels(self) -> np.ndarray:
        """(n,) 0: what is divided is divided by no class."""
        return np.zeros(len(self), np.int32)

    def subset(self, indices: np.ndarray) -> "Files":
        """Of only these."""
        return Files([self.files[i] for i in indices], self.scale, self.channels)

    def _decoded(self, index: int) -> Pair:
        file = self.files[index]
        with pictures.opened(file) as found:
            picture = np.asarray(pictures.decoded(found, file, self.channels))
        return pair(picture.reshape(*picture.shape[:2], self.channels), self.scale)


class Patches:
    """Squares of small pictures, each with the larger square that it stands for: the examples.

    Args:
      pairs: of pictures, a list or `Files`.
      names: one a picture, for messages.
      sizes: (height, width) of each small picture.
      side: pixels a side of a square of the small picture.
      stride: pixels from one square to the next, in both directions; the last reach to the edges.

    Raises:
      UserError: a picture is smaller than a square.
    """

    def __init__(
        self,
        pairs: Sequence[Pair],
        names: Sequence[str],
        sizes: Sequence[tuple[int, int]],
        side: int,
        stride: int,
    ):
        self.pictures, self.names, self._side = pairs, list(names), side
        places = []
        for i, (name, size) in enumerate(zip(names, sizes, strict=True)):
            if min(size) < side:
                raise UserError(
                    f"{name} has {size[1]} x {size[0]} pixels when it is made smaller, and patches "
                    f"{side} x {side}: leave it out, or set data.patch to {min(size)} or less"
                )
            rows, columns = (_starts(pixels, side, stride) for pixels in size)
            at = np.stack(np.meshgrid(rows, columns, indexing="ij"), axis=-1).reshape(-1, 2)
            places.append(np.insert(at, 0, i, axis=1))
        self._places = np.concatenate(places)

    def __len__(self) -> int:
        """Number of squares."""
        return len(self._places)

    def take(self, indices: np.ndarray) -> Batch:
        """``image`` (n, side, side, c) uint8 and ``target`` (n, side * scale, side * scale, c)."""
        places, side = self._places[indices], self._side
        small, large = [None] * len(places), [None] * len(places)
        for number in np.unique(places[:, 0]):
            found = self.pictures[number]
            scale = found.large.shape[0] // found.small.shape[0]
            for i in np.flatnonzero(places[:, 0] == number):
                y, x = places[i, 1:]
                small[i] = found.small[y : y + side, x : x + side]
                y, x, wide = y * scale, x * scale, side * scale
                large[i] = found.large[y : y + wide, x : x + wide]
        return {"image": np.stack(small), "target": np.stack(large)}

    def fingerprint(self) -> str:
        """Of all places and names, and of every pixel in memory, or else up to 64 squares."""
        if isinstance(self.pictures, Files):
            seen = fingerprint.looked_at(self)
        else:
            seen = {str(i): found.large for i, found in enumerate(self.pictures)}
        names = [name.split("/")[-1] for name in self.names]
        return fingerprint.digest({**seen, "places": self._places, "names": names})


def _starts(size: int, side: int, stride: int) -> np.ndarray:
    last = size - side
    return np.unique([*range(0, last + 1, stride), last])


def check(scale: int, channels: int, patch: int, stride: int) -> None:
    """Raises UserError for the first of a data set's settings that cannot be."""
    if scale not in SCALES:
        raise UserError(f"data.scale={scale} must be {', '.join(map(str, SCALES[:-1]))} or 4")
    if channels not in MODES:
        raise UserError(f"data.channels={channels} must be 1 (grey) or 3 (colour)")
    if patch < 1:
        raise UserError(f"data.patch={patch} must be at least 1")
    if stride < 0:
        raise UserError(f"data.stride={stride} must be at least 1, or 0 for as much as data.patch")
