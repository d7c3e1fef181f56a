"""Texts as an encoder takes them: [CLS] first [SEP], or [CLS] first [SEP] second [SEP].

Devlin et al., 2018, figure 2. All are of one length, so that one program does for all: what is too
long is cut, what is shorter is filled up with [PAD], which the mask tells from it.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from jaxdl.data.tokens import Tokenizer
from jaxdl.errors import UserError

# What a tokenizer.json may call them: as BERT has it, or as RoBERTa.
_NAMES = {
    "pad": ("[PAD]", "<pad>"),
    "cls": ("[CLS]", "<s>"),
    "sep": ("[SEP]", "</s>"),
    "mask": ("[MASK]", "<mask>"),
}
MASK = _NAMES["mask"][0]


class Specials(NamedTuple):
    """The tokens that are no part of a text.

    Attributes:
      pad: fills a text up.
      cls: begins it; a classifier reads its features.
      sep: ends it, and each of two.
      mask: stands in the place of a token that is to be guessed.
      size: of all tokens, these among them; ids are 0 … size - 1.
      appended: the names of those that the tokenizer does not have: they got ids behind its own.
    """

    pad: int
    cls: int
    sep: int
    mask: int
    size: int
    appended: tuple[str, ...]

    @property
    def ids(self) -> tuple[int, ...]:
        """All of them."""
        return self.pad, self.cls, self.sep, self.mask


def specials(tokenizer: Tokenizer) -> Specials:
    """The special tokens of a tokenizer; those that it does not have are appended behind its own.

    Bytes have none: there [PAD], [CLS], [SEP] and [MASK] are 256, 257, 258 and 259.
    """
    ids, appended, size = {}, [], tokenizer.size
    for field, names in _NAMES.items():
        known = [found for name in names if (found := tokenizer.id_of(name)) is not None]
        if not known:
            appended.append(names[0])
            known, size = [size], size + 1
        ids[field] = known[0]
    return Specials(**ids, size=size, appended=tuple(appended))


def mask_name(tokenizer: Tokenizer) -> str:
    """What a tokenizer calls the token of `Specials.mask`; MASK where it has none."""
    return next((name for name in _NAMES["mask"] if tokenizer.id_of(name) is not None), MASK)


class Encoded(NamedTuple):
    """One text, or two, between special tokens.

    Attributes:
      tokens: (n,) int32, n at most the length that was asked for; without padding.
      segments: (n,) int32: 1 for the second text and the [SEP] behind it.
      starts: where each text begins in ``tokens``.
      kept: the tokens of each that are there, its first.
      lost: those that were cut off its end.
    """

    tokens: np.ndarray
    segments: np.ndarray
    starts: tuple[int, ...]
    kept: tuple[int, ...]
    lost: tuple[int, ...]


def wrapped(texts: Sequence[np.ndarray], special: Specials, length: int) -> Encoded:
    """One text or two with [CLS] in front and [SEP] behind each, of ``length`` tokens at most.

    Of two that are too long together the longer is cut first, as the tokenizers library does it by
    "longest_first".

    Args:
      texts: the tokens (n,) of each.
      special: of `specials`.
      length: at least one more than there are texts.
    """
    kept = _kept([len(text) for text in texts], length - 1 - len(texts))
    tokens, segments, starts, at = [[special.cls]], [0], [], 1
    for segment, (text, size) in enumerate(zip(texts, kept, strict=True)):
        starts.append(at)
        tokens += [text[:size], [special.sep]]
        segments += [segment] * (size + 1)
        at += size + 1
    lost = tuple(len(text) - size for text, size in zip(texts, kept, strict=True))
    joined = np.concatenate([np.asarray(part, np.int32) for part in tokens])
    return Encoded(joined, np.array(segments, np.int32), tuple(starts), kept, lost)


def _kept(lengths: Sequence[int], room: int) -> tuple[int, ...]:
    """How much is left of one text or two in ``room`` tokens."""
    if sum(lengths) <= room:
        return tuple(lengths)
    if len(lengths) == 1:
        return (room,)
    short, long = sorted(lengths)
    long = short if short > room else max(short, room - short)
    if short + long > room:
        short, long = room // 2, room // 2 + room % 2
    return (long, short) if lengths[0] > lengths[1] else (short, long)


def stacked(texts: Sequence[Encoded], special: Specials, length: int) -> dict[str, np.ndarray]:
    """Texts of `wrapped` as arrays of one length, filled up.

    Returns:
      ``tokens`` (n, length) int32, ``segments`` (n, length) int32, 0 in padding, and ``mask``
      (n, length) bool, False in padding.
    """
    tokens = np.full((len(texts), length), special.pad, np.int32)
    segments = np.zeros((len(texts), length), np.int32)
    mask = np.zeros((len(texts), length), bool)
    for i, text in enumerate(texts):
        size = len(text.tokens)
        tokens[i, :size], segments[i, :size], mask[i, :size] = text.tokens, text.segments, True
    return {"tokens": tokens, "segments": segments, "mask": mask}


def sizes(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """{array: (n,) tokens of each example in it}, of those as long as ``mask`` (n, length)."""
    own = arrays["mask"].sum(axis=1)
    return {name: own for name, x in arrays.items() if x.shape == arrays["mask"].shape}


def cut_note(texts: Sequence[Encoded], length: int, limit: str = "data.context") -> tuple[str, ...]:
    """A line on the texts that were longer than the ``limit`` of ``length``; none if none was."""
    lost = [sum(text.lost) for text in texts]
    cut = sum(n > 0 for n in lost)
    if not cut:
        return ()
    share = sum(lost) / (sum(lost) + sum(sum(text.kept) for text in texts))
    return (
        f"{cut} of {len(texts)} texts are longer than {limit}={length} has room for, and were "
        f"cut: {share:.1%} of all tokens",
    )


def check_context(context: int, texts: int = 1) -> None:
    """Raises UserError unless ``data.context`` has room for a token of each of so many texts."""
    least = 1 + 2 * texts
    if context < least:
        raise UserError(
            f"data.context={context} must be at least {least}: [CLS], and a token and [SEP] of "
            + ("each text" if texts > 1 else "the text")
        )
