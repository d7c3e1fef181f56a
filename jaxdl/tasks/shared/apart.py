"""Prompts and answers as encoder-decoders take them: the one is read, the other is written.

Data bring both end to end, as language models read them. Here they are taken apart again, on the
device, and get the special tokens of an encoder-decoder's own language.
"""

import functools
from collections.abc import Mapping

import jax
import jax.numpy as jnp

from jaxdl.data.source_target import Specials
from jaxdl.tasks.shared import answering
from jaxdl.tasks.shared.reading import Example, shifted


def reads(special: Specials, end: int, prompt: int) -> answering.Reads:
    """How texts of a prompt and an answer go through an encoder-decoder.

    Args:
      special: its special tokens.
      end: the token that ends an answer in the data.
      prompt: tokens of the longest prompt.
    """
    taken = functools.partial(examples, special, end, prompt)
    return answering.Reads(
        lambda batch: _asked(special, taken(batch)), lambda batch: _judged(special, taken(batch))
    )


def examples(special: Specials, end: int, prompt: int, batch: Mapping) -> Example:
    """What is read and what is written of texts.

    Args:
      special: the special tokens.
      end: the token that ends an answer in the data, in whose place stands ``special.end``.
      prompt: tokens of the longest prompt.
      batch: ``tokens``, ``mask`` and ``answer`` (n, T), as of `jaxdl.data.answered`.

    Returns:
      ``source`` (n, prompt + those around it), ended and filled up; ``target`` (n, T - 1 + those in
      front); ``weight`` (n, target's length), 1 for the answer's own tokens, its end among them.
    """
    tokens, mask, answer = (batch[name] for name in ("tokens", "mask", "answer"))
    before, count = (mask & ~answer).sum(axis=1), answer.sum(axis=1)
    front = jnp.asarray(special.front, jnp.int32)

    def laid(first: jax.Array, size: jax.Array, length: int) -> tuple[jax.Array, jax.Array]:
        """(n, length): ``size`` tokens from ``first`` on, behind those in front, and which."""
        place = jnp.arange(length) - len(front)
        own = (place >= 0) & (place < size[:, None])
        at = jnp.where(own, first[:, None] + place, 0)
        found = jnp.where(own, jnp.take_along_axis(tokens, at, axis=1), special.pad)
        begun = jnp.pad(front, (0, length - len(front)), constant_values=special.pad)
        return jnp.where(place < 0, begun, found).astype(jnp.int32), own

    source, _ = laid(jnp.zeros_like(before), before, prompt + special.around)
    place = jnp.arange(source.shape[1]) - len(front)
    source = jnp.where(place == before[:, None], special.end, source)
    target, own = laid(before, count, tokens.shape[1] - 1 + len(front))
    target = jnp.where(own & (target == end), special.end, target)
    return Example(source, place <= before[:, None], target, own.astype(jnp.float32))


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
