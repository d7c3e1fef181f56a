"""Pairs of texts, a source and a target, as encoder-decoders take them: ended, cut, filled up.

Raffel et al., 2020, section 2.1: both end with an end token, the decoder begins with a start token,
which is that of padding, and what a source leaves out is named by sentinels. A tokenizer whose own
rules put a token in front of texts, as BART's do, has it in front of both.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jaxdl.data import fingerprint
from jaxdl.data.split import Batch
from jaxdl.data.tokens import Tokenizer

# What a tokenizer.json may call them: as T5 has it, or as BERT.
_NAMES = {"pad": ("<pad>", "[PAD]"), "end": ("</s>", "[SEP]")}

# Those of a vocabulary of speech, as Whisper's tokenizer.json calls them.
_SPEECH = {"start": "<|startoftranscript|>", "end": "<|endoftext|>"}

_NO_TIMES = "<|notimestamps|>"

# A text's own way to name the sentinels: <0>, <1> and so on.
_HOLE = re.compile(r"<(\d+)>")


class Specials(NamedTuple):
    """The tokens that are no part of a text.

    Attributes:
      pad: fills a text up.
      end: ends each source and target.
      start: what the decoder is given in front of a target.
      sentinels: stand for what a source leaves out, the first one first; a target says what.
      size: of all tokens, these among them; ids are 0 … size - 1.
      front: what each source and target begins with.
      spoken: whether the vocabulary is Whisper's, whose texts follow tokens that say what is asked
        for, and begin with a space.
      first_time: the token of the time 0 there, behind which the others follow; None without times.
    """

    pad: int
    end: int
    start: int
    sentinels: tuple[int, ...]
    size: int
    front: tuple[int, ...] = ()
    spoken: bool = False
    first_time: int | None = None

    @property
    def before(self) -> str:
        """What stands in front of a text, and is cut off again behind it."""
        return " " if self.spoken else ""

    @property
    def around(self) -> int:
        """Tokens that each source and target has besides those of its text."""
        return len(self.front) + 1

    def ended(self, tokens: np.ndarray, most: int | None = None) -> np.ndarray:
        """Tokens (n,) of a text between those around it, (m,) int32; cut so that m <= ``most``."""
        kept = tokens if most is None else tokens[: most - self.around]
        return np.concatenate([self.front, kept, [self.end]]).astype(np.int32)

    def encode(self, tokenizer: Tokenizer, text: str) -> np.ndarray:
        """The tokens (n,) int32 of a text, in which <0>, <1> … are the sentinels; no end token."""
        parts = _HOLE.split(text) if self.sentinels else [text]
        found = [np.asarray(tokenizer.encode(parts[0]), np.int32)]
        for number, rest in zip(parts[1::2], parts[2::2], strict=True):
            known = int(number) < len(self.sentinels)
            hole = [self.sentinels[int(number)]] if known else tokenizer.encode(f"<{number}>")
            found += [np.asarray(hole, np.int32), np.asarray(tokenizer.encode(rest), np.int32)]
        return np.concatenate(found)

    def decode(self, tokenizer: Tokenizer, tokens: np.ndarray) -> str:
        """The text of tokens (n,) up to the end token, sentinels as <0>, <1> …, without padding.

        Of speech without what is no word: what is asked for, and times.
        """
        tokens = np.asarray(tokens)
        ends = np.flatnonzero(tokens == self.end)
        tokens = tokens[: ends[0]] if len(ends) else tokens
        # No other id is one that the tokenizer can read: a model may have more tokens than it.
        known = self.end if self.spoken else self.size
        tokens = tokens[~np.isin(tokens, (self.pad, *self.front)) & (tokens < known)]
        holes = np.flatnonzero(np.isin(tokens, self.sentinels))
        parts, begin = [], 0
        for place in holes:
            number = self.sentinels.index(int(tokens[place]))
            parts += [tokenizer.decode(tokens[begin:place]), f"<{number}>"]
            begin = place + 1
        text = "".join([*parts, tokenizer.decode(tokens[begin:])])
        return text.strip() if self.spoken else text


def specials(tokenizer: Tokenizer, sentinels: int = 0) -> Specials:
    """The special tokens of a tokenizer; those that it does not have get ids behind its own.

    Bytes have none: there padding is 256, the end 257, and sentinels begin at 258. Sentinels are
    called <extra_id_0>, <extra_id_1> … in a tokenizer.json, as T5 has it; a single one may be
    <mask> or [MASK], as BART has it. In Whisper's vocabulary the start token fills texts up too:
    its own files fill up by the end token, of which a loss would not know that it is one.

    Args:
      tokenizer: of the texts.
      sentinels: how many are needed.
    """
    size, found = tokenizer.size, {}
    speech = {name: tokenizer.id_of(token) for name, token in _SPEECH.items()}
    if not sentinels and None not in speech.values():
        start, end = speech["start"], speech["end"]
        none = tokenizer.id_of(_NO_TIMES)
        first = None if none is None else none + 1
        return Specials(start, end, start, (), size, spoken=True, first_time=first)

    def known(names: Sequence[str]) -> int:
        nonlocal size
        ids = [token for name in names if (token := tokenizer.id_of(name)) is not None]
        size += not ids
        return ids[0] if ids else size - 1

    for field, names in _NAMES.items():
        found[field] = known(names)
    single = ("<mask>", "[MASK]") if sentinels == 1 else ()
    holes = tuple(known((*single, f"<extra_id_{i}>")) for i in range(sentinels))
    return Specials(
        **found, start=found["pad"], sentinels=holes, size=size, front=tokenizer.front()
    )


class Ragged(NamedTuple):
    """Texts of unequal lengths, end to end.

    Attributes:
      tokens: (sum of lengths,) integers.
      starts: (n + 1,), where each begins, and where the last ends.
    """

    tokens: np.ndarray
    starts: np.ndarray

    @classmethod
    def of(cls, texts: Sequence[np.ndarray], special: Specials, most: int) -> "Ragged":
        """Texts, each cut to ``most`` tokens with those that it gets around it."""
        ended = [special.ended(text, most) for text in texts]
        # A vocabulary of speech may have no names for its times.
        kind = np.min_scalar_type(max(special.size - 1, *(text.max() for text in ended)))
        ended = [text.astype(kind) for text in ended]
        lengths = [len(text) for text in ended]
        return cls(np.concatenate(ended), np.concatenate([[0], np.cumsum(lengths)]))

    @property
    def lengths(self) -> np.ndarray:
        """(n,), end tokens counted."""
        return np.diff(self.starts)

    def padded(self, indices: np.ndarray, length: int, pad: int) -> np.ndarray:
        """(len(indices), length) int32, filled up with ``pad``."""
        at = self.starts[indices][:, None] + np.arange(length)
        there = at < self.starts[indices + 1][:, None]
        found = self.tokens[np.minimum(at, len(self.tokens) - 1)]
        return np.where(there, found, pad).astype(np.int32)

    def subset(self, indices: np.ndarray) -> "Ragged":
        """Only these, in this order."""
        texts = [self.tokens[self.starts[i] : self.starts[i + 1]] for i in indices]
        lengths = [len(text) for text in texts]
        return Ragged(np.concatenate(texts), np.concatenate([[0], np.cumsum(lengths)]))


class Pairs:
    """Sources and targets, each filled up to one length, so that one program does for all.

    Args:
      source: n texts.
      target: as many.
      lengths: that of all sources in a batch, and that of all targets.
      pad: what they are filled up with.
    """

    def __init__(self, source: Ragged, target: Ragged, lengths: tuple[int, int], pad: int):
        self.source, self.target, self.lengths, self.pad = source, target, lengths, pad

    def __len__(self) -> int:
        """Number of pairs."""
        return len(self.source.starts) - 1

    @property
    def sizes(self) -> dict[str, np.ndarray]:
        """{"source", "target": (n,) tokens of each}."""
        return {"source": self.source.lengths, "target": self.target.lengths}

    def take(self, indices: np.ndarray) -> Batch:
        """``source`` (n, S) and ``target`` (n, T) int32, each ended and filled up."""
        indices = np.asarray(indices)
        texts = {"source": self.source, "target": self.target}
        return {
            name: text.padded(indices, length, self.pad)
            for (name, text), length in zip(texts.items(), self.lengths, strict=True)
        }

    def subset(self, indices: np.ndarray) -> "Pairs":
        """Only these, in this order."""
        source, target = (text.subset(indices) for text in (self.source, self.target))
        return Pairs(source, target, self.lengths, self.pad)

    def fingerprint(self) -> str:
        """Of every token."""
        texts = {"source": self.source, "target": self.target}
        arrays = {f"{k}.{f}": getattr(t, f) for k, t in texts.items() for f in t._fields}
        return fingerprint.digest(arrays)


def padding_note(batch: Batch, pad: int) -> str:
    """A line on how much of ``source`` and ``target`` of some examples is padding."""
    share = {name: float((batch[name] == pad).mean()) for name in ("source", "target")}
    sizes = {name: batch[name].shape[1] for name in share}
    return "padding is " + " and ".join(
        f"{share[name]:.0%} of {sizes[name]} {name} tokens" for name in share
    )
