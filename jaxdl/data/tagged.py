"""Sentences with a tag a word, as a tagger takes them: a label at each word's first token."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from jaxdl.data import Data, documents, encoded_texts, fingerprint, length_groups, tokens
from jaxdl.data.encoded_texts import Encoded, Specials
from jaxdl.data.split import Batch
from jaxdl.data.tag_schemes import OUTSIDE, all_tags, bio, entities
from jaxdl.data.tokens import Tokenizer
from jaxdl.errors import UserError, nearest

# The label of what counts for nothing: special tokens, padding, all of a word but its first token.
IGNORED = -1


class Sentence(NamedTuple):
    """Words with their tags.

    Attributes:
      words: texts without white space at their ends, none of them empty.
      tags: one a word, in any scheme of `jaxdl.data.tag_schemes`.
      where: it is from, for messages.
      document: that it is a part of.
    """

    words: Sequence[str]
    tags: Sequence[str]
    where: str
    document: object = None


class Placed(NamedTuple):
    """The tokens of a sentence.

    Attributes:
      encoded: between special tokens.
      first: (words,) the place of each word's first token, -1 of one that was cut off or that the
        tokenizer has no token for.
    """

    encoded: Encoded
    first: np.ndarray


def placed(words: Sequence[str], tokenizer: Tokenizer, special: Specials, context: int) -> Placed:
    """Words with spaces between them as ``context`` tokens at most."""
    ids, places = tokenizer.encode_in_place(" ".join(words))
    ends = np.cumsum([len(word) + 1 for word in words]) - 1
    starts = ends - [len(word) for word in words]
    # The first token that reaches into the word; tokens stand in order.
    at = np.searchsorted(places[:, 1], starts, side="right")
    there = at < len(ids)
    there[there] = places[at[there], 0] < ends[there]
    encoded = encoded_texts.wrapped([ids], special, context)
    first = np.where(there & (at < encoded.kept[0]), at + encoded.starts[0], -1)
    return Placed(encoded, first)


class Tagged:
    """Sentences that a tagger learns from or is measured on.

    Args:
      sentences: with tags of ``class_names``.
      class_names: the tags by their labels.
      tokenizer: of the words.
      context: tokens of an example, special ones among them.
    """

    def __init__(
        self,
        sentences: Sequence[Sentence],
        class_names: Sequence[str],
        tokenizer: Tokenizer,
        context: int,
    ):
        special = encoded_texts.specials(tokenizer)
        self.sentences, self.context = sentences, context
        made = [placed(sentence.words, tokenizer, special, context) for sentence in sentences]
        self.first = [one.first for one in made]
        self.encoded = [one.encoded for one in made]
        self._arrays = encoded_texts.stacked(self.encoded, special, context)
        del self._arrays["segments"]  # there is but one
        labels = np.full((len(sentences), context), IGNORED, np.int32)
        numbers = {name: i for i, name in enumerate(class_names)}
        for row, sentence, first in zip(labels, sentences, self.first, strict=True):
            row[first[first >= 0]] = np.array([numbers[tag] for tag in sentence.tags])[first >= 0]
        self._arrays["labels"] = labels
        self.sizes = encoded_texts.sizes(self._arrays)

    def __len__(self) -> int:
        """Sentences."""
        return len(self.sentences)

    def take(self, indices: np.ndarray) -> Batch:
        """``tokens``, ``mask`` and ``labels`` (n, context), the last `IGNORED` where none is."""
        return {name: array[indices] for name, array in self._arrays.items()}

    @property
    def about(self) -> dict[str, int]:
        """``context``."""
        return {"context": self.context}

    def fingerprint(self) -> str:
        """Of every word and tag, and how they are cut."""
        words = [word for sentence in self.sentences for word in (*sentence.words, "\n")]
        tags = [tag for sentence in self.sentences for tag in sentence.tags]
        return fingerprint.digest({"words": words, "tags": tags, **self._arrays})

    def tags_of(self, labels: np.ndarray, class_names: Sequence[str]) -> list[list[str]]:
        """The tags that ``labels`` (n, context) give to the words of every sentence, in order.

        Words without a token of their own, as those that were cut off, are outside.
        """
        pairs = zip(labels, self.first, strict=True)
        return [words_tags(row, first, class_names) for row, first in pairs]


def words_tags(labels: np.ndarray, first: np.ndarray, class_names: Sequence[str]) -> list[str]:
    """The tags of words whose first tokens stand at ``first``, of ``labels`` (context,)."""
    return [class_names[labels[at]] if at >= 0 else OUTSIDE for at in first]


def data(
    parts: Mapping[str, list[Sentence]],
    where: str,
    *,
    context: int,
    tokenizer: str,
    lengths: int,
    test_fraction: float,
    eval_on: str,
) -> Data:
    """Sentences by part as data for a tagger, whose classes are the tags of IOB2.

    Args:
      parts: "train", and "test" and "validation" where they are there; tags in any scheme.
      where: their name, for messages.
      context: tokens of an example.
      tokenizer: of `jaxdl.data.tokens.create`: a tokenizer.json, "bpe:4000", or "" for bytes.
      lengths: that batches may have, at most; more leave less padding (`jaxdl.data.length_groups`).
      test_fraction: the end, that is held out where there is no test part.
      eval_on: "test" or "validation".

    Raises:
      UserError: too few sentences, no entities to learn from, or others in a further part.
    """
    encoded_texts.check_context(context)
    found = documents.divided(parts, lambda s: s.document, test_fraction, eval_on, where)
    kinds = {entity.kind for sentence in found.train for entity in entities(sentence.tags)}
    if not kinds:
        raise UserError(f"{where}: all words of the training part are outside: no tag to learn")
    class_names = all_tags(kinds)
    made = tokens.create(tokenizer, (" ".join(sentence.words) for sentence in found.train))
    splits = {}
    for part, sentences in found._asdict().items():
        if sentences is not None:
            known = [_in_iob2(sentence, kinds) for sentence in sentences]
            splits[part] = Tagged(known, class_names, made, context)
    length_groups.divide(splits, lengths)
    encoded = [one for split in splits.values() for one in split.encoded]
    notes = encoded_texts.cut_note(encoded, context)
    return Data(**splits, class_names=class_names, tokenizer=made, notes=notes)


def _in_iob2(sentence: Sentence, kinds: set[str]) -> Sentence:
    found = entities(sentence.tags)
    for entity in found:
        if entity.kind not in kinds:
            raise UserError(
                f"{sentence.where}: no entity of the training part is {entity.kind!r}: "
                f"{nearest(entity.kind, kinds)}"
            )
    return sentence._replace(tags=bio(found, len(sentence.words)))
