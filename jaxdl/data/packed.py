"""Texts, several to a row, so that little of what is learned from is padding.

Rows are filled by first fit, the longest text first (Johnson, 1973, "Near-optimal bin packing
algorithms": at most 11/9 of the fewest rows, and a row more). Each token has the number of its
text, by which a model keeps texts apart: what is learned is what the texts teach by themselves.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from jaxdl.data import fingerprint
from jaxdl.data.answered import Answered, Vocabulary
from jaxdl.data.source_target import Ragged
from jaxdl.data.split import Batch

# Tokens of a text, or of a row: a number, or one for each side of a pair.
_Tokens = TypeVar("_Tokens", int, tuple[int, ...])


def first_fit(
    lengths: Sequence[_Tokens],
    rooms: Sequence[_Tokens],
    together: Callable[[_Tokens], int] = lambda room: 1,
) -> list[tuple[_Tokens, list[int]]]:
    """Which texts stand in each row: the longest first, each in the first row with room.

    Args:
      lengths: tokens of each text, none above the last of ``rooms``; of pairs those of each side,
        and the longest is then what takes most of a row on one of them.
      rooms: tokens that a row may have, ascending: where a text finds no row, the next have the
        least of them that it fits.
      together: (room) -> how many rows are then opened.

    Returns:
      (room, indices of texts) for each row; no texts where none came.
    """
    found: list[tuple[_Tokens, list[int]]] = []
    sides = np.size(rooms[-1])
    lengths = np.asarray(lengths).reshape(-1, sides)
    left = np.zeros((max(1, len(lengths)), sides), int)
    for i in np.argsort(-(lengths / rooms[-1]).max(axis=1), kind="stable"):
        most = len(found)
        row = int((left[: max(1, most)] >= lengths[i]).all(axis=1).argmax())
        if (left[row] < lengths[i]).any():
            room = next(room for room in rooms if np.all(room >= lengths[i]))
            found += [(room, []) for _ in range(together(room))]
            while len(left) < len(found):
                left = np.concatenate([left, np.zeros_like(left)])
            left[most : len(found)], row = room, most
        found[row][1].append(int(i))
        left[row] -= lengths[i]
    return found


def joined(texts: Ragged, rows: Sequence[Sequence[int]]) -> tuple[Ragged, Ragged]:
    """The texts of each row behind one another, and their numbers in the row, from 1 on."""
    order = np.concatenate(rows)
    sizes, counts = texts.lengths[order], [len(row) for row in rows]
    starts = np.concatenate([[0], np.cumsum(sizes)])[np.cumsum([0, *counts])]
    number = np.concatenate([np.arange(1, count + 1) for count in counts])
    segments = np.repeat(number, sizes)
    return Ragged(texts.subset(order).tokens, starts), Ragged(segments, starts)


class Packed:
    """`jaxdl.data.preferences.Completions` of which several stand in a row.

    Args:
      texts: n prompts with their answers.
      lengths: tokens that all prompts are filled up to, and of a row.
      vocabulary: of the tokens.
      size: bytes of all answers.
    """

    def __init__(
        self, texts: Answered, lengths: tuple[int, int], vocabulary: Vocabulary, size: int
    ):
        self.prompt_length, self.room = lengths
        # A row of T tokens has T - 1 that follow another.
        self.context = self.room - 1
        self.vocabulary, self.end = vocabulary
        rows = [row for _, row in first_fit(texts.text.lengths, [self.room])]
        self._text, self._segment = joined(texts.text, rows)
        order = np.concatenate(rows)
        sizes, front = texts.text.lengths[order], texts.front[order]
        place = np.arange(len(self._text.tokens)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        answer = (place >= np.repeat(front, sizes)).astype(np.int32)
        self._answer = Ragged(answer, self._text.starts)
        self.bytes_per_token = size / len(self.tokens)

    def __len__(self) -> int:
        """Rows."""
        return len(self._text.starts) - 1

    @property
    def tokens(self) -> np.ndarray:
        """Those that count, one answer behind the other, in the order of the rows."""
        return self._text.tokens[self._answer.tokens > 0]

    @property
    def full(self) -> float:
        """The share of the rows that is no padding."""
        return len(self._text.tokens) / (len(self) * self.room)

    def take(self, indices: np.ndarray) -> Batch:
        """``tokens`` and ``segments`` (n, room) int32, and ``weight`` (n, context) float32.

        A segment is a text's number in its row, from 1 on, and 0 in padding; the weight of a
        prediction is 1 where an answer's token is predicted.
        """
        indices = np.asarray(indices)
        given = {"tokens": self._text, "segments": self._segment, "answer": self._answer}
        found = {name: x.padded(indices, self.room, 0) for name, x in given.items()}
        answer = found.pop("answer")
        return {**found, "weight": answer[:, 1:].astype(np.float32)}

    @property
    def about(self) -> dict[str, Any]:
        """What tasks ask of it."""
        names = ("context", "room", "prompt_length", "vocabulary", "end", "bytes_per_token")
        return {name: getattr(self, name) for name in names}

    def fingerprint(self) -> str:
        """Of every token, and of what it is."""
        arrays = {"segments": self._segment.tokens, "answer": self._answer.tokens}
        return fingerprint.digest({**self._text._asdict(), **arrays})
