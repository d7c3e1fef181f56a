"""Texts of unequal length through a model: those of like length together, with little padding.

A program is compiled for each shape of a batch. There are few: batches are of a few lengths, and
the longer the texts of one are, the fewer there are in it, so that all are about as much work.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import jax
import numpy as np

from jaxdl.data import encoded_texts
from jaxdl.data.split import Arrays
from jaxdl.tasks.shared.contract import State
from jaxdl.tasks.shared.splits import EachFn, over_split

# Those that batches may have. Half of sentences' tokens are in texts of 16 to 48.
LENGTHS = (8, 16, 20, 24, 32, 40, 48, 64, 96, 128, 192, 256, 384, 512)

# Tokens in a batch: fewer make slow products, and of few texts more would be of unlike lengths.
TOKENS, BATCHES = 1024, 64


def lengths(longest: int, among: Sequence[int] = LENGTHS) -> list[int]:
    """Those below ``longest`` and that itself, beyond the last in steps of as much again."""
    found = list(among)
    while found[-1] < longest:
        found.append(found[-1] + among[-1])
    return [*(n for n in found if n < longest), longest]


def tokens(sizes: np.ndarray) -> int:
    """In a batch, of texts of these sizes (n,)."""
    return max(TOKENS, int(sizes.sum()) // BATCHES)


def groups(sizes: np.ndarray, longest: int, at_once: int) -> Iterator[tuple[int, int, np.ndarray]]:
    """(length, texts in a batch, which texts): those whose batches have one shape, longest first.

    A batch that the texts of its own length do not fill is filled by the next shorter ones.

    Args:
      sizes: (n,) tokens of each text, at most ``longest``.
      longest: as of `lengths`.
      at_once: texts in a batch at most.
    """
    order, allowed = np.argsort(-sizes, kind="stable"), np.array(lengths(longest))
    most, start = tokens(sizes), 0
    while start < len(order):
        i = np.searchsorted(allowed, sizes[order[start]])
        length = int(allowed[i])
        rows = max(1, min(at_once, most // length))
        # All that no shorter batch has room for.
        own = int((sizes[order[start:]] > (allowed[i - 1] if i else 0)).sum())
        stop = start + -(-own // rows) * rows
        yield length, rows, order[start:stop]
        start = stop


def over_texts(
    fn: EachFn,
    texts: Sequence[encoded_texts.Encoded],
    special: encoded_texts.Specials,
    longest: int,
    at_once: int,
    state: State,
) -> Any:
    """What ``fn`` makes of every text, in order, on the host.

    Args:
      fn: (state, batch of ``tokens`` and ``mask``, key) -> a pytree of arrays (batch, …) whose
        shapes are the same for texts of any length.
      texts: one at least.
      special: of the tokenizer.
      longest: tokens that a text has at most.
      at_once: texts in a batch at most.
      state: for ``fn``; a batch lies on its devices (`over_split`).
    """
    found, order = [], []
    for length, rows, chosen in groups(sizes(texts), longest, at_once):
        batch = encoded_texts.stacked([texts[i] for i in chosen], special, length)
        del batch["segments"]
        found.append(over_split(fn, Arrays(batch), rows, state))
        order.append(chosen)
    back = np.argsort(np.concatenate(order))
    return jax.tree.map(lambda *parts: np.concatenate(parts)[back], *found)


def padding(texts: Sequence[encoded_texts.Encoded], longest: int, at_once: int) -> float:
    """The share of the tokens that go through a model that are padding, on one device."""
    own, total = sizes(texts), 0
    for length, rows, chosen in groups(own, longest, at_once):
        total += length * through(len(chosen), rows)
    return float(1 - own.sum() / total)


def through(count: int, rows: int) -> int:
    """Rows that go through a model where there are ``count``, in batches of ``rows`` at most."""
    rows = min(rows, count)
    return rows * -(-count // rows)


def sizes(texts: Sequence[encoded_texts.Encoded]) -> np.ndarray:
    """(n,) the tokens of each."""
    return np.array([len(text.tokens) for text in texts])
