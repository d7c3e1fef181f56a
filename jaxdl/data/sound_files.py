"""Sounds in files: decoded when they are asked for, or all at once where they are few."""

import threading
from collections.abc import Mapping

import numpy as np
from etils import epath

from jaxdl.data import audio, decoded, left_out
from jaxdl.data.left_out import LeftOut
from jaxdl.data.split import Arrays, Batch
from jaxdl.errors import UserError, note

# Below this many bytes the whole set is decoded once, at the start.
IN_MEMORY = 2 << 30


class Files(decoded.Decoded):
    """Sound files, decoded when they are asked for, a batch at a time on several threads.

    One that turns out to be broken is named, and the next one that is not stands in for it: which
    one is a question of the files alone, so batches are what they are for any number of processes.

    Args:
      files: paths.
      further: arrays (n, …) that each of them has beside its sound: {"label": …}.
      rate: samples a second of what `take` returns.
      count: samples of each, cut at the end or filled up with zeros.
      lengths: (n,) samples of each, where they are known before it is read.
      starts: (n,) seconds at which each begins in its file; None is their beginnings.
      most_broken: share of them that may be broken.
    """

    def __init__(
        self,
        files: list[epath.Path],
        further: Mapping[str, np.ndarray],
        rate: int,
        count: int,
        lengths: np.ndarray | None = None,
        starts: np.ndarray | None = None,
        most_broken: float = 0.0,
    ):
        super().__init__([(file,) for file in files])
        self.further, self.rate, self.count = further, rate, count
        self.lengths, self.most_broken = lengths, most_broken
        self.starts = np.zeros(len(files)) if starts is None else starts
        self._broken: set[int] = set()
        self._telling = threading.Lock()

    @property
    def labels(self) -> np.ndarray:
        """The array called ``label``."""
        return self.further["label"]

    @property
    def about(self) -> dict[str, int]:
        """``rate`` and ``count``."""
        return {"rate": self.rate, "count": self.count}

    @property
    def names(self) -> list[str]:
        """Of all files, and where what begins later in one begins."""
        at = [f"@{start:g}" if start else "" for start in self.starts]
        return [name + start for name, start in zip(super().names, at, strict=True)]

    def read(self, index: int) -> tuple[np.ndarray, int]:
        """(count,) float32 of one, and how many samples are its own; raises as `audio.read`."""
        (file,) = self.examples[index]
        found = audio.read(file, self.rate, self.count / self.rate, self.starts[index])
        return audio.fitted(found, self.count)

    def _readable(self, index: int) -> tuple[int, np.ndarray, int]:
        """`read` of the first from ``index`` on that is not broken, and its place."""
        place = int(index)
        while True:
            if place not in self._broken:
                try:
                    return place, *self.read(place)
                except audio.BrokenError as error:
                    self._tell(place, str(error))
            place = (place + 1) % len(self)

    def _tell(self, place: int, line: str) -> None:
        with self._telling:
            if place in self._broken:
                return
            self._broken.add(place)
            count, size = len(self._broken), len(self)
            if not self.most_broken or count >= size or count > self.most_broken * size:
                more = f" ({count} of {size} are broken so far)" if count > 1 else ""
                raise UserError(line + more)
            if count <= left_out.MOST_LINES:
                note(f"{line}: another sound stands in for it")

    def take(self, indices: np.ndarray) -> Batch:
        """``samples`` (n, count) float32, ``length`` (n,) int32, and what is beside."""
        places, samples, lengths = zip(*self._threads.map(self._readable, indices), strict=True)
        found = {"samples": np.stack(samples), "length": np.array(lengths, np.int32)}
        return {**found, **{name: x[list(places)] for name, x in self.further.items()}}

    def subset(self, indices: np.ndarray) -> "Files":
        """Of only these files."""
        files = [self.examples[i][0] for i in indices]
        further = {name: x[indices] for name, x in self.further.items()}
        lengths = None if self.lengths is None else self.lengths[indices]
        how = (lengths, self.starts[indices], self.most_broken)
        return Files(files, further, self.rate, self.count, *how)


class InMemory(Arrays):
    """Sounds in memory, of one rate."""

    def __init__(self, arrays: Batch, rate: int):
        super().__init__(arrays)
        self.rate, self.count = rate, arrays["samples"].shape[1]

    @property
    def about(self) -> dict[str, int]:
        """``rate`` and ``count``."""
        return {"rate": self.rate, "count": self.count}

    def subset(self, indices: np.ndarray) -> "InMemory":
        """A copy of only these."""
        return InMemory(self.take(indices), self.rate)


def in_memory(made: dict[str, Files], left: LeftOut) -> dict[str, Files | InMemory]:
    """The parts decoded, if they are not too large; those that cannot be are left out.

    Of larger ones what is measured on is read once, so that no example of it is broken.

    Raises:
      UserError: too many are.
    """
    if sum(4 * len(part) * part.count for part in made.values()) > IN_MEMORY:
        found = {name: _checked(p, left) if name != "train" else p for name, p in made.items()}
    else:
        found = {name: _decoded(part, left) for name, part in made.items()}
    left.check(sum(map(len, found.values())))
    for name, part in found.items():
        if not len(part):
            raise UserError(f"no sound of {name} can be used; the last: {left.lines[-1]}")
    return found


def _checked(part: Files, left: LeftOut) -> Files:
    read = left.mapped(lambda i: bool(part.read(i)), range(len(part)))
    return part.subset(np.array(left_out.kept(read), int))


def _decoded(part: Files, left: LeftOut) -> InMemory:
    samples = np.zeros((len(part), part.count), np.float32)

    def read(index: int) -> int:
        samples[index], length = part.read(index)
        return length

    lengths = left.mapped(read, range(len(part)))
    kept = left_out.kept(lengths)
    arrays = {"samples": samples, "length": np.array([x or 0 for x in lengths], np.int32)}
    arrays |= part.further
    if len(kept) < len(part):
        arrays = {name: x[kept] for name, x in arrays.items()}
    return InMemory(arrays, part.rate)
