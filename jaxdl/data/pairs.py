"""Pairs of texts of one's own: a source to read and a target to write, from tables."""

from collections.abc import Sequence

import numpy as np

from jaxdl.data import Data, length_groups, register, rows, tokens
from jaxdl.data.packed_pairs import PackedPairs
from jaxdl.data.parts import held_out
from jaxdl.data.source_target import Pairs, Ragged, Specials, specials
from jaxdl.data.spread import evenly
from jaxdl.errors import UserError

# Sources that samples are written for, and letters of each that are kept with a run.
_SHOWN, _LETTERS = 8, 2000


@register("pairs")
def pairs(
    path: str = "",
    source: str = "source",
    target: str = "target",
    source_length: int = 512,
    target_length: int = 128,
    tokenizer: str = "",
    lengths: int = 1,
    packed: bool = False,
    test_fraction: float = 0.1,
    split_seed: int = 0,
    eval_on: str = "test",
) -> Data:
    """Texts and what is to be written for each: translations, summaries, answers.

    Args:
      path: a .jsonl, .csv or .tsv, or a folder with train.jsonl, test.jsonl, validation.jsonl.
      source: the column that is read.
      target: the column that is written.
      source_length: tokens of a source at most, its end token, and what the tokenizer puts in
        front, among them; the rest is cut off. All are filled up to the longest.
      target_length: those of a target.
      tokenizer: a tokenizer.json; "" makes tokens of bytes.
      lengths: that batches may have, at most; more leave less padding (`jaxdl.data.length_groups`).
      packed: several pairs to learn from stand in a row of ``source_length`` and ``target_length``
        tokens, each for itself, in place of one that is filled up; a batch is then of rows.
      test_fraction: of a single table, the share that is held out, drawn at random.
      split_seed: of the draw.
      eval_on: "test", or "validation" for what the data bring as such, or else for as large a share
        of what is left to learn from.
    """
    if source == target:
        raise UserError(f"data.source and data.target are both {source!r}: name two columns")
    made = tokens.create(tokenizer)
    special, most = specials(made), (source_length, target_length)
    least = special.around + 1
    for name, length in (("source_length", source_length), ("target_length", target_length)):
        if length < least:
            raise UserError(
                f"data.{name}={length} must be at least {least}: a token, and the end token"
                + (", and what the tokenizer puts in front" if special.front else "")
            )
    settings = {source: "data.source", target: "data.target"}
    found = {
        part: _read(rows.read(file, (source, target), settings=settings), (source, target), made)
        for part, file in rows.parts(path).items()
    }
    texts = _divided(found, test_fraction, split_seed, eval_on)
    ragged = {
        part: [Ragged.of(side, special, n) for side, n in zip(both, most, strict=True)]
        for part, both in texts.items()
    }
    longest = lambda side: max(int(both[side].lengths.max()) for both in ragged.values())
    whole = (longest(0), longest(1))
    split = {
        part: _Shown(*both, whole, special.pad).of(made, special) for part, both in ragged.items()
    }
    notes = tuple(_cut_notes(texts, most, special.around))
    if packed:
        if lengths > 1:
            raise UserError(
                f"data.lengths={lengths} must be 1 with data.packed=True: rows have one length"
            )
        split["train"] = PackedPairs(split["train"], most)
        notes = (*notes, split["train"].note)
    length_groups.divide(split, lengths)
    return Data(**split, tokenizer=made, notes=notes)


class _Shown(Pairs):
    """`Pairs` with the texts of some of their sources, for samples."""

    sources: list[str]

    @property
    def about(self) -> dict[str, list[str]]:
        """``sources``."""
        return {"sources": self.sources}

    def of(self, tokenizer: tokens.Tokenizer, special: Specials) -> "_Shown":
        """Itself, with the texts."""
        some = self.source.padded(evenly(len(self), _SHOWN), self.lengths[0], special.pad)
        self.sources = [special.decode(tokenizer, text)[:_LETTERS] for text in some]
        return self


# The tokens of sources, and those of targets.
_Texts = tuple[list[np.ndarray], list[np.ndarray]]


def _read(table: Sequence[rows.Row], columns: tuple[str, str], made: tokens.Tokenizer) -> _Texts:
    found: _Texts = ([], [])
    for row in table:
        for column, side in zip(columns, found, strict=True):
            text = row.text(column)
            side.append(made.encode(text))
            if not len(side[-1]):
                raise UserError(f"{row.where}: {column!r} is empty")
    return found


def _divided(
    found: dict[str, _Texts], fraction: float, seed: int, eval_on: str
) -> dict[str, _Texts]:
    """ "train", and what is measured on: "test", which is the validation part if that is wanted."""
    wants = eval_on == "validation"
    given = found.get("validation") if wants else found.get("test")
    if given is not None:
        kept = {"validation": found["validation"]} if "validation" in found and not wants else {}
        return {"train": found["train"], "test": given, **kept}
    if not wants and "validation" in found:  # and no test part
        return {"train": found["train"], "test": found["validation"]}
    train = found["train"]
    if wants and "test" not in found:
        train, _ = _split_off(train, fraction, seed)
    train, test = _split_off(train, fraction, seed + wants)
    return {"train": train, "test": test}


def _split_off(texts: _Texts, fraction: float, seed: int) -> tuple[_Texts, _Texts]:
    size = len(texts[0])
    count = max(1, held_out(size, fraction))
    if count >= size:
        raise UserError(
            f"data: {size} pairs cannot be split {fraction:g} off: {size - count} would be left to "
            "learn from"
        )
    order = np.random.default_rng(seed).permutation(size)
    first, second = np.sort(order[count:]), np.sort(order[:count])
    return tuple(tuple([side[i] for i in part] for side in texts) for part in (first, second))


def _cut_notes(texts: dict[str, _Texts], most: tuple[int, int], around: int):
    for i, (name, length) in enumerate(zip(("source", "target"), most, strict=True)):
        sizes = np.array([len(text) + around for both in texts.values() for text in both[i]])
        lost = np.maximum(sizes - length, 0)
        if lost.any():
            yield (
                f"{np.count_nonzero(lost)} of {len(sizes)} {name}s are longer than "
                f"data.{name}_length={length}, and were cut: {lost.sum() / sizes.sum():.1%} of all "
                f"{name} tokens"
            )
