"""What the reports of tasks on texts share."""

from typing import Any

import numpy as np
from flax import linen as nn

from jaxdl.data.tokens import Tokenizer
from jaxdl.report import attention_maps, draw

UNKNOWN = "\ufffd"

# Of an example in a list of them.
_LETTERS = 160


def printable(text: str) -> str:
    """The text with U+FFFD for what no page can show."""
    return "".join(c if c.isprintable() or c in "\n\t" else UNKNOWN for c in text)


def one_line(example: Any) -> str:
    """The ``texts`` of an example, cut to what a line has room for."""
    text = " | ".join(" ".join(text.split()) for text in example.texts)
    return printable(text if len(text) <= _LETTERS else text[: _LETTERS - 1] + "…")


def pieces(tokenizer: Tokenizer, tokens: np.ndarray) -> list[str]:
    """What each of the tokens (n,) adds to the text; U+FFFD for ids that are none of its own."""
    known = np.flatnonzero(tokens < tokenizer.size)
    found = dict(zip(known, tokenizer.pieces(tokens[known]), strict=True))
    return [found.get(i, UNKNOWN) for i in range(len(tokens))]


def along(nats: np.ndarray, weight: np.ndarray, xlabel: str) -> draw.Picture:
    """Mean nats of each place in the window; both (windows, T)."""
    count = weight.sum(axis=0)
    places = np.flatnonzero(count)
    mean = (nats * weight).sum(axis=0)[places] / count[places]
    return draw.curves("nats a token", {"evaluation": (places + 1, mean)}, xlabel=xlabel)


def attention(
    module: nn.Module, variables: Any, seen_1xT: np.ndarray, text: str
) -> dict[str, draw.Picture]:
    """How the tokens of a text look at one another, by its name in the report; {} without maps."""
    maps = attention_maps.collect(module, variables, seen_1xT)
    if not maps:
        return {}
    return {"Attention": attention_maps.picture(maps, f"In the text {printable(text)!r}.")}
