"""How a checkpoint's texts are to be written, as transformers' generation_config.json says it."""

import dataclasses
from collections.abc import Mapping
from typing import Any, get_args, get_origin

import jax
import numpy as np
from flax import linen as nn

from jaxdl.errors import UserError
from jaxdl.generate import decoding, requests
from jaxdl.generate.beams import beam_search
from jaxdl.generate.text import greedy, sample
from jaxdl.generate.timestamps import Timestamps

# Tokens that are added where nothing says how many, as in transformers.
_MANY = 20

# Settings that would make other texts and that nothing here does, with the values that ask for
# nothing besides None.
_NEUTRAL: dict[str, tuple] = dict(
    assistant_confidence_threshold=(0.4,),
    constraints=([],),
    diversity_penalty=(0,),
    dola_layers=(),
    encoder_no_repeat_ngram_size=(0,),
    encoder_repetition_penalty=(1,),
    epsilon_cutoff=(0,),
    eta_cutoff=(0,),
    exponential_decay_length_penalty=(),
    force_words_ids=([],),
    guidance_scale=(1,),
    max_time=(),
    min_p=(0,),
    num_beam_groups=(1,),
    penalty_alpha=(0,),
    prompt_lookup_num_tokens=(),
    renormalize_logits=(False,),
    sequence_bias=({},),
    stop_strings=([],),
    token_healing=(False,),
    top_h=(),
    typical_p=(1,),
    watermarking_config=(),
)

# Settings of speech, which `jaxdl.generate.speech` and `jaxdl.inference.transcribe` read.
SPEECH = (
    "language",
    "task",
    "return_timestamps",
    "return_token_timestamps",
    "compression_ratio_threshold",
    "logprob_threshold",
    "no_speech_threshold",
    "initial_prompt",
    "condition_on_prev_tokens",
    "prompt_condition_type",
)

# The tokens of a vocabulary of speech, which say what is asked for; no setting of how texts are
# written, but published with them.
VOCABULARY = (
    "is_multilingual",
    "lang_to_id",
    "task_to_id",
    "forced_decoder_ids",
    "no_timestamps_token_id",
    "prev_sot_token_id",
    "max_initial_timestamp_index",
    "alignment_heads",
)


@dataclasses.dataclass(frozen=True)
class Settings:
    """What generation_config.json says; names and defaults are transformers'.

    Attributes:
      decoder_start_token_id: the token that every target of an encoder-decoder begins with.
      bos_token_id: the same, where that one is not said.
      eos_token_id: a token that ends a text, or several that do.
      pad_token_id: what follows it; the token that ended the text if None.
      max_new_tokens: tokens that are added at most.
      max_length: that many with the prompt's, where ``max_new_tokens`` is not said; 20 are added
        where neither is.
      min_new_tokens: tokens that are added before one that ends the text.
      min_length: that many with the prompt's, where ``min_new_tokens`` is not said.
      do_sample: whether tokens are drawn.
      temperature: of what they are drawn from, like the next two.
      top_k: the likeliest tokens; 0 is all.
      top_p: of those the likeliest that have so much together.
      num_beams: above 1 texts are found by beam search.
      num_return_sequences: texts of a prompt.
      length_penalty: of beam search, like the next.
      early_stopping: when it ends.
      no_repeat_ngram_size: 0 is none; the rest as of `jaxdl.generate.Rules`.
      repetition_penalty: 1 is none.
      forced_bos_token_id: the token that follows a prompt of one.
      forced_eos_token_id: the last token of a text that has no room for more.
      bad_words_ids: rows of tokens that never stand in this order.
      suppress_tokens: those that are never added.
      begin_suppress_tokens: those that are not the first that is added and not forced.
      others: what else the file says, by name. It is kept as it is; what would make other texts,
        and is not done here, is refused where texts are made.
    """

    decoder_start_token_id: int | None = None
    bos_token_id: int | None = None
    eos_token_id: int | tuple[int, ...] | None = None
    pad_token_id: int | None = None
    max_new_tokens: int | None = None
    max_length: int | None = None
    min_new_tokens: int | None = None
    min_length: int = 0
    do_sample: bool = False
    temperature: float = 1.0
    top_k: int = 50
    top_p: float = 1.0
    num_beams: int = 1
    num_return_sequences: int = 1
    length_penalty: float = 1.0
    early_stopping: bool | str = False
    no_repeat_ngram_size: int = 0
    repetition_penalty: float = 1.0
    forced_bos_token_id: int | None = None
    forced_eos_token_id: int | tuple[int, ...] | None = None
    bad_words_ids: tuple[tuple[int, ...], ...] | None = None
    suppress_tokens: tuple[int, ...] | None = None
    begin_suppress_tokens: tuple[int, ...] | None = None
    others: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> "Settings":
        """Those of a file's keys; null is not said.

        Raises:
          UserError: a value is none of its kind.
        """
        own = [field for field in dataclasses.fields(cls) if field.name != "others"]
        fields = {
            field.name: _as_declared(field, found[field.name])
            for field in own
            if found.get(field.name) is not None
        }
        names = {field.name for field in own}
        return cls(**fields, others={k: x for k, x in found.items() if k not in names})

    def said(self) -> dict[str, Any]:
        """The file's keys: all that differs from the defaults, and the others."""
        fields = {f.name: f for f in dataclasses.fields(self) if f.name != "others"}
        listed = lambda x: [*map(listed, x)] if isinstance(x, tuple) else x
        own = {name: listed(getattr(self, name)) for name in fields}
        return {k: x for k, x in own.items() if x != fields[k].default} | dict(self.others)

    def start(self, batch: int) -> np.ndarray:
        """The prompts of ``batch`` targets of an encoder-decoder, (batch, 1) int32.

        Raises:
          UserError: there is no token that they begin with.
        """
        token = self.decoder_start_token_id
        token = self.bos_token_id if token is None else token
        if token is None:
            raise UserError(
                "no token begins a text, decoder_start_token_id or bos_token_id: give a prompt"
            )
        return np.full((batch, 1), token, np.int32)

    def how(self, prompt: int) -> dict[str, Any]:
        """Keywords of `sample`, `greedy` and `beam_search` that all have, for prompts so long.

        Raises:
          UserError: one of the others would make other texts, or there is no room behind the
            prompts.
        """
        for name, value in self.others.items():
            neutral = _NEUTRAL.get(name)
            if neutral is not None and value is not None and value not in neutral:
                raise UserError(f"{name}={value!r}: texts are not written so here")
            if name in SPEECH and value not in (None, False):
                raise UserError(
                    f"{name}={value!r} is of speech, which jaxdl.inference.transcribe writes"
                )
        tokens, least = self.max_new_tokens, self.min_new_tokens
        if tokens is None:
            tokens = _MANY if self.max_length is None else self.max_length - prompt
            if tokens < 1:
                raise UserError(
                    f"max_length={self.max_length} leaves no room behind prompts of {prompt} tokens"
                )
        least = max(0, self.min_length - prompt) if least is None else least
        stop = self.eos_token_id
        last = self.forced_eos_token_id
        if isinstance(last, tuple):
            if len(last) != 1:
                raise UserError(f"forced_eos_token_id={list(last)} must be one token")
            (last,) = last
        how = dict(
            tokens=tokens,
            stop=stop,
            pad=None if stop is None else self.pad_token_id,
            min_tokens=least if least and stop is not None else None,
            no_repeat_ngram_size=self.no_repeat_ngram_size or None,
            repetition_penalty=None if self.repetition_penalty == 1 else self.repetition_penalty,
            forced_first=self.forced_bos_token_id if prompt == 1 else None,
            forced_last=last,
            bad_words=self.bad_words_ids,
            suppressed=self.suppress_tokens,
            suppressed_first=self.begin_suppress_tokens,
        )
        return {name: value for name, value in how.items() if value is not None}


def by_settings(
    module: nn.Module,
    variables: Any,
    settings: Settings,
    prompt: Any = None,
    *,
    key: jax.Array | None = None,
    prompt_mask: Any = None,
    source: Any = None,
    source_mask: Any = None,
    timestamps: Timestamps | None = None,
) -> np.ndarray | jax.Array:
    """Texts as a checkpoint's settings want them: greedy, drawn, or by beam search.

    >>> settings = pretrained.generation("t5-small/")
    >>> texts = by_settings(module, variables, settings, source=tokens, source_mask=mask)

    Args:
      module: as of `jaxdl.generate.sample`, like what is not named here.
      variables: its own.
      settings: `Settings`; ``dataclasses.replace(settings, num_beams=4)`` has others.
      prompt: (batch, P); an encoder-decoder's is by default the token that the settings name.
      key: typed random key, where tokens are drawn.
      prompt_mask: (batch, P).
      source: (batch, S).
      source_mask: (batch, S).
      timestamps: the rules of times, where some are written.

    Returns:
      (batch, num_return_sequences, tokens) int32 without the prompt, the best first.

    Raises:
      UserError: as `jaxdl.generate.sample`, settings that cannot be together, or no key.
    """
    if prompt is None:
        if source is None or not decoding.reads_source(module):
            raise UserError("there is no prompt that texts could go on from")
        prompt = settings.start(len(source))
    prompt = np.asarray(prompt)
    if prompt.ndim != 2:
        raise UserError(f"prompt must be (batch, tokens), got the shape {prompt.shape}")
    how = settings.how(prompt.shape[1])
    if timestamps is not None:
        how["timestamps"] = timestamps
    count = settings.num_return_sequences
    given = dict(prompt_mask=prompt_mask, source=source, source_mask=source_mask)
    if settings.num_beams > 1:
        if settings.do_sample:
            raise UserError(f"num_beams={settings.num_beams} and do_sample=True are not together")
        requests.check_beams(settings.num_beams, returned=count)
        texts, _ = beam_search(
            module, variables, prompt, beams=settings.num_beams, returned=count,
            length_penalty=settings.length_penalty, early_stopping=settings.early_stopping,
            **how, **given,
        )  # fmt: skip
        return texts
    if not settings.do_sample:
        if count != 1:
            raise UserError(
                f"num_return_sequences={count} needs num_beams={count} or do_sample=True: the "
                "likeliest tokens are one text"
            )
        return greedy(module, variables, prompt, **how, **given)[:, None]
    if key is None:
        raise UserError("do_sample=True needs a key")
    given = {k: None if x is None else np.repeat(np.asarray(x), count, axis=0)
             for k, x in given.items()}  # fmt: skip
    texts = sample(
        module, variables, np.repeat(prompt, count, axis=0), key, temperature=settings.temperature,
        top_k=settings.top_k, top_p=settings.top_p, **how, **given,
    )  # fmt: skip
    return texts.reshape(len(prompt), count, -1)


def names() -> list[str]:
    """Of all settings that are known: those that are done, and those that are refused."""
    own = [field.name for field in dataclasses.fields(Settings) if field.name != "others"]
    return sorted([*own, *_NEUTRAL, *SPEECH, *VOCABULARY])


_KINDS = {bool: "True or False", int: "a whole number", float: "a number", str: "a word"}


def _as_declared(field: dataclasses.Field, value: Any) -> Any:
    """A file's value as the field has it; tokens are a number, or a tuple of several."""
    kinds = get_args(field.type) or (field.type,)
    rows = next((get_args(kind)[0] for kind in kinds if get_origin(kind) is tuple), None)
    if rows is not None and isinstance(value, list) and (value or int not in kinds):
        whole = lambda row: isinstance(row, list) and all(type(x) is int for x in row)
        if rows is int and whole(value):
            return value[0] if len(value) == 1 and int in kinds else tuple(value) or None
        if rows is not int and all(map(whole, value)):
            return tuple(map(tuple, value)) or None
    elif type(value) in kinds or (type(value) is int and float in kinds):
        return value
    wanted = " or ".join(name for kind, name in _KINDS.items() if kind in kinds)
    wanted = wanted or ("a list of tokens" if rows is int else "a list of lists of tokens")
    raise UserError(f"{field.name}={value!r} must be {wanted}")
