"""Pairs of answers of which one was preferred, and prompts with the answer that is to be given."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxdl.data import Data, answered, chat, documents, fingerprint, register, rows, tokens
from jaxdl.data.answered import Answered, Vocabulary
from jaxdl.data.packed import Packed
from jaxdl.data.split import Batch
from jaxdl.errors import UserError

_ABOUT = ("context", "room", "prompt_length", "vocabulary", "end")


class _Row(NamedTuple):
    """Of a table: a prompt and the answers to it, as tokens; those have their end."""

    prompt: np.ndarray
    answers: tuple[np.ndarray, ...]
    where: str


class Preferences:
    """Prompts, each with an answer that was preferred to another.

    Args:
      chosen: n prompts with the better answers.
      rejected: the same prompts with the worse.
      lengths: tokens that all prompts, and all texts, are filled up to, and of the longest text
        that there might be, for which a model is made.
      vocabulary: of the tokens.
      weight: (n,) of the pairs; None is 1 each.
    """

    def __init__(
        self,
        chosen: Answered,
        rejected: Answered,
        lengths: tuple[int, int, int],
        vocabulary: Vocabulary,
        weight: np.ndarray | None = None,
    ):
        self.chosen, self.rejected = chosen, rejected
        self.prompt_length, self.context, self.room = lengths
        self.vocabulary, self.end = vocabulary
        self.weight = np.ones(len(self), np.float32) if weight is None else weight

    def __len__(self) -> int:
        """Pairs."""
        return len(self.chosen.front)

    def take(self, indices: np.ndarray) -> Batch:
        """Pairs, the chosen answer in front of the rejected one, and their prompts.

        ``tokens`` (n, 2, T) int32, ``mask`` and ``answer`` (n, 2, T) bool as
        `jaxdl.data.answered.Answered.padded` has them; ``prompt`` (n, P) int32 and ``prompt_mask``
        (n, P) bool, filled up in front; ``weight`` (n,) float32.
        """
        indices = np.asarray(indices)
        both = [side.padded(indices, self.context) for side in (self.chosen, self.rejected)]
        texts = {name: np.stack([side[name] for side in both], axis=1) for name in both[0]}
        prompts = self.chosen.prompts(indices, self.prompt_length)
        return {**texts, **prompts, "weight": self.weight[indices]}

    @property
    def about(self) -> dict[str, Any]:
        """``context``, ``room``, ``prompt_length``, ``vocabulary`` and ``end``."""
        return {name: getattr(self, name) for name in _ABOUT}

    def fingerprint(self) -> str:
        """Of every token."""
        sides = {"chosen": self.chosen, "rejected": self.rejected}
        arrays = {f"{k}.{f}": getattr(x.text, f) for k, x in sides.items() for f in x.text._fields}
        return fingerprint.digest({**arrays, "front": self.chosen.front, "weight": self.weight})


class Completions:
    """Prompts with an answer each, of which only the answer is to be learned.

    Args:
      texts: n prompts with their answers.
      lengths: as of `Preferences`.
      vocabulary: of the tokens.
      size: bytes of all answers.
    """

    def __init__(
        self, texts: Answered, lengths: tuple[int, int, int], vocabulary: Vocabulary, size: int
    ):
        self.texts = texts
        # A text of T tokens has T - 1 that follow another.
        self.prompt_length, self.context, self.room = lengths[0], lengths[1] - 1, lengths[2]
        self.vocabulary, self.end = vocabulary
        self.bytes_per_token = size / len(self.tokens)

    def __len__(self) -> int:
        """Texts."""
        return len(self.texts.front)

    @property
    def tokens(self) -> np.ndarray:
        """Those that count, one answer behind the other."""
        inside = self.texts.padded(np.arange(len(self)), self.context + 1)
        return inside["tokens"][inside["answer"]]

    def take(self, indices: np.ndarray) -> Batch:
        """``tokens`` (n, context + 1) int32, and ``weight`` (n, context) float32.

        The weight of a prediction is 1 where the answer's tokens are predicted, the first of them
        by the prompt's last, and 0 in the prompt and in padding.
        """
        found = self.texts.padded(np.asarray(indices), self.context + 1)
        return {"tokens": found["tokens"], "weight": found["answer"][:, 1:].astype(np.float32)}

    @property
    def about(self) -> dict[str, Any]:
        """As of `Preferences`, and ``bytes_per_token``."""
        return {name: getattr(self, name) for name in (*_ABOUT, "bytes_per_token")}

    def fingerprint(self) -> str:
        """Of every token."""
        text = self.texts.text
        return fingerprint.digest({**text._asdict(), "front": self.texts.front})


@register("preferences")
def preferences(
    path: str = "",
    prompt: str = "prompt",
    chosen: str = "chosen",
    rejected: str = "rejected",
    context: int = 512,
    tokenizer: str = "",
    chat_template: str = chat.MESSAGE,
    chat_reply: str = chat.REPLY,
    test_fraction: float = 0.1,
    eval_on: str = "test",
) -> Data:
    """A table of prompts with two answers each, the better and the worse.

    Args:
      path: a .jsonl, .csv or .tsv, or a folder with train.jsonl, test.jsonl, validation.jsonl.
      prompt: the column of the prompts: texts, or in .jsonl lists of messages (`jaxdl.data.chat`).
      chosen: that of the answers that were preferred: texts, or lists of one message.
      rejected: that of the others.
      context: tokens of a prompt with its answer, the end among them; answers are cut to fit.
      tokenizer: of `jaxdl.data.tokens.create`: a tokenizer.json, "bpe:4000", or "" for bytes.
      chat_template: how each message of a prompt is written, {role} and {content} in their places;
        \\n ends a line.
      chat_reply: what stands behind the messages, in front of the answer.
      test_fraction: of a single table, the end, which is held out; pairs of one prompt that lie
        together stay together.
      eval_on: "test", or "validation" for what the data bring as such, or else for as large a share
        of what is left to learn from.
    """
    template = chat.template(chat_template, chat_reply)
    columns = prompt, chosen, rejected
    found = _read(path, columns, context, tokenizer, template, test_fraction, eval_on)
    return found.data(
        lambda part, lengths: Preferences(
            *(_answered(part, side, context) for side in (0, 1)), lengths, found.vocabulary
        )
    )


@register("completions")
def completions(
    path: str = "",
    prompt: str = "prompt",
    completion: str = "completion",
    context: int = 512,
    tokenizer: str = "",
    packed: bool = False,
    chat_template: str = chat.MESSAGE,
    chat_reply: str = chat.REPLY,
    test_fraction: float = 0.1,
    eval_on: str = "test",
) -> Data:
    """A table of prompts with the answer that is to be given to each.

    Args:
      path: as of `preferences`; so are the others.
      prompt: the column of the prompts.
      completion: the column of the answers: texts, or lists of one message.
      context: tokens of a prompt with its answer.
      tokenizer: of `jaxdl.data.tokens.create`.
      packed: several texts stand in a row of ``context`` tokens, each for itself, in place of one
        that is filled up; a batch is then of rows.
      chat_template: as of `preferences`; so is chat_reply.
      chat_reply: in front of the answer.
      test_fraction: that is held out, of a single table.
      eval_on: "test" or "validation".
    """
    template, columns = chat.template(chat_template, chat_reply), (prompt, completion)
    found = _read(path, columns, context, tokenizer, template, test_fraction, eval_on)

    def split(part: Sequence[_Row], lengths: tuple[int, int, int]) -> Completions | Packed:
        size = sum(len(found.tokenizer.decode(row.answers[0][:-1]).encode()) for row in part)
        texts = _answered(part, 0, context)
        if packed:
            return Packed(texts, (lengths[0], context), found.vocabulary, size)
        return Completions(texts, lengths, found.vocabulary, size)

    made = found.data(split)
    return made._replace(notes=(*made.notes, _said_of(made.train))) if packed else made


def _said_of(rows: Packed) -> str:
    """How full rows are, for people."""
    return (
        f"{len(rows)} rows of {rows.room} tokens to learn from, {rows.full:.0%} of which are texts"
    )


class _Table(NamedTuple):
    """What was read: rows by part, and what their tokens are."""

    parts: Mapping[str, Sequence[_Row]]
    tokenizer: Any
    vocabulary: Vocabulary
    context: int

    def data(self, split: Callable[[Sequence[_Row], tuple[int, int]], Any]) -> Data:
        """Each part's rows as a split, all filled up to the same lengths."""
        every = [row for part in self.parts.values() for row in part]
        sides = range(len(every[0].answers))
        texts = [_answered(every, side, self.context) for side in sides]
        longest = max(int(x.text.lengths.max()) for x in texts)
        lengths = int(texts[0].front.max()), longest, self.context
        whole = [[row.answers[side] for row in every] for side in sides]
        notes = answered.cut_note(texts, whole, self.context)
        splits = {name: split(part, lengths) for name, part in self.parts.items()}
        return Data(**splits, tokenizer=self.tokenizer, notes=notes)


def _read(
    path: str, columns: tuple[str, ...], context: int, tokenizer: str, template: chat.Template,
    test_fraction: float, eval_on: str,
) -> _Table:  # fmt: skip
    twice = next((name for name in columns if columns.count(name) > 1), None)
    if twice is not None:
        raise UserError(f"data: two columns are both {twice!r}: name different ones")
    if context < 2:
        raise UserError(f"data.context={context} must be at least 2: a prompt and an answer")
    files = rows.parts(path)
    read = lambda file: [_said(row, columns, template) for row in rows.read(file, columns)]
    said = {part: read(file) for part, file in files.items()}
    made = tokens.create(tokenizer, (text for row in said["train"] for text in row[:-1]))
    known = answered.vocabulary(made)
    encoded = {
        part: [_encoded(row, made, known, context) for row in table] for part, table in said.items()
    }
    parts = documents.divided(
        encoded, lambda row: row.prompt.tobytes(), test_fraction, eval_on, f"data.path={path!r}"
    )
    kept = {name: part for name, part in parts._asdict().items() if part is not None}
    return _Table(kept, made, known, context)


def _said(row: rows.Row, columns: tuple[str, ...], template: chat.Template) -> tuple[str, ...]:
    """The texts of a row, and where it stands."""
    prompt, *answers = columns
    found = [chat.prompt(row, prompt, template), *(chat.answer(row, each) for each in answers)]
    if len(answers) > 1 and found[1] == found[2]:
        raise UserError(
            f"{row.where}: {answers[0]!r} and {answers[1]!r} are equal: neither is the better"
        )
    return (*found, row.where)


def _encoded(said: tuple[str, ...], tokenizer: Any, vocabulary: Vocabulary, context: int) -> _Row:
    prompt, *answers = (tokenizer.encode(text).astype(np.int32) for text in said[:-1])
    for answer in answers:
        answered.check_row(said[-1], prompt, answer, context)
    whole = tuple(answered.ended(answer, vocabulary.end) for answer in answers)
    if len({answer[: context - len(prompt)].tobytes() for answer in whole}) < len(whole):
        raise UserError(
            f"{said[-1]}: both answers are equal once they are cut to config.data.context="
            f"{context}: set more"
        )
    return _Row(prompt, whole, said[-1])


def _answered(part: Sequence[_Row], side: int, context: int) -> Answered:
    return Answered.of([row.prompt for row in part], [row.answers[side] for row in part], context)
