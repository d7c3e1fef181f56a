"""A folder of class folders of sounds."""

from concurrent.futures import ThreadPoolExecutor
from functools import cached_property

import numpy as np
from etils import epath

from jaxdl.data import Data, audio, fingerprint, layout, parts, register
from jaxdl.data.split import Arrays, Batch
from jaxdl.errors import UserError

SOUNDS = layout.Kind(audio.SUFFIXES, "sounds")

# Below this many bytes the whole set is decoded once, at the start.
IN_MEMORY = 2 << 30


class Files:
    """Sound files, decoded when they are asked for, a batch at a time on several threads.

    Args:
      files: paths.
      further: arrays (n, …) that each of them has beside its sound: {"label": …}.
      rate: samples a second of what `take` returns.
      count: samples of each, cut at the end or filled up with zeros.
      lengths: (n,) samples of each, where they are known before it is read.
    """

    def __init__(
        self,
        files: list[epath.Path],
        further: dict[str, np.ndarray],
        rate: int,
        count: int,
        lengths: np.ndarray | None = None,
    ):
        self.files, self.further, self.rate, self.count = files, further, rate, count
        self.lengths = lengths

    def __len__(self) -> int:
        """Number of files."""
        return len(self.files)

    @property
    def labels(self) -> np.ndarray:
        """The array called ``label``."""
        return self.further["label"]

    @property
    def about(self) -> dict[str, int]:
        """``rate`` and ``count``."""
        return {"rate": self.rate, "count": self.count}

    @cached_property
    def _threads(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(8)

    def _read(self, index: int) -> tuple[np.ndarray, int]:
        found = audio.read(self.files[index], self.rate, self.count / self.rate)
        return audio.fitted(found, self.count)

    def take(self, indices: np.ndarray) -> Batch:
        """``samples`` (n, count) float32, ``length`` (n,) int32, and what is beside."""
        samples, lengths = zip(*self._threads.map(self._read, indices), strict=True)
        found = {"samples": np.stack(samples), "length": np.array(lengths, np.int32)}
        return {**found, **{name: x[indices] for name, x in self.further.items()}}

    def fingerprint(self) -> str:
        """Of all names and what is beside, and of the samples of a few."""
        names = [f"{file.parent.name}/{file.name}" for file in self.files]
        few = fingerprint.looked_at(self)
        return fingerprint.digest({**few, **self.further, "names": names})

    def subset(self, indices: np.ndarray) -> "Files":
        """Of only these files."""
        files = [self.files[i] for i in indices]
        further = {name: x[indices] for name, x in self.further.items()}
        lengths = None if self.lengths is None else self.lengths[indices]
        return Files(files, further, self.rate, self.count, lengths)


class Decoded(Arrays):
    """Sounds in memory, of one rate."""

    def __init__(self, arrays: Batch, rate: int):
        super().__init__(arrays)
        self.rate, self.count = rate, arrays["samples"].shape[1]

    @property
    def about(self) -> dict[str, int]:
        """``rate`` and ``count``."""
        return {"rate": self.rate, "count": self.count}

    def subset(self, indices: np.ndarray) -> "Decoded":
        """A copy of only these."""
        return Decoded(self.take(indices), self.rate)


def in_memory(parts: dict[str, Files]) -> dict[str, Files | Decoded]:
    """The parts decoded, if they are not too large."""
    if sum(4 * len(part) * part.count for part in parts.values()) > IN_MEMORY:
        return parts
    return {name: Decoded(p.take(np.arange(len(p))), p.rate) for name, p in parts.items()}


def samples_in(seconds: float, rate: int) -> int:
    """How many samples of a second at ``rate`` there are in ``seconds``.

    Raises:
      UserError: settings that cannot be.
    """
    low, high = audio.RATES
    if not low <= rate <= high:
        raise UserError(f"data.rate={rate} must be from {low} to {high} samples a second")
    if not 0.01 <= seconds <= audio.MOST / rate:
        raise UserError(
            f"data.seconds={seconds:g} must be from 0.01 to {audio.MOST / rate:g}, at "
            f"data.rate={rate}"
        )
    return round(seconds * rate)


@register("sounds")
def sounds(
    path: str = "",
    rate: int = 16000,
    seconds: float = 1.0,
    split: str = "random",
    test_fraction: float = 0.2,
    split_seed: int = 0,
    eval_on: str = "test",
) -> Data:
    """``path/CLASS/*.wav`` …, or the same under ``path/train`` and ``path/val`` or ``path/test``.

    How folders may lie is told by `jaxdl.data.layout`. Classes are numbered in the order of their
    names. Of each sound its beginning is heard.

    Args:
      path: the folder; of files that `jaxdl.data.audio` reads.
      rate: samples a second that all are brought to.
      seconds: of each, cut at the end or filled up with silence.
      split: "random" or "halves", where there is no test part.
      test_fraction: size of the random test part.
      split_seed: of the draw.
      eval_on: "test", or "validation" for the data's own or a share of the training part.
    """
    count, root = samples_in(seconds, rate), epath.Path(path)
    if not path or not root.is_dir():
        raise UserError(f"data.path={path!r} is no folder: name one that holds a folder a class")
    found = layout.find(root, SOUNDS)
    if len(found.class_names) < 2:
        raise UserError(f"{root} holds one class, {found.class_names[0]!r}: nothing to tell apart")
    made = {
        name: Files(files, {"label": np.array(labels, np.int32)}, rate, count)
        for name, (files, labels) in found.parts.items()
    }
    if "train" not in made:
        raise UserError(f"data.path={path!r} has no training part")
    how = dict(split=split, test_fraction=test_fraction, split_seed=split_seed, eval_on=eval_on)
    given = parts.divided(made["train"], made.get("test"), made.get("validation"), how)
    kept = {name: part for name, part in given._asdict().items() if part is not None}
    notes = list(found.notes)
    if len(made) == 1:
        notes += parts.of_single_examples(kept["train"], kept["test"], found.class_names)
    kept = in_memory(kept)
    notes += cut_note(kept.values(), count, rate)
    return Data(**kept, class_names=found.class_names, notes=tuple(notes))


def cut_note(splits, count: int, rate: int) -> list[str]:
    """A line on sounds that fill all of their place, and so may have been cut; none of files."""
    lengths = [part.arrays["length"] for part in splits if isinstance(part, Decoded)]
    full = sum(int((x == count).sum()) for x in lengths)
    if not full:
        return []
    whole = sum(map(len, lengths))
    return [f"{full} of {whole} sounds are {count / rate:g} s long or more, and heard up to there"]
