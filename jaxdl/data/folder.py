"""A folder of class folders of images."""

from concurrent.futures import ThreadPoolExecutor
from functools import cached_property

import numpy as np
from etils import epath

from jaxdl.data import Source, fingerprint, layout, register
from jaxdl.data.pictures import opened
from jaxdl.data.preprocess import Preprocess, image
from jaxdl.data.split import Arrays, Batch, Split
from jaxdl.errors import UserError

# Below this many bytes of pixels the whole set is decoded once, at the start.
_IN_MEMORY = 2 << 30


class Images:
    """Image files, decoded when they are asked for, a batch at a time on several threads.

    Args:
      files: paths.
      labels: (n,) int32.
      size: pixels a side of what `take` returns.
      channels: 1 for grey, 3 for colour.
    """

    def __init__(self, files: list[epath.Path], labels: np.ndarray, size: int, channels: int):
        self.files, self.labels, self.size, self.channels = files, labels, size, channels

    def __len__(self) -> int:
        """Number of files."""
        return len(self.files)

    @cached_property
    def _threads(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(8)

    def _read(self, index: int) -> np.ndarray:
        return read_image(self.files[index], self.size, self.channels)

    def take(self, indices: np.ndarray) -> Batch:
        """``image`` (n, size, size, channels) uint8 and ``label`` (n,) int32."""
        images = list(self._threads.map(self._read, indices))
        return {"image": np.stack(images), "label": self.labels[indices]}

    def fingerprint(self) -> str:
        """Of all names and labels, and of the pixels of a few."""
        names = [f"{file.parent.name}/{file.name}" for file in self.files]
        few = fingerprint.looked_at(self)
        return fingerprint.digest({**few, "names": names, "labels": self.labels})

    def subset(self, indices: np.ndarray) -> "Images":
        """Of only these files."""
        files = [self.files[i] for i in indices]
        return Images(files, self.labels[indices], self.size, self.channels)


def read_image(file: epath.Path, size: int, channels: int) -> np.ndarray:
    """One image: scaled so that its short side fits, cut to the centre, (size, size, c) uint8.

    Raises:
      UserError: the file cannot be read or decoded.
    """
    return image(file, Preprocess(size=size, resize=size), channels)


@register("folder")
def folder(path: str = "", image_size: int = 0, channels: int = 3) -> Source:
    """``path/CLASS/*.jpg`` …, or the same under ``path/train`` and ``path/val`` or ``path/test``.

    How folders may lie is told by `jaxdl.data.layout`. Classes are numbered in the order of their
    names. Images of any size are fitted to squares of image_size pixels (that of the first image's
    short side, if 0).
    """
    if channels not in (1, 3):
        raise UserError(f"data.channels={channels} must be 1 (grey) or 3 (colour)")
    root = epath.Path(path)
    if not path or not root.is_dir():
        raise UserError(f"data.path={path!r} is no folder: name one that holds a folder a class")
    found = layout.find(root)
    size = image_size or _short_side(next(iter(found.parts.values()))[0][0])
    parts: dict[str, Split] = {
        name: Images(files, np.array(labels, np.int32), size, channels)
        for name, (files, labels) in found.parts.items()
    }
    if sum(map(len, parts.values())) * size**2 * channels <= _IN_MEMORY:
        parts = {name: Arrays(p.take(np.arange(len(p)))) for name, p in parts.items()}
    return Source(**{"train": None, **parts}, class_names=found.class_names, notes=found.notes)


def _short_side(file: epath.Path) -> int:
    with opened(file) as found:
        return min(found.size)
