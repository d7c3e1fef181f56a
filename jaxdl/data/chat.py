"""Prompts and answers as cells of a table: texts, or the messages of a chat.

A chat's messages are written one below the other by a `Template`, by default each as ``role:
content`` and an empty line; a prompt of messages ends with ``assistant: ``, behind which the answer
follows. So a chat is plain text, in any tokenizer's letters.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from jaxdl.data.rows import Row
from jaxdl.errors import UserError

ROLES = ("system", "user", "assistant")


# How a message is written, and what stands in front of an answer.
MESSAGE, REPLY = "{role}: {content}\n\n", "assistant: "


class Template(NamedTuple):
    """How the messages of a chat are written as one text.

    Attributes:
      message: each, with {role} and {content} in their places.
      reply: what stands behind them all, in front of the answer.
    """

    message: str = MESSAGE
    reply: str = REPLY

    def write(self, messages: list[Mapping[str, Any]]) -> str:
        """The text that an answer follows."""
        said = (
            self.message.replace("{role}", m["role"]).replace("{content}", m["content"])
            for m in messages
        )
        return "".join([*said, self.reply])


PLAIN = Template()


def template(message: str, reply: str) -> Template:
    r"""Of settings, in which \n may stand for the end of a line.

    Raises:
      UserError: a message has no place for what it says.
    """
    for name in ("{role}", "{content}"):
        if name not in message:
            raise UserError(
                f"config.data.chat_template={message!r} has no {name}: a message is written as "
                "'{role}: {content}', or likewise"
            )
    return Template(*(text.replace("\\n", "\n") for text in (message, reply)))


def prompt(row: Row, column: str, template: Template = PLAIN) -> str:
    """The text that an answer follows, of messages by ``template``.

    Raises:
      UserError: neither a text nor messages.
    """
    if not isinstance(row.cells.get(column), list):
        return row.text(column)
    return template.write(_messages(row, column))


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
