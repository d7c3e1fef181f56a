"""Prompts and answers as encoder-decoders take them: the one is read, the other is written.

Data bring both end to end, as language models read them. Here they are taken apart again, on the
device, and get the special tokens of an encoder-decoder's own language.
"""

import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl.data.source_target import Specials
from jaxdl.tasks.shared import answering
from jaxdl.tasks.shared.reading import Example, shifted


def reads(
    special: Specials, end: int | None, prompt: int, answer: int = 0, silent: tuple[int, ...] = ()
) -> answering.Reads:
    """How texts of a prompt and an answer go through an encoder-decoder.

    Args:
      special: its special tokens.
      end: the token that ends an answer in the data; None where nothing does.
      prompt: tokens of the longest prompt.
      answer: of the longest answer; 0 is all of a text but the first.
      silent: tokens that no answer has.
    """
    taken = functools.partial(examples, special, end, prompt, answer=answer)
    return answering.Reads(
        lambda batch: _asked(special, taken(batch)),
        lambda batch: _judged(special, taken(batch)),
        functools.partial(_given, special, silent),
        special.end,
        special.around,
        silent,
    )


def silent(special: Specials, words: int, tokens: int, end: int | None) -> tuple[int, ...]:
    """The tokens of a model that no answer has: those that are no words, but for the end.

    Args:
      special: the special tokens.
      words: tokens of the tokenizer, whose ids are 0 … words - 1.
      tokens: of the model.
      end: the token that ends an answer in the data, in whose place stands ``special.end``; None
        where nothing does.
    """
    said = {*range(words)} - {special.pad, special.start, special.end, end, *special.front}
    said |= set() if end is None else {special.end}
    return tuple(sorted({*range(tokens)} - said))


def examples(
    special: Specials, end: int | None, prompt: int, batch: Mapping, answer: int = 0
) -> Example:
    """What is read and what is written of texts.

    Args:
      special: the special tokens.
      end: the token that ends an answer in the data, in whose place stands ``special.end``; None
        where nothing does.
      prompt: tokens of the longest prompt.
      batch: ``tokens``, ``mask`` and ``answer`` (n, T), as of `jaxdl.data.answered`, or filled up
        in front.
      answer: tokens of the longest answer; 0 is T - 1.

    Returns:
      ``source`` (n, prompt + those around it), ended and filled up; ``target`` (n, answer + those
      in front); ``weight`` (n, target's length), 1 for the answer's own tokens, its end among them.
    """
    tokens, mask, said = (batch[name] for name in ("tokens", "mask", "answer"))
    first, before, count = mask.argmax(axis=1), (mask & ~said).sum(axis=1), said.sum(axis=1)
    answer = answer or tokens.shape[1] - 1
    front = jnp.asarray(special.front, jnp.int32)

    def laid(first: jax.Array, size: jax.Array, length: int) -> tuple[jax.Array, jax.Array]:
        """(n, length): ``size`` tokens from ``first`` on, behind those in front, and which."""
        place = jnp.arange(length) - len(front)
        own = (place >= 0) & (place < size[:, None])
        at = jnp.where(own, first[:, None] + place, 0)
        found = jnp.where(own, jnp.take_along_axis(tokens, at, axis=1), special.pad)
        begun = jnp.pad(front, (0, length - len(front)), constant_values=special.pad)
        return jnp.where(place < 0, begun, found).astype(jnp.int32), own

    source, _ = laid(first, before, prompt + special.around)
    place = jnp.arange(source.shape[1]) - len(front)
    source = jnp.where(place == before[:, None], special.end, source)
    target, own = laid(first + before, count, answer + len(front))
    if end is not None:
        target = jnp.where(own & (target == end), special.end, target)
    return Example(source, place <= before[:, None], target, own.astype(jnp.float32))


def _given(special: Specials, silent: tuple[int, ...], batch: Mapping) -> dict[str, Any]:
    """The encoder reads the prompt, and the decoder goes on from what all texts begin with."""
    prompt, mask = jnp.asarray(batch["prompt"]), jnp.asarray(batch["prompt_mask"])
    text = {"tokens": prompt, "mask": mask, "answer": jnp.zeros(mask.shape, bool)}
    read = examples(special, None, prompt.shape[1], text, answer=1)
    begin = np.tile(np.array([[special.start, *special.front]], np.int32), (len(prompt), 1))
    return dict(
        prompt=begin, source=read.source, source_mask=read.source_mask, suppressed=silent or None
    )


def _asked(special: Specials, example: Example) -> answering.Asked:
    inputs = example.source, shifted(example.target, special), example.source_mask
    return answering.Asked(inputs, example.target, example.weight)


def _judged(special: Specials, example: Example) -> answering.Judged:
    """The whole answer is read by the decoder, behind its start."""
    start = jnp.full((len(example.target), 1), special.start, jnp.int32)
    written = jnp.concatenate([start, example.target], axis=1)
    count = len(special.front) + example.weight.sum(axis=1, keepdims=True)
    mask = jnp.arange(written.shape[1]) <= count
    return answering.Judged((example.source, written, example.source_mask), mask)
