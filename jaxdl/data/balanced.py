"""A pass in which all classes are as frequent, whatever the sizes that they have."""

from typing import Any

import numpy as np

from jaxdl.data.split import Batch, Split
from jaxdl.errors import UserError


class Balanced:
    """A split whose passes have as many examples of each class, give or take one.

    A pass is as long as the split. Of a class that has more examples than its share, others are
    left out in each pass; those of a smaller one come several times, all of them equally often,
    give or take one. All follows from the draw of the pass, by the run's seed and its number.

    Args:
      split: the examples, with ``labels``.
    """

    def __init__(self, split: Split):
        self.split = split
        self._of_class = [np.flatnonzero(split.labels == i) for i in np.unique(split.labels)]

    def __len__(self) -> int:
        """Examples in a pass."""
        return len(self.split)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name == "split":  # which is not there yet where one is copied
            raise AttributeError(name)
        return getattr(self.split, name)

    def take(self, indices: np.ndarray) -> Batch:
        """The split's examples at ``indices`` (n,)."""
        return self.split.take(indices)

    def subset(self, indices: np.ndarray) -> Split:
        """Of the split, as it is."""
        return self.split.subset(indices)

    def shuffled(self, rng: np.random.Generator) -> np.ndarray:
        """The indices of a pass (len(self),)."""
        share, rest = divmod(len(self), len(self._of_class))
        sizes = share + (rng.permutation(len(self._of_class)) < rest)
        drawn = [_drawn(rng, own, n) for own, n in zip(self._of_class, sizes, strict=True)]
        return rng.permutation(np.concatenate(drawn))


def _drawn(rng: np.random.Generator, own: np.ndarray, size: int) -> np.ndarray:
    """``size`` of these, each as often as another, give or take one."""
    times = -(-size // len(own))
    return np.concatenate([rng.permutation(own) for _ in range(times)] or [own[:0]])[:size]


def create(split: Split, class_batches: tuple = ()) -> Balanced:
    """A `Balanced` split.

    Raises:
      UserError: ``class_batches`` say already how batches are made.
    """
    if class_batches:
        raise UserError("data.balanced and data.class_batches exclude each other: set one")
    return Balanced(split)
