"""The model of a task that writes texts, its special tokens, and how it writes."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from flax import linen as nn

from jaxdl import generate, models
from jaxdl.data import timed
from jaxdl.data.source_target import Specials
from jaxdl.errors import UserError
from jaxdl.generate import Settings, Speech, Timestamps, decoding, entries, speech
from jaxdl.pretrained import encoders, transfer
from jaxdl.tasks.shared.contract import Run
from jaxdl.tasks.shared.model import build_model
from jaxdl.tasks.shared.reading import Reader

# Settings of how texts are written that are settings of the task, by the names that these have.
_OF_TASK = {"num_beams": "beams", "max_new_tokens": "tokens", "max_length": "tokens"}


class Begin(NamedTuple):
    """What a run begins with.

    Attributes:
      start: its model and weights.
      special: the special tokens, those of the weights where these are from elsewhere.
      settings: how texts are written; has a number of tokens, and one text for each source.
      asked: the same as the weights' folder has them, to be published with other weights.
      prompt: tokens that follow the start of every text; () of all but speech.
      times: the rules of the times that texts tell; None of those that tell none.
    """

    start: transfer.Start
    special: Specials
    settings: Settings
    asked: Settings
    prompt: tuple[int, ...] = ()
    times: Timestamps | None = None


def begin(
    run: Run,
    read: Reader,
    tokens: int = 0,
    beams: int = 0,
    generation: Sequence[str] = (),
    output: str = "tokens",
) -> Begin:
    """The run's model, as the data need it, or as `config.pretrained.source` has it.

    Args:
      run: the run's config and data.
      read: how its batches are read.
      tokens: that are written at most; 0 is what the weights' folder says, or as many as the
        longest target has.
      beams: of beam search; 0 is what the folder says, or 1.
      generation: further settings of `jaxdl.generate.entries`, in place of the folder's.
      output: of the model, as of `jaxdl.models.t5`.

    Raises:
      UserError: no encoder-decoder, one that the config makes too small, weights of other tokens,
        or texts cannot be written as they are to be.
    """
    config, special = run.config, read.special
    source = config.pretrained.source
    said = encoders.generation(config, run.data) if source else None
    if said is None:
        # The likeliest text is what is searched for, exactly.
        said = Settings(
            decoder_start_token_id=special.start, length_penalty=0.0, early_stopping="never"
        )
    asked = _asked(said, tokens, beams, generation, read.lengths[1])
    times = _times(run, asked, special)
    prompt = _prompt(asked, times is not None) if source and special.spoken else ()
    settings, before = speech.alone(asked) if special.spoken else asked, 1 + len(prompt)
    _check(settings, before)
    context = max(read.context + len(prompt), before + settings.how(before)["tokens"])
    if source:
        wanted = encoders.Wanted(
            special.size,
            context,
            "config.data.context, config.data.source_length, config.data.target_length or "
            "config.task.tokens",
            {} if output == "tokens" else {"output": output},
            check=lambda module: _check_kind(module, config.task.name),
            writes=True,
            fields=read.fields,
        )
        start = encoders.create(config, run.data, wanted)
    else:
        start = transfer.fresh(_model(run, special, context, {**read.fields, "output": output}))
    if times is not None:
        _check_times(run, start.module, special)
    return Begin(start, *_tokens_of(special, settings, source), asked, prompt, times)


def _times(run: Run, asked: Settings, special: Specials) -> Timestamps | None:
    """The rules of the times that the data's texts tell, None if they tell none.

    Raises:
      UserError: the weights know of no times, or other tokens of them.
    """
    if not run.config.data.get("times"):
        return None
    source = run.config.pretrained.source
    if not source or not special.spoken:
        raise UserError(
            "config.data.times=True: times are told by a published Whisper that learns on: set "
            "config.pretrained.source, or config.data.times=False"
        )
    rules = Speech.of(asked).timestamps
    if rules.first != special.first_time:
        raise UserError(
            f"pretrained.source={source} tells the time 0 by the token {rules.first}, and "
            f"config.data.tokenizer by {special.first_time}: it takes the tokenizer that it "
            "learned with"
        )
    return rules


def _check_times(run: Run, module: nn.Module, special: Specials) -> None:
    """Raises UserError where a model has fewer tokens than the recordings have times."""
    known, seconds = module.vocab_size - special.first_time, run.config.data.seconds
    if timed.steps(seconds) >= known:
        raise UserError(
            f"config.data.seconds={seconds:g}: pretrained.source={run.config.pretrained.source} "
            f"tells times up to {(known - 1) * timed.STEP:g} s: set no more"
        )


def _prompt(asked: Settings, times: bool) -> tuple[int, ...]:
    """What follows the start of all texts that speech is written as.

    Raises:
      UserError: the language is to be detected, of which nothing could be learned.
    """
    said = Speech.of(asked)
    if said.detects:
        raise UserError(
            "the weights know several languages: say which one the recordings are of by "
            "config.task.generation=language=de, or another"
        )
    return tuple(said.prompt(np.zeros(1, np.int32), timestamps=times)[0, 1:].tolist())


def _asked(
    said: Settings, tokens: int, beams: int, generation: Sequence[str], longest: int
) -> Settings:
    """Settings with those of the task in their place."""
    own = entries.parsed(generation, "config.task.generation")
    for name, ours in _OF_TASK.items():
        if name in own:
            raise UserError(f"config.task.generation: {name} is config.task.{ours}")
    if not tokens and said.max_new_tokens is None and said.max_length is None:
        tokens = longest
    own |= {"max_new_tokens": tokens} if tokens else {}
    own |= {"num_beams": beams} if beams else {}
    return Settings.of({**said.said(), **own})


def _tokens_of(special: Specials, settings: Settings, source: str) -> tuple[Specials, Settings]:
    """Both with the same special tokens: those that begin, end and fill up a text.

    Raises:
      UserError: the weights' are none of the data's.
    """
    ends = settings.eos_token_id
    ends = (special.end,) if ends is None else ends if isinstance(ends, tuple) else (ends,)
    pad = settings.pad_token_id
    pad = special.pad if special.spoken or pad is None else pad
    for what, theirs, ours in (("ends", ends, special.end), ("fills", (pad,), special.pad)):
        if ours not in theirs:
            raise UserError(
                f"pretrained.source={source} {what} texts by the token {theirs[0]}, and "
                f"config.data.tokenizer by {ours}: it takes the tokenizer that it learned with"
            )
    try:
        start = int(settings.start(1)[0, 0])
    except UserError as error:
        raise UserError(
            f"pretrained.source={source}: {error}, or set "
            "config.task.generation=decoder_start_token_id=0, or another"
        ) from None
    return special._replace(start=start), dataclasses.replace(
        settings,
        decoder_start_token_id=start,
        eos_token_id=ends if len(ends) > 1 else ends[0],
        pad_token_id=pad,
    )


def _check(settings: Settings, before: int) -> None:
    """Raises UserError where a text cannot be written so, or more than one is to be."""
    generate.check_beams(settings.num_beams, "config.task.")
    for name, only in (("num_return_sequences", 1), ("do_sample", False)):
        value = getattr(settings, name)
        if value != only:
            raise UserError(
                f"{name}={value}: the likeliest text is written for each source: set "
                f"config.task.generation={name}={str(only).lower()}"
            )
    try:
        settings.how(before)
    except UserError as error:
        raise UserError(f"{error}: config.task.generation has others") from None


def _model(run: Run, special: Specials, context: int, fields: Mapping[str, Any]) -> nn.Module:
    """The model, for the data's tokens and lengths; UserError if it is none for these."""
    name, task = run.config.model.name, run.config.task.name
    if name and "vocab_size" not in models.settings(name):
        raise UserError(_needs(task, name))
    module = build_model(
        run,
        {"vocab_size": special.size, "context": context, **fields},
        at_least=("vocab_size", "context"),
        because=f"for {special.size} tokens and texts of {context}",
    )
    _check_kind(module, task, name)
    return module


def _check_kind(module: nn.Module, task: str, name: str = "") -> None:
    if not decoding.reads_source(module):
        raise UserError(_needs(task, name or type(module).__name__))
    if not getattr(module, "decoder_depth", 1):
        raise UserError(f"config.model.decoder_depth=0: task {task!r} needs a decoder that writes")


def _needs(task: str, name: str) -> str:
    return f"task {task!r} needs an encoder-decoder of tokens, such as 't5', not {name!r}"
