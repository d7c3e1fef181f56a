"""How far what was written is from what was said: word and character error rates.

The fewest substitutions, deletions and insertions that make the one out of the other (Levenshtein,
1966), over the length of what was said: low is better, 0 is right, and above 1 is possible. Where
several ways take as few, which kind is counted is as in jiwer 4.0 (of rapidfuzz 3.14).
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np


class Edits(NamedTuple):
    """Counts; of several pairs they are added.

    Attributes:
      hits: words, or characters, that are right.
      substitutions: that stand for others.
      deletions: that were said and are missing.
      insertions: that were written and not said.
    """

    hits: int
    substitutions: int
    deletions: int
    insertions: int

    @property
    def rate(self) -> float:
        """Edits over the length of what was said; where nothing was, 0 if nothing was written.

        And 1 for each word, or character, that was written although nothing was said.
        """
        edits = self.substitutions + self.deletions + self.insertions
        return edits / max(self.hits + self.substitutions + self.deletions, 1)


def words(said: Iterable[str], written: Iterable[str]) -> Edits:
    """Of words, between white space, of texts (n,) and what was written for each."""
    return _added((a.split(), b.split()) for a, b in zip(said, written, strict=True))


def characters(said: Iterable[str], written: Iterable[str]) -> Edits:
    """Of characters, spaces among them, of texts (n,) without white space around them."""
    return _added((a.strip(), b.strip()) for a, b in zip(said, written, strict=True))


def _added(pairs: Iterable[tuple[Sequence, Sequence]]) -> Edits:
    found = [edits(said, written) for said, written in pairs]
    return (
        Edits(*(sum(counts) for counts in zip(*found, strict=True))) if found else Edits(0, 0, 0, 0)
    )


def edits(said: Sequence, written: Sequence) -> Edits:
    """Of one sequence of anything that can be told apart, and what was written for it."""
    names = {item: number for number, item in enumerate(dict.fromkeys([*said, *written]))}
    a, b = (np.array([names[item] for item in given], np.int32) for given in (said, written))
    # What both begin or end with is right, whatever lies between.
    front = _shared(a, b)
    back = _shared(a[front:][::-1], b[front:][::-1])
    a, b = a[front : len(a) - back], b[front : len(b) - back]
    cost = _costs(a, b)
    i, j = len(a), len(b)
    deletions = insertions = substitutions = 0
    while i and j:
        if cost[j, i] == cost[j, i - 1] + 1:
            deletions, i = deletions + 1, i - 1
        elif j > 1 and cost[j - 1, i] == cost[j - 1, i - 1] - 1:
            insertions, j = insertions + 1, j - 1
        else:
            i, j = i - 1, j - 1
            substitutions += int(a[i] != b[j])
    deletions, insertions = deletions + i, insertions + j
    hits = front + back + len(a) - substitutions - deletions
    return Edits(hits, substitutions, deletions, insertions)


def _shared(a: np.ndarray, b: np.ndarray) -> int:
    """With how many equal items both begin."""
    size = min(len(a), len(b))
    unequal = np.flatnonzero(a[:size] != b[:size])
    return int(unequal[0]) if len(unequal) else size


def _costs(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(len(b) + 1, len(a) + 1): the fewest edits from a[:i] to b[:j], at [j, i]."""
    places = np.arange(len(a) + 1, dtype=np.int32)
    rows = [places]
    for j, token in enumerate(b, 1):
        above = rows[-1]
        row = np.minimum(above[1:] + 1, above[:-1] + (a != token))
        row = np.concatenate([np.array([j], np.int32), row])
        # Deletions follow each other along a row: the least of all that lie in front.
        rows.append(np.minimum.accumulate(row - places) + places)
    return np.stack(rows)
