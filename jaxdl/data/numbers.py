"""Numbers from 1 to 999,999: digits to read, English words to write."""

import functools

import numpy as np

from jaxdl.data import Data, fingerprint, register
from jaxdl.data.parts import held_out
from jaxdl.data.source_target import Ragged, padding_note, specials
from jaxdl.data.split import Batch
from jaxdl.data.spread import evenly
from jaxdl.data.tokens import Bytes
from jaxdl.errors import UserError

LAST = 999_999

_BELOW_TWENTY = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven",
    "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
_TENS = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")


@register("numbers")
def numbers(test_fraction: float = 0.001, split_seed: int = 0, eval_on: str = "test") -> Data:
    """``source`` "700013" and ``target`` "seven hundred thousand thirteen", as bytes.

    Which numbers are held out is drawn, any of them as likely as another; all others are learned
    from.

    Args:
      test_fraction: of the 999,999, the share that is held out.
      split_seed: of the draw.
      eval_on: "test", or "validation" for as large a share of what is then left.
    """
    order = np.random.default_rng(split_seed).permutation(LAST) + 1
    for _ in range(2 if eval_on == "validation" else 1):
        size = held_out(len(order), test_fraction)
        order, test = order[size:], order[:size]
    if not len(test) or not len(order):
        raise UserError(
            f"data.test_fraction={test_fraction:g} of {LAST} numbers leaves {len(order)} to learn "
            f"from and {len(test)} held out: both need one"
        )
    train, test = Spelled(np.sort(order)), Spelled(np.sort(test))
    shown = train.take(evenly(len(train), 1000))
    return Data(train, test, tokenizer=Bytes(), notes=(padding_note(shown, _SPECIALS.pad),))


class Spelled:
    """Numbers, and how they are spelled.

    Args:
      values: (n,) from 1 to 999,999, ascending.
    """

    def __init__(self, values: np.ndarray):
        self.values = np.asarray(values, np.int32)

    def __len__(self) -> int:
        """How many."""
        return len(self.values)

    @property
    def sources(self) -> list[str]:
        """Some of them, for samples."""
        return [str(self.values[i]) for i in evenly(len(self), 8)]

    @property
    def about(self) -> dict[str, list[str]]:
        """``sources``."""
        return {"sources": self.sources}

    def shuffled(self, rng: np.random.Generator) -> np.ndarray:
        """Indices of a pass: every number, but for half the places, which short ones have.

        Of a million numbers nine tenths have six digits, and nine have one. In a random half of a
        pass each number of digits is as likely as another.
        """
        size = len(self)
        ends = np.searchsorted(self.values, 10 ** np.arange(7))  # of each number of digits
        starts, ends = ends[:-1], ends[1:]
        there = np.flatnonzero(ends > starts)
        digits = rng.choice(there, size)
        short = rng.integers(starts[digits], ends[digits])
        return np.where(rng.random(size) < 0.5, short, rng.permutation(size))

    def subset(self, indices: np.ndarray) -> "Spelled":
        """Only these, in this order."""
        return Spelled(self.values[indices])

    def take(self, indices: np.ndarray) -> Batch:
        """``source`` (n, 7) and ``target`` (n, 64) int32, each ended and filled up."""
        values = self.values[indices].tolist()
        pairs = {"source": map(str, values), "target": map(words, values)}
        return {name: _filled(list(texts), _LENGTHS[name]) for name, texts in pairs.items()}

    def fingerprint(self) -> str:
        """Of every number."""
        return fingerprint.digest({"values": self.values})


def words(number: int) -> str:
    """A number from 1 to 999,999 in American English: "six hundred one thousand forty-two"."""
    thousands, rest = divmod(number, 1000)
    parts = [f"{_below_thousand(thousands)} thousand"] if thousands else []
    return " ".join([*parts, _below_thousand(rest)] if rest else parts)


@functools.cache
def _below_thousand(number: int) -> str:
    hundreds, rest = divmod(number, 100)
    parts = [f"{_BELOW_TWENTY[hundreds]} hundred"] if hundreds else []
    if rest >= 20:
        tens, ones = divmod(rest, 10)
        parts.append(f"{_TENS[tens]}-{_BELOW_TWENTY[ones]}" if ones else _TENS[tens])
    elif rest:
        parts.append(_BELOW_TWENTY[rest])
    return " ".join(parts)


_SPECIALS = specials(Bytes())
# With the end token: of six digits, and of 777,777, which no number has more letters than.
_LENGTHS = {"source": 7, "target": len(words(777_777)) + 1}


def _filled(texts: list[str], length: int) -> np.ndarray:
    ended = Ragged.of([np.frombuffer(t.encode(), np.uint8) for t in texts], _SPECIALS, length)
    return ended.padded(np.arange(len(texts)), length, _SPECIALS.pad)
