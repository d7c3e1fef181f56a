"""Prompts to answer, and answers to judge: files of the user's for `--mode=predict`."""

from typing import NamedTuple

import numpy as np
from etils import epath

from jaxdl.data import chat, lines, rows
from jaxdl.data.answered import Answered, Vocabulary, check_row, cut_note, ended
from jaxdl.data.tokens import Tokenizer
from jaxdl.errors import UserError

# The columns of what `--mode=predict` writes of prompts, and data set "completions" reads.
PROMPT, COMPLETION = "prompt", "completion"


class Prompt(NamedTuple):
    """What is to be answered.

    Attributes:
      text: a chat's as `jaxdl.data.chat` writes it.
      where: it stands, for messages.
    """

    text: str
    where: str


class Judged(NamedTuple):
    """Answers that are to be judged.

    Attributes:
      prompts: n texts.
      answers: n texts.
      texts: both as tokens, end to end.
      notes: on what was cut.
    """

    prompts: list[str]
    answers: list[str]
    texts: Answered
    notes: tuple[str, ...]


def prompts(file: str, column: str, template: chat.Template = chat.PLAIN) -> list[Prompt]:
    """Those of a file, in order: a line each, or the cells of a table's column.

    Args:
      file: text, or a table that `jaxdl.data.rows` reads.
      column: of a table: texts, or in .jsonl lists of messages.
      template: of these.

    Raises:
      UserError: no such file, or one that cannot be read.
    """
    path = epath.Path(file)
    if path.suffix.lower() in rows.SUFFIXES:
        found = rows.read(path, (column,))
        return [Prompt(chat.prompt(row, column, template), row.where) for row in found]
    found = enumerate(lines.texts(file, column), 1)
    return [Prompt(text, f"{file}, line {number}") for number, text in found]


def answers(
    file: str,
    column: str,
    tokenizer: Tokenizer,
    vocabulary: Vocabulary,
    context: int,
    template: chat.Template = chat.PLAIN,
) -> Judged:
    """A table's prompts with an answer each, from the column "completion".

    Args:
      file: a table that `jaxdl.data.rows` reads.
      column: of the prompts.
      tokenizer: of both.
      vocabulary: of the tokens.
      context: of a text; answers are cut to it.
      template: of prompts that are lists of messages.

    Raises:
      UserError: no such table, an empty text, or a prompt that leaves no room.
    """
    columns = (column, COMPLETION)
    said = [
        (chat.prompt(row, column, template), chat.answer(row, COMPLETION), row.where)
        for row in rows.read(file, columns)
    ]
    encode = lambda text: tokenizer.encode(text).astype(np.int32)
    fronts, behind = [], []
    for prompt, answer, where in said:
        fronts.append(encode(prompt))
        behind.append(encode(answer))
        check_row(where, fronts[-1], behind[-1], context)
    behind = [ended(tokens, vocabulary.end) for tokens in behind]
    texts = Answered.of(fronts, behind, context)
    notes = cut_note([texts], [behind], context)
    return Judged([row[0] for row in said], [row[1] for row in said], texts, notes)


def room(prompt: Prompt, tokens: np.ndarray, context: int | None) -> None:
    """Raises UserError where a prompt leaves a model no room to answer.

    Args:
      prompt: of a file.
      tokens: of it.
      context: of the model; None of one that takes texts of any length.
    """
    if context is not None and len(tokens) >= context:
        raise UserError(
            f"{prompt.where}: the prompt has {len(tokens)} tokens, and the model's context of "
            f"{context} leaves no room for an answer"
        )
