"""Texts of unequal length through an encoder, several in a row, with hardly any padding.

For what keeps the texts of a row apart, such as `jaxdl.models.bert.BERT`; others take
`jaxdl.tasks.shared.by_length`. A program is compiled for each length of a row, and most texts need
one alone: 1,000 sentences of Python's documentation three, where by length they need ten.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from jaxdl.data import encoded_texts
from jaxdl.data.packed import first_fit
from jaxdl.data.split import Arrays
from jaxdl.tasks.shared import by_length
from jaxdl.tasks.shared.contract import State
from jaxdl.tasks.shared.splits import EachFn, over_split

# That rows may have. In longer ones than the shortest attention costs more than padding would: over
# 64 tokens it takes as long as over 24, over 128 twice as long (MiniLM on a CPU).
LENGTHS = (64, 128, 256, 512)

# A text takes so many tokens of a row at least, so that a row has a known number of places for one.
SHORTEST = 4


def places(length: int) -> int:
    """Texts that a row of so many tokens may have."""
    return max(1, length // SHORTEST)


def rows(sizes: np.ndarray, longest: int, at_once: int) -> Iterator[tuple[int, int, list]]:
    """(length, rows in a batch, the texts of each row) for each length, longest first.

    Rows are opened a batch at a time, so that shorter texts fill those that long ones leave.

    Args:
      sizes: (n,) tokens of each text, at most ``longest``.
      longest: as of `jaxdl.tasks.shared.by_length.lengths`.
      at_once: rows in a batch at most.
    """
    most = by_length.tokens(sizes)
    together = lambda length: max(1, min(at_once, most // length))
    # No text is longer than a row that has room for no more than one.
    taken = np.minimum(np.maximum(sizes, SHORTEST), longest)
    found = first_fit(taken, by_length.lengths(longest, LENGTHS), together)
    for length in sorted({length for length, _ in found}, reverse=True):
        own = [row for other, row in found if row and other == length]
        yield length, together(length), own


def over_texts(
    fn: EachFn,
    texts: Sequence[encoded_texts.Encoded],
    special: encoded_texts.Specials,
    longest: int,
    at_once: int,
    state: State,
) -> np.ndarray:
    """What ``fn`` makes of every text, in order, on the host.

    Args:
      fn: (state, batch of ``tokens`` and ``texts``, (rows, T) int32 each, key) -> (rows, `places`,
        …). ``texts`` is a text's number in its row, from 1 on, and 0 in padding.
      texts: as of `jaxdl.tasks.shared.by_length.over_texts`, as are the others.
      special: of the tokenizer.
      longest: tokens that a text has at most.
      at_once: rows in a batch at most.
      state: for ``fn``; a batch lies on its devices (`over_split`).
    """
    order, found = [], []
    for length, size, own in rows(by_length.sizes(texts), longest, at_once):
        batch = {name: np.zeros((len(own), length), np.int32) for name in ("tokens", "texts")}
        batch["tokens"] += special.pad
        for i, row in enumerate(own):
            joined = np.concatenate([texts[j].tokens for j in row])
            numbers = np.repeat(np.arange(1, len(row) + 1), [len(texts[j].tokens) for j in row])
            batch["tokens"][i, : len(joined)], batch["texts"][i, : len(joined)] = joined, numbers
        made = over_split(fn, Arrays(batch), size, state)
        found += [made[i, : len(row)] for i, row in enumerate(own)]
        order += own
    return np.concatenate(found)[np.argsort(np.concatenate(order))]


def padding(texts: Sequence[encoded_texts.Encoded], longest: int, at_once: int) -> float:
    """The share of the tokens that go through a model that are padding, on one device."""
    sizes, through = by_length.sizes(texts), 0
    for length, size, own in rows(sizes, longest, at_once):
        through += by_length.through(len(own), size) * length
    return float(1 - sizes.sum() / through)
