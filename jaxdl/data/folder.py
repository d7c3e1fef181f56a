"""A folder of class folders of images."""

from concurrent.futures import ThreadPoolExecutor
from functools import cached_property

import numpy as np
from etils import epath

from jaxdl.data import Source, register
from jaxdl.data.pictures import SUFFIXES, opened
from jaxdl.data.preprocess import Preprocess, image
from jaxdl.data.split import Arrays, Batch
from jaxdl.errors import UserError

_TEST_NAMES = ("test", "val", "valid", "validation")

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
    """``path/CLASS/*.jpg`` …, or the same under ``path/train`` and ``path/val`` (or test, valid).

    Classes are numbered in the order of their names. Images of any size are fitted to squares of
    image_size pixels (that of the first image's short side, if 0).
    """
    if channels not in (1, 3):
        raise UserError(f"data.channels={channels} must be 1 (grey) or 3 (colour)")
    root = epath.Path(path)
    if not path or not root.is_dir():
        raise UserError(f"data.path={path!r} is no folder: name one that holds a folder a class")
    train_root = root / "train" if (root / "train").is_dir() else root
    test_root = next((root / n for n in _TEST_NAMES if (root / n).is_dir()), None)
    if train_root == root:
        test_root = None
    class_names = tuple(sorted(p.name for p in train_root.iterdir() if p.is_dir()))
    if not class_names:
        raise UserError(f"{train_root} holds no class folders: each class needs a folder of images")

    def part(folder: epath.Path, size: int) -> Images:
        unknown = {p.name for p in folder.iterdir() if p.is_dir()} - set(class_names)
        if unknown:
            raise UserError(f"{folder} has a class {min(unknown)!r} that {train_root} has not")
        files, labels = [], []
        for label, name in enumerate(class_names):
            if not (folder / name).is_dir():
                continue
            of_class = sorted(p for p in (folder / name).iterdir() if p.suffix.lower() in SUFFIXES)
            if not of_class and folder == train_root:
                raise UserError(f"{folder / name} holds no images ({', '.join(SUFFIXES)})")
            files += of_class
            labels += [label] * len(of_class)
        if not files:
            raise UserError(f"{folder} holds no images ({', '.join(SUFFIXES)})")
        return Images(files, np.array(labels, np.int32), size or _short_side(files[0]), channels)

    train = part(train_root, image_size)
    test = part(test_root, train.size) if test_root else None
    parts = [p for p in (train, test) if p is not None]
    if sum(len(p) for p in parts) * train.size**2 * channels <= _IN_MEMORY:
        train, test = (p and Arrays(p.take(np.arange(len(p)))) for p in (train, test))
    return Source(train, test, class_names)


def _short_side(file: epath.Path) -> int:
    with opened(file) as found:
        return min(found.size)
