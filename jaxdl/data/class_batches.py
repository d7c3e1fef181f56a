"""Batches of so many classes by so many examples of each, for what learns by comparing.

Hermans, Beyer and Leibe, 2017, "In defense of the triplet loss for person re-identification",
section 3: P classes are drawn, and K examples of each, so that every example meets others of its
own class, and of others, in its batch.
"""

from typing import Any

import numpy as np

from jaxdl.data import fingerprint
from jaxdl.data.split import Batch, Split
from jaxdl.errors import UserError


class ClassBatches:
    """A split whose passes, cut into batches of P·K, are batches of P classes by K examples.

    A batch's classes are drawn anew, all as likely, whatever the sizes of classes. The examples of
    a class come one after another in an order that is drawn anew once they are used up, so that
    they are all seen equally often, but for those that are too few for a K at the end. A class of
    fewer than K gives some of its examples more than once.

    Args:
      split: the examples, with ``labels``.
      classes: P, of a batch.
      examples: K, of each of them.

    Raises:
      UserError: there are fewer classes, or a batch has fewer than two of either.
    """

    def __init__(self, split: Split, classes: int, examples: int):
        self.split = split
        found, number = np.unique(split.labels, return_inverse=True)
        setting = f"data.class_batches=({classes}, {examples})"
        if min(classes, examples) < 2:
            raise UserError(f"{setting} must be two classes at least by two examples at least")
        if classes > len(found):
            raise UserError(f"{setting}: {classes} classes, and the training part has {len(found)}")
        self.classes_in_batch, self.of_each = classes, examples
        own = {"classes_in_batch": classes, "of_each": examples}
        self.about = {**getattr(split, "about", {}), **own}
        self._of_class = [np.flatnonzero(number == i) for i in range(len(found))]

    def __len__(self) -> int:
        """Examples in a pass: whole batches, as many as the split has examples for, or one."""
        size = self.batch_size
        return max(len(self.split) // size, 1) * size

    @property
    def batch_size(self) -> int:
        """P·K."""
        return self.classes_in_batch * self.of_each

    @property
    def labels(self) -> np.ndarray:
        """Of the split's examples, also of those that are more than a pass has."""
        return self.split.labels

    def __getattr__(self, name: str) -> Any:
        """What tasks ask of the split, such as ``context`` of texts."""
        if not name.startswith("_") and name in self.about:
            return self.about[name]
        raise AttributeError(name)

    def take(self, indices: np.ndarray) -> Batch:
        """The split's examples at ``indices`` (n,)."""
        return self.split.take(indices)

    def subset(self, indices: np.ndarray) -> Split:
        """Of the split: in no such batches."""
        return self.split.subset(indices)

    def shuffled(self, rng: np.random.Generator) -> np.ndarray:
        """The indices of a pass (len(self),), batch after batch, class after class in each."""
        orders, places = {}, []
        for _ in range(len(self) // self.batch_size):
            for number in rng.permutation(len(self._of_class))[: self.classes_in_batch]:
                order, begun = orders.get(number, ((), 0))
                if begun + self.of_each > len(order):
                    drawn = rng.permutation(self._of_class[number])
                    order, begun = np.resize(drawn, max(len(drawn), self.of_each)), 0
                places.append(order[begun : begun + self.of_each])
                orders[number] = order, begun + self.of_each
        return np.concatenate(places)

    def fingerprint(self) -> str:
        """The split's: the draws are by the run's seed."""
        return fingerprint.of(self.split)


def check_batch(train: Split, batch_size: int, task: str) -> None:
    """Raises UserError unless ``train`` gives its batches whole.

    Args:
      train: the training part.
      batch_size: of the run.
      task: that asks for it, for the message.
    """
    # Of a split that is not there any more both are known too (`jaxdl.data.absent`).
    classes, examples = (getattr(train, name, 0) for name in ("classes_in_batch", "of_each"))
    if not classes:
        raise UserError(
            f"{task} compares examples of a class with those of others: set data.class_batches to "
            "(classes, examples of each) in a batch, such as (8, 8)"
        )
    if classes * examples != batch_size:
        raise UserError(
            f"config.batch_size={batch_size} must be {classes} x {examples} = "
            f"{classes * examples}, as data.class_batches=({classes}, {examples}) has it"
        )
