"""Tokens put together to words, with the times at which each is said.

As openai-whisper and transformers have it: a word begins with a space, and keeps the marks around
it; of languages that are written without spaces every letter is one.
"""

import string
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

# Languages, by their codes, that do not part words by spaces.
_WITHOUT_SPACES = ("zh", "ja", "th", "lo", "my", "yue")
# Marks that belong to the word behind them, and to the one before.
_BEFORE, _BEHIND = "\"'“¡¿([{-", "\"'.。,，!！?？:：”)]}、"
_BROKEN = "\ufffd"


class Word(NamedTuple):
    """What is said from one time to another, in seconds; the text with the space before it."""

    start: float
    end: float
    text: str


class _Piece(NamedTuple):
    """A text, and the first and the last of its tokens."""

    text: str
    first: int
    last: int


def of_tokens(
    tokens: Sequence[int],
    starts: Sequence[float],
    ends: Sequence[float],
    decode: Callable[[np.ndarray], str],
    language: str | None,
) -> list[Word]:
    """The words of a text.

    Args:
      tokens: n of words alone.
      starts: seconds, n.
      ends: likewise.
      decode: tokens (m,) -> their text.
      language: its code; None of a model of English alone.
    """
    found = _letters(tokens, decode)
    if language not in _WITHOUT_SPACES:
        found = _by_spaces(found)
    found = _with_marks_behind(_with_marks_before(found))
    return [Word(float(starts[one.first]), float(ends[one.last]), one.text) for one in found]


def _letters(tokens: Sequence[int], decode: Callable[[np.ndarray], str]) -> list[_Piece]:
    """As few tokens at a time as are whole letters."""
    as_text = lambda part: decode(np.array(part, np.int32))
    whole, found, first, place = as_text(tokens), [], 0, 0
    for last in range(len(tokens)):
        text = as_text(tokens[first : last + 1])
        at = place + text.find(_BROKEN)
        # What is broken in the whole text too is not going to be a letter.
        if _BROKEN not in text or at >= len(whole) or whole[at] == _BROKEN:
            found.append(_Piece(text, first, last))
            first, place = last + 1, place + len(text)
    return found


def _by_spaces(pieces: Sequence[_Piece]) -> list[_Piece]:
    found = []
    for piece in pieces:
        is_mark = piece.text.strip() in string.punctuation
        if not found or piece.text.startswith(" ") or is_mark:
            found.append(piece)
        else:
            found[-1] = _joined(found[-1], piece)
    return found


def _with_marks_before(pieces: Sequence[_Piece]) -> list[_Piece]:
    found: list[_Piece] = []
    for piece in reversed(pieces):
        if found and piece.text.startswith(" ") and piece.text.strip() in _BEFORE:
            found[-1] = _joined(piece, found[-1])
        else:
            found.append(piece)
    return found[::-1]


def _with_marks_behind(pieces: Sequence[_Piece]) -> list[_Piece]:
    found: list[_Piece] = []
    for piece in pieces:
        if found and not found[-1].text.endswith(" ") and piece.text in _BEHIND:
            found[-1] = _joined(found[-1], piece)
        else:
            found.append(piece)
    return found


def _joined(a: _Piece, b: _Piece) -> _Piece:
    return _Piece(a.text + b.text, a.first, b.last)
