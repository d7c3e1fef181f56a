"""How well entities are found: precision, recall and F1 of whole ones, as seqeval has them.

An entity counts if its first word, its last word and its kind are all right (Tjong Kim Sang and De
Meulder, 2003); that is seqeval's default mode. Averages are over entities ("micro").
"""

import collections
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from jaxdl.data.tag_schemes import entities


class Counts(NamedTuple):
    """Entities.

    Attributes:
      right: that are true and were found.
      found: that were found.
      true: that there are.
    """

    right: int
    found: int
    true: int

    @property
    def precision(self) -> float:
        """Share of what was found that is right; 0 where nothing was found."""
        return self.right / self.found if self.found else 0.0

    @property
    def recall(self) -> float:
        """Share of what there is that was found; 0 where there is nothing."""
        return self.right / self.true if self.true else 0.0

    @property
    def f1(self) -> float:
        """Their harmonic mean; 0 where nothing is right."""
        return 2 * self.right / (self.found + self.true) if self.right else 0.0


def counts(true: Iterable[Sequence[str]], found: Iterable[Sequence[str]]) -> dict[str, Counts]:
    """{kind: `Counts`} of sentences' tags, in any scheme of `jaxdl.data.tag_schemes`.

    Raises:
      ValueError: a sentence has not as many tags in both, or a tag is none.
    """
    right, said, there = (collections.Counter() for _ in range(3))
    for wanted, given in zip(true, found, strict=True):
        if len(wanted) != len(given):
            raise ValueError(f"{len(given)} tags were found for {len(wanted)} words")
        a, b = set(entities(wanted)), set(entities(given))
        for total, some in ((right, a & b), (said, b), (there, a)):
            total.update(entity.kind for entity in some)
    return {kind: Counts(right[kind], said[kind], there[kind]) for kind in sorted(said | there)}


def together(by_kind: Mapping[str, Counts]) -> Counts:
    """Of all kinds."""
    return Counts(*np.sum([*by_kind.values(), (0, 0, 0)], axis=0).tolist())
