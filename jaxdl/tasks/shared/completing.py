"""What a model answers to prompts of the user's, and how it goes out as a folder.

A language model goes on from a prompt, and an encoder-decoder writes an answer to it.
"""

import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from flax import linen as nn

from jaxdl import generate, keys, pretrained
from jaxdl.data import asked, chat
from jaxdl.data.split import Arrays
from jaxdl.data.tokens import Tokenizer
from jaxdl.generate import decoding
from jaxdl.tasks.shared.contract import Description, Run
from jaxdl.tasks.shared.splits import over_split
from jaxdl.tasks.shared.writing import rounded, shortest

# Tokens that an answer has where neither the settings nor the model's context say how many.
MANY = 256


def behind(batch: Mapping) -> dict[str, Any]:
    """What `jaxdl.generate.sample` takes of prompts that a language model goes on from."""
    return dict(prompt=batch["prompt"], prompt_mask=batch.get("prompt_mask"))


class Completer(NamedTuple):
    """A model that answers prompts.

    Attributes:
      module: that gives logits alone.
      variables: a task's state -> its own.
      tokenizer: of its texts.
      end: the token that ends an answer, as the model writes it; None where nothing does.
      column: of a table, that has the prompts.
      tokens: of an answer at most; 0 is as many as there is room for, 256 at most.
      temperature: of sampling; 0 takes the likeliest token each time.
      top_k: tokens that are drawn from, the likeliest; 0 is all.
      top_p: what the tokens that are drawn from have together.
      beams: above 1 the likeliest answer is searched for.
      given: ``prompt`` (n, P), and ``prompt_mask`` if the model takes one -> what
        `jaxdl.generate.sample` takes of them.
      around: tokens of its own that an encoder-decoder reads around a prompt, and as many begin its
        answer; None of a language model, whose answer stands behind the prompt.
      published: how it writes otherwise, for the folder that it goes out as.
      template: how prompts are written that are lists of messages.
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
    given: Callable[[Mapping], dict[str, Any]] = behind
    around: int | None = None
    published: generate.Settings = generate.Settings()
    template: chat.Template = chat.PLAIN

    @property
    def context(self) -> int | None:
        """Tokens that a prompt has less than; None of a model that takes any number."""
        context = getattr(self.module, "context", None)
        return context if None in (context, self.around) else context - self.around + 1

    def write(self, tokens: int, state: Any, batch: Mapping, key: jax.Array) -> jax.Array:
        """Prompts (n, P) -> (n, tokens) int32; free to jit.

        Where there is ``most`` (n,), an answer has so many at most, and what follows means nothing.
        """
        model = self.module, self.variables(state)
        how = dict(tokens=tokens, stop=self.end, max_tokens=batch.get("most"), **self.given(batch))
        if self.beams > 1:
            return generate.beam_search(*model, beams=self.beams, returned=1, **how)[0][:, 0]
        drawn = dict(temperature=self.temperature, top_k=self.top_k, top_p=self.top_p)
        return generate.sample(*model, key=key, **drawn, **how)

    def text(self, tokens: np.ndarray) -> str:
        """Of an answer's tokens (n,), up to its end."""
        ends = np.flatnonzero(tokens == self.end)
        tokens = tokens[: ends[0]] if len(ends) else tokens
        return self.tokenizer.decode(tokens[tokens < self.tokenizer.size])


def column(run: Run) -> str:
    """Of a table: the one that has the prompts of a run's own data, or "prompt"."""
    return run.config.data.get("prompt") or asked.PROMPT


def template(run: Run) -> chat.Template:
    """How a run's own data write prompts that are lists of messages."""
    given = run.config.data.get
    return chat.template(given("chat_template", chat.MESSAGE), given("chat_reply", chat.REPLY))


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
    given = asked.prompts(file, completer.column, completer.template)
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
        beside = "score" if decoding.reads_source(completer.module) else "head"
        params = {name: x for name, x in variables["params"].items() if name != beside}
        variables["params"] = params
    pretrained.save(completer.module, variables, folder, generation=_settings(completer))


def _settings(completer: Completer) -> generate.Settings:
    """How it answers, by transformers' names."""
    end, drawn = completer.end, completer.temperature > 0 and completer.beams == 1
    said = dict(completer.published.said())
    said |= {"max_new_tokens": completer.tokens or MANY, "num_beams": completer.beams}
    if end is not None and completer.around is None:
        said |= {"eos_token_id": end, "pad_token_id": end}
    if drawn:
        said |= {"do_sample": True, "temperature": float(completer.temperature)}
        said |= {"top_k": completer.top_k, "top_p": float(completer.top_p)}
    return generate.Settings.of(said)


def _shape(completer: Completer, length: int) -> tuple[int, int]:
    """What a prompt is filled up to, and the tokens of the answers to any that is, at most."""
    if not decoding.takes_mask(completer.module):
        return length, _most(completer, length)
    filled, context = rounded(length), completer.context
    if completer.around is not None and context is not None:
        filled = min(filled, context - 1)
    return filled, _most(completer, shortest(filled))


def _most(completer: Completer, length: int) -> int:
    """Tokens of the answer to a prompt of ``length``, at most."""
    most, context = completer.tokens or MANY, completer.context
    if context is None:
        return most
    # An encoder-decoder has as much room for what is written as for what is read.
    return min(most, context - (length if completer.around is None else 1))


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
