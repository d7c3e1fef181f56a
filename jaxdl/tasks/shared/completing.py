"""What a language model answers to prompts of the user's, and how it goes out as a folder."""

import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from flax import linen as nn

from jaxdl import generate, keys, pretrained
from jaxdl.data import asked
from jaxdl.data.split import Arrays
from jaxdl.data.tokens import Tokenizer
from jaxdl.generate import decoding
from jaxdl.tasks.shared.contract import Description, Run
from jaxdl.tasks.shared.splits import over_split
from jaxdl.tasks.shared.writing import rounded, shortest

# Tokens that an answer has where neither the settings nor the model's context say how many.
MANY = 256


class Completer(NamedTuple):
    """A language model that goes on from prompts.

    Attributes:
      module: that gives logits alone.
      variables: a task's state -> its own.
      tokenizer: of its texts.
      end: the token that ends an answer; None where nothing does.
      column: of a table, that has the prompts.
      tokens: of an answer at most; 0 is as many as there is room for, 256 at most.
      temperature: of sampling; 0 takes the likeliest token each time.
      top_k: tokens that are drawn from, the likeliest; 0 is all.
      top_p: what the tokens that are drawn from have together.
      beams: above 1 the likeliest answer is searched for.
    """

    module: nn.Module
    variables: Callable[[Any], Any]
    tokenizer: Tokenizer
    end: int | None
    column: str
    tokens: int = 0
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    beams: int = 1

    @property
    def context(self) -> int | None:
        """Tokens that the model sees at most; None of one that takes any number."""
        return getattr(self.module, "context", None)

    def write(self, tokens: int, state: Any, batch: Mapping, key: jax.Array) -> jax.Array:
        """Prompts (n, P) -> (n, tokens) int32; free to jit.

        Where there is ``most`` (n,), an answer has so many at most, and what follows means nothing.
        """
        how = dict(tokens=tokens, stop=self.end, prompt_mask=batch.get("prompt_mask"))
        how["max_tokens"] = batch.get("most")
        given = self.module, self.variables(state), batch["prompt"]
        if self.beams > 1:
            return generate.beam_search(*given, beams=self.beams, returned=1, **how)[0][:, 0]
        drawn = dict(temperature=self.temperature, top_k=self.top_k, top_p=self.top_p)
        return generate.sample(*given, key, **drawn, **how)

    def text(self, tokens: np.ndarray) -> str:
        """Of an answer's tokens (n,), up to its end."""
        ends = np.flatnonzero(tokens == self.end)
        tokens = tokens[: ends[0]] if len(ends) else tokens
        return self.tokenizer.decode(tokens[tokens < self.tokenizer.size])


def column(run: Run) -> str:
    """Of a table: the one that has the prompts of a run's own data, or "prompt"."""
    return run.config.data.get("prompt") or asked.PROMPT


def answer(completer: Completer, state: Any, file: str, at_once: int) -> list[Description]:
    """`Task.answer`: what is said to each prompt of a file; nothing to an empty one.

    Draws are the same each time, of as many prompts at once. Prompts of about one length are
    answered together, padded in front, by one program; of models that take no mask those of one
    length.

    Args:
      completer: of the run.
      state: the task's.
      file: as of `jaxdl.data.asked.prompts`.
      at_once: prompts that are answered side by side, at most.

    Raises:
      UserError: a file that cannot be read, or a prompt that leaves no room for an answer.
    """
    given = asked.prompts(file, completer.column)
    encoded = [completer.tokenizer.encode(prompt.text).astype(np.int32) for prompt in given]
    groups: dict[tuple[int, int], list[int]] = {}
    for i, (prompt, tokens) in enumerate(zip(given, encoded, strict=True)):
        asked.room(prompt, tokens, completer.context)
        if len(tokens):
            groups.setdefault(_shape(completer, len(tokens)), []).append(i)
    found = [""] * len(given)
    for (length, tokens), places in groups.items():
        split = _padded(completer, [encoded[i] for i in places], length, tokens)
        each = jax.jit(functools.partial(completer.write, tokens))
        key = jax.random.fold_in(keys.root(0), length)
        made = over_split(each, split, at_once, state, key)
        for i, own, most in zip(places, made, split.arrays["most"], strict=True):
            found[i] = completer.text(own[:most])
    return [
        Description(said, {asked.PROMPT: prompt.text, asked.COMPLETION: said})
        for prompt, said in zip(given, found, strict=True)
    ]


def publish(completer: Completer, state: Any, folder: Path) -> None:
    """`Task.publish`: a folder as transformers has it, what was learned by low rank merged."""
    variables = dict(jax.device_get(completer.variables(state)))
    if getattr(completer.module, "output", "tokens") == "tokens":
        # A value or a reward that it has besides is no part of who speaks.
        params = {name: x for name, x in variables["params"].items() if name != "head"}
        variables["params"] = params
    pretrained.save(completer.module, variables, folder, generation=_settings(completer))


def _settings(completer: Completer) -> generate.Settings:
    """How it answers, by transformers' names."""
    end, drawn = completer.end, completer.temperature > 0 and completer.beams == 1
    said = {"max_new_tokens": completer.tokens or MANY, "num_beams": completer.beams}
    if end is not None:
        said |= {"eos_token_id": end, "pad_token_id": end}
    if drawn:
        said |= {"do_sample": True, "temperature": float(completer.temperature)}
        said |= {"top_k": completer.top_k, "top_p": float(completer.top_p)}
    return generate.Settings.of(said)


def _shape(completer: Completer, length: int) -> tuple[int, int]:
    """What a prompt is filled up to, and the tokens of the answers to any that is, at most."""
    most = completer.tokens or MANY
    if not decoding.takes_mask(completer.module):
        return length, _most(completer, length)
    filled = rounded(length)
    return filled, min(most, _most(completer, shortest(filled)))


def _most(completer: Completer, length: int) -> int:
    """Tokens of the answer to a prompt of ``length``, at most."""
    most, context = completer.tokens or MANY, completer.context
    return most if context is None else min(most, context - length)


def _padded(completer: Completer, prompts: list[np.ndarray], length: int, tokens: int) -> Arrays:
    """``prompt`` (n, length), padding in front, and where the model takes one ``prompt_mask``.

    ``most`` (n,) is what there is room for in an answer of ``tokens``.
    """
    sizes = np.array([len(own) for own in prompts])
    pad = lambda x: np.pad(x, (length - len(x), 0))
    found = {
        "prompt": np.stack([*map(pad, prompts)]),
        "most": np.array([min(tokens, _most(completer, size)) for size in sizes], np.int32),
    }
    if decoding.takes_mask(completer.module):
        found["prompt_mask"] = np.arange(length) >= length - sizes[:, None]
    return Arrays(found)
