"""Examples in files, of pictures or of sounds, decoded when they are asked for."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from types import MappingProxyType

import numpy as np
from etils import epath

from jaxdl.data import fingerprint


class Decoded:
    """What examples of any kind have that are made of files; `take` is the kind's own.

    Args:
      examples: the files of each.

    Attributes:
      further: arrays (n, …) that are known of each beside what is decoded.
    """

    further: Mapping[str, np.ndarray] = MappingProxyType({})

    def __init__(self, examples: Sequence[tuple[epath.Path, ...]]):
        self.examples = list(examples)

    def __len__(self) -> int:
        """Number of examples."""
        return len(self.examples)

    @property
    def labels(self) -> np.ndarray:
        """(n,) 0: what is divided is divided by no class."""
        return np.zeros(len(self.examples), np.int32)

    @cached_property
    def _threads(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(8)

    @property
    def names(self) -> list[str]:
        """Of all files, as far as they tell them apart."""
        return [f"{file.parent.name}/{file.name}" for files in self.examples for file in files]

    def fingerprint(self) -> str:
        """Of all names and what is known of each, and of what a few hold."""
        few = fingerprint.looked_at(self)
        return fingerprint.digest({**few, **self.further, "names": self.names})
