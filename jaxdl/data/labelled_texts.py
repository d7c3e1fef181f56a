"""Texts with a class each, or pairs of texts, as an encoder takes them."""

import copy
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxdl.data import Data, encoded_texts, length_groups, register, rows, tokens
from jaxdl.data.parts import stratified
from jaxdl.data.split import Arrays
from jaxdl.errors import UserError, nearest


class Example(NamedTuple):
    """A text and its class.

    Attributes:
      texts: one, or two that are read together.
      label: the name of the class.
      where: it is from, for messages.
    """

    texts: tuple[str, ...]
    label: str
    where: str = ""


class LabelledTexts(Arrays):
    """Examples in memory, all of one length.

    ``take`` gives ``tokens`` (n, context) int32, ``mask`` (n, context) bool, ``label`` (n,) int32
    and, of pairs, ``segments`` (n, context) int32 (`jaxdl.data.encoded_texts.stacked`).

    Args:
      examples: of classes in ``class_names``.
      class_names: by the numbers of the labels.
      encoded: the examples' tokens.
      special: the special tokens.
      context: tokens of an example, special ones among them.
    """

    def __init__(
        self,
        examples: Sequence[Example],
        class_names: Sequence[str],
        encoded: Sequence[encoded_texts.Encoded],
        special: encoded_texts.Specials,
        context: int,
    ):
        number = {name: i for i, name in enumerate(class_names)}
        arrays = encoded_texts.stacked(encoded, special, context)
        if all(len(example.texts) == 1 for example in examples):
            del arrays["segments"]
        labels = np.array([number[example.label] for example in examples], np.int32)
        super().__init__({**arrays, "label": labels})
        self.examples, self.context = examples, context
        self.sizes = encoded_texts.sizes(self.arrays)

    def subset(self, indices: np.ndarray) -> "LabelledTexts":
        """Only these, in this order."""
        made = copy.copy(self)
        made.arrays = self.take(indices)
        made.examples = [self.examples[i] for i in indices]
        made.sizes = encoded_texts.sizes(made.arrays)
        if (groups := length_groups.of(self)) is not None:
            made.length_groups = groups.subset(indices)
        return made

    @property
    def about(self) -> dict[str, int]:
        """``context``."""
        return {"context": self.context}


def data(
    train: Sequence[Example],
    test: Sequence[Example],
    validation: Sequence[Example] | None,
    *,
    context: int,
    tokenizer: str,
    lengths: int,
) -> Data:
    """Data of texts that are divided; classes are numbered in the order of their names.

    Args:
      train: to learn from; its classes are all that there are.
      test: to be measured on.
      validation: to choose by; None where ``test`` does for both.
      context: tokens of an example, special ones among them; what is longer is cut.
      tokenizer: of `jaxdl.data.tokens.create`: a tokenizer.json, "bpe:4000", or "" for bytes.
      lengths: that batches may have, at most (`jaxdl.data.length_groups`).

    Raises:
      UserError: a class that there is nothing to learn of, or one only, or too short a context.
    """
    parts = {"train": train, "test": test, "validation": validation}
    parts = {name: examples for name, examples in parts.items() if examples is not None}
    encoded_texts.check_context(context, max(len(e.texts) for p in parts.values() for e in p))
    class_names = ordered({example.label for example in train})
    if len(class_names) < 2:
        raise UserError(f"data: there is only one class to learn, {class_names[0]!r}")
    for example in (e for part in parts.values() for e in part):
        if example.label not in class_names:
            raise UserError(
                f"{example.where}: no text to learn from has label {example.label!r}: "
                f"{nearest(example.label, class_names)}"
            )
    made = tokens.create(tokenizer, (text for e in train for text in e.texts))
    special = encoded_texts.specials(made)
    encoded = {
        name: [encode(example.texts, made, special, context) for example in examples]
        for name, examples in parts.items()
    }
    splits = {
        name: LabelledTexts(examples, class_names, encoded[name], special, context)
        for name, examples in parts.items()
    }
    length_groups.divide(splits, lengths)
    every = [example for part in parts.values() for example in part]
    notes = encoded_texts.cut_note([text for part in encoded.values() for text in part], context)
    return Data(
        **splits, class_names=class_names, tokenizer=made, notes=(*notes, *_empty_note(every))
    )


def _empty_note(examples: Sequence[Example]) -> tuple[str, ...]:
    """Says how many have no text, if any, and where the first stands."""
    empty = [example for example in examples if not "".join(example.texts).strip()]
    if not empty:
        return ()
    where = f", the first: {empty[0].where}" if empty[0].where else ""
    return (f"{len(empty)} of {len(examples)} texts are empty{where}",)


def encode(
    texts: Sequence[str], tokenizer: Any, special: encoded_texts.Specials, context: int
) -> encoded_texts.Encoded:
    """One text or two between special tokens, ``context`` tokens at most."""
    return encoded_texts.wrapped([tokenizer.encode(text) for text in texts], special, context)


def ordered(labels: set[str]) -> tuple[str, ...]:
    """The names of classes, by name, or by number where all are numbers."""
    if all(label.lstrip("-").isdecimal() and label.isascii() for label in labels):
        return tuple(sorted(labels, key=int))
    return tuple(sorted(labels))


@register("labelled_texts")
def labelled_texts(
    path: str = "",
    text: str = "text",
    second: str = "",
    label: str = "label",
    context: int = 128,
    tokenizer: str = "",
    lengths: int = 1,
    test_fraction: float = 0.1,
    split_seed: int = 0,
    eval_on: str = "test",
) -> Data:
    """A table of texts with labels: .jsonl, .csv or .tsv; or a folder with train, test, validation.

    Args:
      path: the table or folder (`jaxdl.data.rows.parts`).
      text: the column of the texts.
      second: the column of a text that is read together with the first; "" where there is none.
      label: the column of the classes: names or whole numbers.
      context: tokens of an example, special ones among them; what is longer is cut.
      tokenizer: of `jaxdl.data.tokens.create`: a tokenizer.json, "bpe:4000", or "" for bytes.
      lengths: that batches may have, at most; more leave less padding (`jaxdl.data.length_groups`).
      test_fraction: that is held out where there is no table to be measured on.
      split_seed: of the draw.
      eval_on: "test", or "validation" for the table of that name, or a share of what is left.
    """
    columns = [text, *([second] if second else [])]
    settings = {text: "data.text", second: "data.second", label: "data.label"}
    found = {
        part: [
            Example(tuple(map(row.text, columns)), row.label(label), row.where)
            for row in rows.read(file, (*columns, label), settings=settings)
        ]
        for part, file in rows.parts(path).items()
    }
    train, test, validation = (found.get(part) for part in ("train", "test", "validation"))
    held_out = lambda examples, seed: _drawn(examples, test_fraction, seed, path)
    if validation is not None and (test is None or eval_on == "validation"):
        test, validation = validation, None
    elif eval_on == "validation":
        if test is None:
            train, _ = held_out(train, split_seed)
        train, test = held_out(train, split_seed + 1)
    elif test is None:
        train, test = held_out(train, split_seed)
    return data(train, test, validation, context=context, tokenizer=tokenizer, lengths=lengths)


def _drawn(
    examples: Sequence[Example], fraction: float, seed: int, path: str
) -> tuple[list[Example], list[Example]]:
    labels = np.array([example.label for example in examples])
    try:
        first, second = stratified(labels, fraction, seed)
    except ValueError as error:
        raise UserError(
            f"data.path={path!r}: {len(examples)} texts cannot be split {fraction:g} off: {error}"
        ) from None
    return [examples[i] for i in first], [examples[i] for i in second]
