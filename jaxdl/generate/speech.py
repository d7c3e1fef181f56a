"""What Whisper is asked for by the tokens that its texts begin with, and what it then writes.

A text begins with [start, language, task, no timestamps], of which some may be left out. Radford et
al., 2022, section 2.3; defaults are those of transformers' generate.
"""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from jaxdl import keys
from jaxdl.errors import UserError, nearest
from jaxdl.generate.beams import beam_search
from jaxdl.generate.languages import code
from jaxdl.generate.settings import SPEECH, Settings
from jaxdl.generate.text import sample
from jaxdl.generate.timestamps import Timestamps
from jaxdl.registry import choose


class Speech(NamedTuple):
    """The special tokens of a vocabulary of speech, and what is asked for by them.

    Attributes:
      start: the token that begins every text.
      end: the token that ends a text; those before it are words, those behind it special.
      languages: {code, such as "en": its token}; {} of models of one language.
      tasks: {"transcribe" and "translate": its token}.
      no_timestamps: the token that says that no times are wanted; those behind it are times. None
        where no file says it.
      latest_start: of `Timestamps`.
      forced: tokens behind the first where neither language nor task is asked for; None for a
        language that is to be detected.
      language: the code that is asked for; None to detect it.
      task: that is asked for; None for that of the model's own.
      previous: the token in front of what was said before; None where no file says it.
      conditions: whether the text before a window is shown to the model.
      prompted: whether the words that are told beforehand are shown with the text before each
        window, and not before the first alone.
      alignment: heads that look at what is being said, each a layer of the decoder and a head; ()
        where no file says them.
      tells_words: whether the times of words are asked for.
    """

    start: int
    end: int
    languages: Mapping[str, int]
    tasks: Mapping[str, int]
    no_timestamps: int | None
    latest_start: int | None
    forced: tuple[int | None, ...]
    language: str | None
    task: str | None
    previous: int | None = None
    conditions: bool = False
    prompted: bool = False
    alignment: tuple[tuple[int, int], ...] = ()
    tells_words: bool = False

    @classmethod
    def of(cls, settings: Settings) -> "Speech":
        """Those of a published folder (`jaxdl.pretrained.generation`).

        Raises:
          UserError: the settings are not of Whisper's, or ask for what there is not.
        """
        said = settings.others
        end = settings.eos_token_id
        if type(end) is not int or settings.decoder_start_token_id is None:
            raise UserError(
                "settings of speech need decoder_start_token_id and one eos_token_id: these are of "
                "another model"
            )
        languages = {
            name.removeprefix("<|").removesuffix("|>"): token
            for name, token in _table(said, "lang_to_id").items()
        }
        tasks = _table(said, "task_to_id")
        language, task = said.get("language"), said.get("task")
        if language is not None:
            _check_several("language", language, languages)
            language = code(str(language), languages)
        if task is not None:
            _check("task", task, tasks)
        forced = [] if language or task else said.get("forced_decoder_ids") or []
        if [place for place, _ in forced] != list(range(1, len(forced) + 1)):
            raise UserError(f"forced_decoder_ids={forced} are not of the places 1, 2, …")
        conditions = said.get("condition_on_prev_tokens")
        if conditions not in (None, True, False):
            raise UserError(f"condition_on_prev_tokens={conditions!r} must be true or false")
        where = choose("prompt_condition_type", said.get("prompt_condition_type") or _FIRST, _WHERE)
        if where and not conditions:
            raise UserError(
                "prompt_condition_type=all-segments needs condition_on_prev_tokens=true: without, "
                "the words told beforehand stand before every window"
            )
        previous = said.get("prev_sot_token_id")
        if previous is None and len(settings.suppress_tokens or ()) > 1:
            previous = settings.suppress_tokens[-2]  # as transformers has it of older folders
        return cls(
            start=settings.decoder_start_token_id,
            end=end,
            languages=languages,
            tasks=tasks,
            no_timestamps=said.get("no_timestamps_token_id"),
            latest_start=said.get("max_initial_timestamp_index"),
            forced=tuple(token for _, token in forced),
            language=language,
            task=task,
            previous=previous,
            conditions=bool(conditions),
            prompted=where,
            alignment=_heads(said),
            tells_words=bool(said.get("return_token_timestamps")),
        )

    @property
    def detects(self) -> bool:
        """Whether the language is to be detected."""
        is_open = self.forced[:1] in ((), (None,))
        return self.language is None and bool(self.languages) and is_open

    @property
    def timestamps(self) -> Timestamps:
        """The rules of the times.

        Raises:
          UserError: nothing says which tokens are times.
        """
        if self.no_timestamps is None:
            raise UserError(
                "there are no times without no_timestamps_token_id in generation_config.json"
            )
        return Timestamps(self.no_timestamps + 1, self.end, self.latest_start)

    def prompt(self, detected: np.ndarray, timestamps: bool) -> np.ndarray:
        """What the texts of a batch begin with, (batch, P) int32.

        Args:
          detected: (batch,) tokens of languages; they count where the language is to be detected.
          timestamps: whether times are wanted.
        """
        begin = [self.start, *self.forced]
        if self.language is not None:
            begin[1:2] = [self.languages[self.language]]
        elif self.detects:
            begin[1:2] = [None]
        if self.task is not None:
            begin.append(self.tasks[self.task])
        elif self.language is not None and "transcribe" in self.tasks:
            begin.append(self.tasks["transcribe"])
        if timestamps and begin[-1] == self.no_timestamps:
            begin.pop()
        elif not timestamps and self.no_timestamps not in (None, begin[-1]):
            begin.append(self.no_timestamps)
        rows = np.repeat(
            np.array([[-1 if x is None else x for x in begin]], np.int32), len(detected), 0
        )
        return np.where(rows < 0, np.asarray(detected, np.int32)[:, None], rows)


# Where words that are told beforehand stand, and whether before each window.
_FIRST = "first-segment"
_WHERE = {_FIRST: False, "all-segments": True}


def _table(said: Mapping[str, Any], name: str) -> dict[str, int]:
    found = said.get(name) or {}
    if not isinstance(found, Mapping) or not all(type(x) is int for x in found.values()):
        raise UserError(f"{name} must hold tokens by name")
    return dict(found)


def _heads(said: Mapping[str, Any]) -> tuple[tuple[int, int], ...]:
    found = said.get("alignment_heads") or []
    pair = lambda x: isinstance(x, list | tuple) and [type(n) for n in x] == [int, int]
    if not isinstance(found, list | tuple) or not all(map(pair, found)):
        raise UserError(f"alignment_heads={found!r} must be pairs of a layer and a head")
    if said.get("return_token_timestamps") and not found:
        raise UserError(
            "return_token_timestamps=true: generation_config.json does not say which heads look at "
            "what is being said: it needs alignment_heads, such as [[2, 2], [3, 0]]"
        )
    return tuple((layer, head) for layer, head in found)


def _check_several(name: str, value: Any, known: Mapping[str, int]) -> None:
    if not known:
        raise UserError(f"{name}={value!r}: this model knows one language alone")


def _check(name: str, value: str, known: Mapping[str, int]) -> None:
    _check_several(name, value, known)
    if value not in known:
        raise UserError(f"{name}={value!r}: {nearest(str(value), known)}")


class Written(NamedTuple):
    """Texts of a batch of windows.

    Attributes:
      tokens: (batch, tokens) int32, without the prompt.
      log_p: (batch,) float32, the mean over each text's tokens, the one that ends it among them.
    """

    tokens: np.ndarray
    log_p: np.ndarray


@functools.partial(jax.jit, static_argnames="module")
def encode(module: nn.Module, variables: Any, spectrogram: jax.Array) -> jax.Array:
    """(batch, frames, bands) -> (batch, states, width)."""
    return module.apply(variables, spectrogram, method="encode")


@functools.partial(jax.jit, static_argnames="module")
def first_logits(module: nn.Module, variables: Any, encoded: jax.Array, start: int) -> jax.Array:
    """Logits (batch, vocabulary) of what follows the token ``start``: languages, and no speech."""
    tokens = jnp.full((len(encoded), 1), start, jnp.int32)
    return module.apply(variables, tokens, encoded, method="decode")[:, 0]


@functools.partial(jax.jit, static_argnames="module")
def logits_behind(
    module: nn.Module, variables: Any, encoded: jax.Array, prompt: jax.Array, mask: jax.Array
) -> jax.Array:
    """`first_logits` (batch, vocabulary) behind prompts (batch, P), padding in front."""
    read = module.source_length(encoded.shape[1])
    cache = module.init_cache(len(prompt), prompt.shape[1], read)
    logits, _ = module.apply(variables, prompt, encoded, None, mask, cache=cache, method="decode")
    return logits[:, -1]


def detect(speech: Speech, logits: Any) -> np.ndarray:
    """Tokens of the likeliest languages, (batch,) int32, by `first_logits`; 0 if none is known."""
    tokens = np.array([*speech.languages.values()], np.int32)
    if not len(tokens):
        return np.zeros(len(logits), np.int32)
    return tokens[np.asarray(logits)[:, tokens].argmax(1)]


def write(
    module: nn.Module,
    variables: Any,
    settings: Settings,
    encoded: jax.Array,
    prompt: np.ndarray,
    *,
    prompt_mask: np.ndarray | None = None,
    timestamps: bool = False,
    temperature: float = 0.0,
    key: jax.Array | None = None,
) -> Written:
    """What is said in windows: greedy or by beams at temperature 0, otherwise drawn.

    Args:
      module: Whisper, or another encoder-decoder of sounds.
      variables: its own.
      settings: of the folder.
      encoded: (batch, states, width), of `encode`.
      prompt: (batch, P), of `Speech.prompt`, or with what was said before in front of it.
      prompt_mask: (batch, P), False where there is padding, in front.
      timestamps: whether times are written.
      temperature: at least 0.
      key: typed random key, for temperatures above 0.

    Raises:
      UserError: as `jaxdl.generate.by_settings`.
    """
    speech, P, context = Speech.of(settings), prompt.shape[1], module.context
    taken = P if prompt_mask is None else int(prompt_mask.sum(1).max())
    if settings.max_new_tokens is None and settings.max_length is not None:
        # The prompt is not counted, but has to have room.
        most = min(settings.max_length, context - (P if prompt_mask is None else 1))
        settings = dataclasses.replace(settings, max_new_tokens=most)
    how = alone(settings).how(P)
    room = how["tokens"]
    if prompt_mask is not None:
        # One program for prompts of all lengths: how many tokens each leaves room for is data.
        room = min(room, context - taken)
        how |= dict(max_tokens=room, prompt_mask=prompt_mask)
    if timestamps:
        how["timestamps"] = speech.timestamps
    if settings.num_beams > 1 and not temperature:
        texts, _, log_p = beam_search(
            module, variables, prompt, encoded=encoded, beams=settings.num_beams, returned=1,
            length_penalty=settings.length_penalty, early_stopping=settings.early_stopping,
            scored=True, **how,
        )  # fmt: skip
        texts = np.asarray(texts[:, 0, :room])
        return Written(texts, np.asarray(log_p[:, 0]) / _lengths(texts, speech.end))
    drawn = dict(top_k=settings.top_k, top_p=settings.top_p) if temperature else {}
    texts, log_p = sample(
        module, variables, prompt, keys.root(0) if key is None else key, encoded=encoded,
        temperature=temperature, scored=True, **drawn, **how,
    )  # fmt: skip
    texts = np.asarray(texts[:, :room])
    return Written(texts, np.asarray(log_p) / _lengths(texts, speech.end))


def alone(settings: Settings) -> Settings:
    """How texts are written, without what is asked for by the tokens that they begin with."""
    own = {name: x for name, x in settings.others.items() if name not in SPEECH}
    return dataclasses.replace(settings, others=own)


def _lengths(texts: np.ndarray, end: int) -> np.ndarray:
    """Of each row, the token that ends it among them."""
    ended = texts == end
    return np.where(ended.any(1), ended.argmax(1) + 1, texts.shape[1])
