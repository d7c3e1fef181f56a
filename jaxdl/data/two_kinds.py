"""Pictures of two kinds of which nobody knows which belongs to which."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxdl.data import fingerprint
from jaxdl.data.split import Batch, Split

# Of each kind: the name of its pictures, of their labels, and of what says that they count.
NAMES = (("image", "label", "image_counts"), ("target", "target_label", "target_counts"))


class TwoKinds:
    """Two splits as one, whose examples are one picture of each.

    There are as many examples as pictures of the larger one. The smaller one's come again from the
    first on, and count in figures the first time only.

    Args:
      first: its batches have ``image`` (n, h, w, c), and may have ``label`` (n,).
      second: the same.
    """

    def __init__(self, first: Split, second: Split):
        self.kinds = (first, second)

    def __len__(self) -> int:
        """Of the larger one."""
        return max(map(len, self.kinds))

    def take(self, indices: np.ndarray) -> Batch:
        """``image`` and ``target`` (n, h, w, c), with ``label`` and ``target_label`` (n,).

        ``image_counts`` and ``target_counts`` (n,) float32 are 0 for what is there again.
        """
        made: Batch = {}
        for split, (image, label, counts) in zip(self.kinds, NAMES, strict=True):
            found = split.take(indices % len(split))
            made[image] = found["image"]
            made[counts] = (indices < len(split)).astype(np.float32)
            if "label" in found:
                made[label] = found["label"]
        return made

    def fingerprint(self) -> str:
        """Of both."""
        return fingerprint.digest(
            {str(i): fingerprint.of(split) for i, split in enumerate(self.kinds)}
        )


def counts(batch: Mapping[str, Any]) -> tuple[Any, Any]:
    """Whether the pictures of each kind count in figures, (n,) each; None where all do."""
    return tuple(batch.get(name) for _, _, name in NAMES)
