"""Prompts with an answer to each, as models read them: one text, of which the answer counts.

An answer is ended by a token of its own, so that a model learns where to stop. It is the one that
the tokenizer has for it, such as <|endoftext|> of GPT-2's, or else the first id behind its own.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jaxdl.data.source_target import Ragged
from jaxdl.data.split import Batch
from jaxdl.data.tokens import Tokenizer
from jaxdl.errors import UserError

# What a tokenizer.json may call it: as GPT-2 has it, as T5, as chats, as BERT.
_ENDS = ("<|endoftext|>", "</s>", "<|im_end|>", "[SEP]")


class Vocabulary(NamedTuple):
    """The tokens of prompts and answers.

    Attributes:
      size: of all tokens; ids are 0 … size - 1.
      end: ends each answer; None where all are of one length.
    """

    size: int
    end: int | None


def vocabulary(tokenizer: Tokenizer) -> Vocabulary:
    """The tokens of a tokenizer, and the one that ends an answer; of bytes it is 256."""
    known = [token for name in _ENDS if (token := tokenizer.id_of(name)) is not None]
    return Vocabulary(tokenizer.size, known[0]) if known else Vocabulary(
        tokenizer.size + 1, tokenizer.size
    )  # fmt: skip


class Answered(NamedTuple):
    """Prompts and answers, end to end.

    Attributes:
      text: each prompt with its answer behind it.
      front: (n,) tokens of each prompt.
    """

    text: Ragged
    front: np.ndarray

    @classmethod
    def of(
        cls, prompts: Sequence[np.ndarray], answers: Sequence[np.ndarray], context: int
    ) -> "Answered":
        """Texts of ``context`` tokens at most; what an answer has beyond is cut off.

        Args:
          prompts: n arrays of tokens, each shorter than the context.
          answers: as many, with the tokens that end them.
          context: of a text.
        """
        pairs = zip(prompts, answers, strict=True)
        texts = [np.concatenate([a, b])[:context].astype(np.int32) for a, b in pairs]
        starts = np.concatenate([[0], np.cumsum([len(text) for text in texts])])
        return cls(Ragged(np.concatenate(texts), starts), np.array([len(p) for p in prompts]))

    def padded(self, indices: np.ndarray, length: int) -> Batch:
        """Texts filled up behind, with zeros.

        Returns:
          ``tokens`` (n, length) int32; ``mask`` (n, length) bool, False in padding; ``answer``
          (n, length) bool, True at the tokens of the answer alone.
        """
        tokens, place = self.text.padded(indices, length, 0), np.arange(length)[None]
        mask = place < self.text.lengths[indices][:, None]
        return {
            "tokens": tokens,
            "mask": mask,
            "answer": mask & (place >= self.front[indices][:, None]),
        }

    def prompts(self, indices: np.ndarray, length: int) -> Batch:
        """Prompts filled up in front, as they are gone on from.

        Returns:
          ``prompt`` (n, length) int32 and ``prompt_mask`` (n, length) bool, False in padding.
        """
        skipped = length - self.front[indices]
        place = np.arange(length)[None] - skipped[:, None]
        at = self.text.starts[indices][:, None] + np.maximum(place, 0)
        found = np.where(place >= 0, self.text.tokens[at], 0).astype(np.int32)
        return {"prompt": found, "prompt_mask": place >= 0}


def check_row(where: str, prompt: np.ndarray, answer: np.ndarray, context: int) -> None:
    """Raises UserError for a prompt or an answer of nothing, or a prompt that leaves no room.

    Args:
      where: the row stands, for the message.
      prompt: tokens.
      answer: tokens, without an end.
      context: of a text.
    """
    for name, tokens in (("prompt", prompt), ("answer", answer)):
        if not len(tokens):
            raise UserError(f"{where}: the {name} is empty")
    if len(prompt) >= context:
        raise UserError(
            f"{where}: the prompt has {len(prompt)} tokens, and config.data.context={context} "
            f"leaves no room for an answer: set {len(prompt) + 1} at least"
        )


def ended(tokens: np.ndarray, end: int | None) -> np.ndarray:
    """An answer's tokens (n,) with the one that ends it, where there is one."""
    return tokens if end is None else np.append(tokens, np.int32(end))


def cut_note(
    answered: Sequence[Answered], answers: Sequence[Sequence[np.ndarray]], context: int
) -> tuple[str, ...]:
    """A line on the answers that were cut to fit into a context; none if none was."""
    cut = total = 0
    for kept, whole in zip(answered, answers, strict=True):
        lost = np.array([len(a) for a in whole]) + kept.front - kept.text.lengths
        cut, total = cut + int((lost > 0).sum()), total + len(lost)
    if not cut:
        return ()
    return (f"{cut} of {total} answers did not fit into config.data.context={context}: cut",)
