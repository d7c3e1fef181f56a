"""Pictures in pairs, in files: side by side in one, or in two folders under the same name."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from etils import epath

from jaxdl.data import Data, files, parts, pictures, register, statistics
from jaxdl.data.annotated import IN_MEMORY
from jaxdl.data.decoded import Decoded
from jaxdl.data.layout import parts_or_whole
from jaxdl.data.pictures import MODES
from jaxdl.data.split import Arrays, Batch
from jaxdl.errors import UserError
from jaxdl.registry import choose

if TYPE_CHECKING:  # it is imported by those who read files
    from PIL import Image

SIDES = dict.fromkeys(("left", "right"))

# How parts are called in the authors' folders: trainA and trainB, or train, with both in one file.
_PARTS = {"train": "train", "test": "test", "val": "validation"}

# One file for both, or one each.
Files = tuple[epath.Path, ...]


class Paired(Decoded):
    """Pairs of pictures, decoded when they are asked for, on several threads.

    Args:
      pairs: of each pair the file that has both side by side, or the left one's and the other's.
      size: pixels a side that each picture is brought to, by Pillow's bicubic filter.
      channels: 1 for grey, 3 for colour.
      made: which of them is to be made of the other, "left" or "right".
    """

    def __init__(self, pairs: Sequence[Files], size: int, channels: int, made: str):
        super().__init__(pairs)
        self.size, self.channels, self.made = size, channels, made

    def _read(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        pair = self.examples[index]
        if len(pair) == 2:
            left, right = (read(file, self.size, self.channels) for file in pair)
        else:
            left, right = _halves(pair[0], self.size, self.channels)
        return (right, left) if self.made == "left" else (left, right)

    def take(self, indices: np.ndarray) -> Batch:
        """``image`` and ``target`` (n, size, size, channels) uint8."""
        both = zip(*self._threads.map(self._read, indices), strict=True)
        return dict(zip(("image", "target"), map(np.stack, both), strict=True))

    def subset(self, indices: np.ndarray) -> "Paired":
        """Of only these."""
        return Paired([self.examples[i] for i in indices], self.size, self.channels, self.made)


def read(file: epath.Path, size: int, channels: int) -> np.ndarray:
    """A picture in a file, upright, (size, size, channels) uint8; UserError if it is broken."""
    with pictures.opened(file) as found:
        return _brought(pictures.decoded(found, file, channels), size, channels)


def _halves(file: epath.Path, size: int, channels: int) -> tuple[np.ndarray, np.ndarray]:
    with pictures.opened(file) as found:
        image = pictures.decoded(found, file, channels)
    width, height = image.size
    if width % 2:
        raise UserError(
            f"{file} is {width} x {height} pixels: two pictures side by side have an even width"
        )
    half = width // 2
    parts = ((0, 0, half, height), (half, 0, width, height))
    return tuple(_brought(image.crop(box), size, channels) for box in parts)


def _brought(image: "Image.Image", size: int, channels: int) -> np.ndarray:
    from PIL import Image

    if image.size != (size, size):
        image = image.resize((size, size), Image.Resampling.BICUBIC)
    return np.asarray(image).reshape(size, size, channels)


@register("picture_pairs")
def picture_pairs(
    path: str = "",
    made: str = "right",
    image_size: int = 256,
    channels: int = 3,
    split: str = "random",
    test_fraction: float = 0.2,
    split_seed: int = 0,
    eval_on: str = "test",
) -> Data:
    """Pairs in ``path/train``, ``test`` and ``val``, or all in ``path``, side by side in one file.

    Or apart, in ``trainA`` and ``trainB``, ``testA`` and ``testB``, ``valA`` and ``valB``: those
    of one name, whatever its ending, are a pair, the first folder's the left one. Pictures are
    stretched to squares.

    Args:
      path: the folder.
      made: which one is to be made of the other, "right" (of the two folders B) or "left".
      image_size: pixels a side of the squares.
      channels: 3 for colour, 1 for grey.
      split: "random" or "halves", where there is no test part.
      test_fraction: size of the random test part.
      split_seed: of the draw.
      eval_on: "test", or "validation" for the data's own or a share of the training part.
    """
    root = checked(path, image_size, channels)
    choose("data.made", made, SIDES)
    apart = two_folders(root)
    if apart:
        found = {part: _by_name(*folders) for part, folders in apart.items()}
    else:
        found = {
            part: [(file,) for file in pictures.below(folder)]
            for part, folder in parts_or_whole(root).items()
        }
    made_of = {part: Paired(pairs, image_size, channels, made) for part, pairs in found.items()}
    how = dict(split=split, test_fraction=test_fraction, split_seed=split_seed, eval_on=eval_on)
    divided = parts.divided(made_of["train"], made_of.get("test"), made_of.get("validation"), how)
    kept = {name: part for name, part in divided._asdict().items() if part is not None}
    if 2 * sum(map(len, kept.values())) * image_size**2 * channels <= IN_MEMORY:
        kept = {name: Arrays(part.take(np.arange(len(part)))) for name, part in kept.items()}
    mean, std = statistics.of_channels(kept["train"], most=512)
    return Data(**kept, mean=mean, std=std)


def checked(path: str, image_size: int, channels: int) -> epath.Path:
    """The folder; raises UserError for the first of a data set's settings that cannot be."""
    root = pictures.root_of(path)
    if image_size < 1:
        raise UserError(
            f"data.image_size={image_size}: set the pixels a side that pictures are brought to, "
            "such as 256"
        )
    if channels not in MODES:
        raise UserError(f"data.channels={channels} must be 1 (grey) or 3 (colour)")
    return root


def two_folders(root: epath.Path) -> dict[str, tuple[epath.Path, epath.Path]]:
    """The folders of both kinds of pictures, by part; {} where there is no ``trainA``.

    Raises:
      UserError: one has no other.
    """
    there = {path.name.lower(): path for path in files.folders(root)}
    found = {}
    for called, part in _PARTS.items():
        pair = [there.get(f"{called}{kind}") for kind in "ab"]
        if not any(pair):
            continue
        if None in pair:
            missing = f"{called}{'AB'[pair.index(None)]}"
            raise UserError(f"{root} has no folder {missing}, beside which it has the other one")
        found[part] = tuple(pair)
    if found and "train" not in found:
        raise UserError(f"{root} has no folders trainA and trainB")
    return found


def _by_name(left: epath.Path, right: epath.Path) -> list[Files]:
    named = []
    for folder in (left, right):
        own: dict[str, epath.Path] = {}
        for file in pictures.below(folder):
            key = str(file.relative_to(folder).with_suffix(""))
            if key in own:
                raise UserError(f"{own[key]} and {file} have one name: which is of the pair?")
            own[key] = file
        named.append(own)
    first, second = named
    alone = sorted(first.keys() ^ second.keys())
    if alone:
        folder, other = (left, right) if alone[0] in first else (right, left)
        raise UserError(
            f"{left} has {len(first)} pictures and {right} {len(second)}, and {len(alone)} are no "
            f"pair, such as {alone[0]!r} in {folder}, which {other} has not: pairs have one name "
            "(for pictures without pairs there is data.name=unpaired_pictures)"
        )
    return [(first[key], second[key]) for key in sorted(first)]
