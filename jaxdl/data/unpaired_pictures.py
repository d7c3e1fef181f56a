"""Folders of pictures of two kinds, of which none belongs to another."""

from collections.abc import Sequence

import numpy as np
from etils import epath

from jaxdl.data import Data, parts, pictures, register, statistics
from jaxdl.data.annotated import IN_MEMORY
from jaxdl.data.decoded import Decoded
from jaxdl.data.picture_pairs import checked, read, two_folders
from jaxdl.data.split import Arrays, Batch
from jaxdl.data.two_kinds import TwoKinds
from jaxdl.errors import UserError


class Squares(Decoded):
    """Pictures of one kind, stretched to squares, decoded when they are asked for.

    Args:
      files: of them.
      size: pixels a side.
      channels: 1 for grey, 3 for colour.
    """

    def __init__(self, files: Sequence[epath.Path], size: int, channels: int):
        super().__init__([(file,) for file in files])
        self.size, self.channels = size, channels

    def take(self, indices: np.ndarray) -> Batch:
        """``image`` (n, size, size, channels) uint8."""
        one = lambda index: read(*self.examples[index], self.size, self.channels)
        return {"image": np.stack(list(self._threads.map(one, indices)))}

    def subset(self, indices: np.ndarray) -> "Squares":
        """Of only these."""
        return Squares([self.examples[i][0] for i in indices], self.size, self.channels)


@register("unpaired_pictures")
def unpaired_pictures(
    path: str = "",
    image_size: int = 256,
    channels: int = 3,
    split: str = "random",
    test_fraction: float = 0.2,
    split_seed: int = 0,
    eval_on: str = "test",
) -> Data:
    """``path/trainA`` and ``trainB``, ``testA`` and ``testB``, ``valA`` and ``valB``.

    ``image`` is one of A, ``target`` one of B, stretched to squares; both (n, size, size, channels)
    uint8. There may be more of one kind than of the other (`jaxdl.data.two_kinds`).

    Args:
      path: the folder.
      image_size: pixels a side of the squares.
      channels: 3 for colour, 1 for grey.
      split: "random" or "halves", where there is no test part; each kind is divided by itself.
      test_fraction: size of the random test part.
      split_seed: of the draw.
      eval_on: "test", or "validation" for the data's own or a share of the training part.
    """
    found = two_folders(checked(path, image_size, channels))
    if not found:
        raise UserError(f"{path} has no folders trainA and trainB: one for each kind of pictures")
    how = dict(split=split, test_fraction=test_fraction, split_seed=split_seed, eval_on=eval_on)
    divided = []
    for kind in range(2):
        own = {
            part: Squares(pictures.below(folders[kind]), image_size, channels)
            for part, folders in found.items()
        }
        made = parts.divided(own["train"], own.get("test"), own.get("validation"), how)
        divided.append({name: part for name, part in made._asdict().items() if part is not None})
    count = sum(len(part) for kind in divided for part in kind.values())
    if count * image_size**2 * channels <= IN_MEMORY:
        divided = [
            {name: Arrays(part.take(np.arange(len(part)))) for name, part in kind.items()}
            for kind in divided
        ]
    joined = {name: TwoKinds(part, divided[1][name]) for name, part in divided[0].items()}
    mean, std = statistics.of_channels(joined["train"], most=512)
    return Data(**joined, mean=mean, std=std)
