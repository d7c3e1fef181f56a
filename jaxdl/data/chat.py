"""Prompts and answers as cells of a table: texts, or the messages of a chat.

A chat's messages are written one below the other, each as ``role: content`` and an empty line; a
prompt of messages ends with ``assistant: ``, behind which the answer follows. So a chat is plain
text, in any tokenizer's letters.
"""

from collections.abc import Mapping
from typing import Any

from jaxdl.data.rows import Row
from jaxdl.errors import UserError

ROLES = ("system", "user", "assistant")


def prompt(row: Row, column: str) -> str:
    """The text that an answer follows.

    Raises:
      UserError: neither a text nor messages.
    """
    if not isinstance(row.cells.get(column), list):
        return row.text(column)
    said = [f"{m['role']}: {m['content']}\n\n" for m in _messages(row, column)]
    return "".join([*said, "assistant: "])


def answer(row: Row, column: str) -> str:
    """An answer: a text, or one message of the assistant's.

    Raises:
      UserError: neither.
    """
    if not isinstance(row.cells.get(column), list):
        return row.text(column)
    found = _messages(row, column)
    if len(found) != 1 or found[0]["role"] != "assistant":
        raise UserError(f"{row.where}: {column!r} must be one message, of the assistant's")
    return found[0]["content"]


def _messages(row: Row, column: str) -> list[Mapping[str, Any]]:
    found = row.cells[column]
    if not found:
        raise UserError(f"{row.where}: {column!r} has no messages")
    for message in found:
        is_one = isinstance(message, Mapping) and message.get("role") in ROLES
        if not is_one or not isinstance(message.get("content"), str):
            raise UserError(
                f"{row.where}: {column!r} must be messages, each {{'role': one of "
                f"{', '.join(ROLES)}, 'content': a text}}"
            )
    return found
