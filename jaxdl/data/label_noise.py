"""Training labels that are wrong on purpose, to see how a method bears it."""

import zlib
from collections.abc import Sequence

import numpy as np

from jaxdl.data import fingerprint
from jaxdl.data.split import Batch, Split

# What a split has besides its examples, and labels change nothing of: how it is passed over and
# cut, and what tasks ask of it.
_KEPT = (
    *("shuffled", "length_groups", "sizes", "about", "context", "examples"),
    *("positions", "node_labels", "edge_labels"),
)


class Relabelled:
    """The examples of a split with other labels.

    Args:
      split: its batches have ``label`` (n,).
      labels: (size,) integers, what takes their place.
    """

    def __init__(self, split: Split, labels: np.ndarray):
        self.split, self.labels = split, labels
        for name in _KEPT:
            if hasattr(split, name):
                setattr(self, name, getattr(split, name))

    def __len__(self) -> int:
        """Number of examples."""
        return len(self.split)

    def take(self, indices: np.ndarray) -> Batch:
        """What the split gives, ``label`` replaced, in the dtype that it had."""
        batch = self.split.take(indices)
        return {**batch, "label": self.labels[indices].astype(batch["label"].dtype)}

    def fingerprint(self) -> str:
        """Of the examples and the labels."""
        return fingerprint.digest({"of": fingerprint.of(self.split), "labels": self.labels})

    def subset(self, indices: np.ndarray) -> "Relabelled":
        """Of only these examples."""
        return Relabelled(self.split.subset(indices), self.labels[indices])


def symmetric(split: Split, share: float, classes: Sequence[int], seed: int) -> Relabelled:
    """Gives ``round(share * size)`` examples a class drawn evenly from the others.

    Which examples, and what they become, follows from the seed: of two shares the larger one
    changes all that the smaller one does, to the same classes, and more.

    Args:
      split: labelled examples.
      share: in [0, 1).
      classes: two or more that can be drawn, all labels of ``split`` among them.
      seed: of the draw.
    """
    old, size = split.labels, len(split)
    # A seed alone draws what (seed, 0) does, which is the order of an epoch.
    rng = np.random.default_rng((seed, zlib.crc32(b"label_noise")))
    changed = rng.permutation(size)[: round(share * size)]
    # Steps ahead in the circle of classes: all of it is as likely, but where one stands.
    steps = rng.integers(1, len(classes), size)[changed]
    circle = np.sort(classes)
    labels = old.copy()
    place = np.searchsorted(circle, old[changed])
    labels[changed] = circle[(place + steps) % len(circle)]
    return Relabelled(split, labels)
