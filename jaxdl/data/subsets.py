"""Parts of labelled data: some of the classes, a few examples of each."""

import zlib
from collections.abc import Sequence

import numpy as np

from jaxdl.data.label_noise import Relabelled
from jaxdl.data.split import Split
from jaxdl.errors import UserError


def of_classes(split: Split, classes: Sequence[int]) -> Relabelled:
    """The examples of some classes only, which are numbered from 0 on in the order given."""
    number = np.full(max(split.labels.max(initial=0), *classes) + 1, -1, split.labels.dtype)
    number[list(classes)] = np.arange(len(classes))
    kept = np.flatnonzero(number[split.labels] >= 0)
    return Relabelled(split.subset(kept), number[split.labels[kept]])


def few(split: Split, count: int, class_names: Sequence[str], seed: int) -> Split:
    """``count`` examples of each class that there is, in the order that they had.

    They follow from the seed, a larger count adding to those of a smaller one.

    Raises:
      UserError: a class has fewer.
    """
    # A seed alone draws what (seed, 0) does, which is the order of an epoch.
    order = np.random.default_rng((seed, zlib.crc32(b"labels_per_class"))).permutation(len(split))
    kept = []
    for label in np.unique(split.labels):
        of_class = order[split.labels[order] == label]
        if len(of_class) < count:
            raise UserError(
                f"data.labels_per_class={count}: class {class_names[label]!r} has only "
                f"{len(of_class)} training examples"
            )
        kept.append(of_class[:count])
    return split.subset(np.sort(np.concatenate(kept)))
