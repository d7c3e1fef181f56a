"""Examples in files of pictures, decoded when they are asked for."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property

import numpy as np
from etils import epath

from jaxdl.data import fingerprint


class Decoded:
    """What examples of any kind have that are made of files; `take` is the kind's own.

    Args:
      examples: the files of each.
    """

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

    def fingerprint(self) -> str:
        """Of all names, and of what a few hold."""
        names = [f"{file.parent.name}/{file.name}" for files in self.examples for file in files]
        return fingerprint.digest({**fingerprint.looked_at(self), "names": names})
