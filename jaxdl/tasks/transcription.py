"""What was said, from a recording: a decoder writes it, token after token."""

import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxdl import models
from jaxdl.errors import UserError
from jaxdl.tasks import (
    Run,
    Task,
    check_at_least,
    check_smoothing,
    learner,
    register,
    sequence_to_sequence,
)
from jaxdl.tasks.shared import encoder_decoder, heard_before, recognising, transcripts, writing
from jaxdl.tasks.shared.hearing import Hearing
from jaxdl.tasks.shared.reading import Prepare, Reader
from jaxdl.tasks.shared.writing import Writer


@register(
    "transcription",
    groups=("model", "augment_sound", "pretrained"),
    derives=("vocab_size", "context", "bands", "frames"),
    asks=("beams",),
)
def transcription(
    run: Run,
    bands: int = 80,
    window: float = 0.025,
    hop: float = 0.01,
    mask_padding: bool = True,
    label_smoothing: float = 0.0,
    decoded: int = 1024,
    beams: int = 0,
    tokens: int = 0,
    generation: tuple[str, ...] = (),
) -> Task:
    """The tokens of ``target`` (batch, T) from ``samples`` (batch, N), by an encoder-decoder.

    Teacher forcing, as of `jaxdl.tasks.sequence_to_sequence`; spectrograms are made in the step.
    With `config.pretrained.source` a published Whisper learns on: its texts follow the tokens of
    the language and of what is asked for, which are learned like the text; with `data.times` they
    tell times too, and are written by the rules of these.

    Args:
      run: the run's config and data, such as of data set "dial_tones". The model is called as
        `jaxdl.models.whisper`.
      bands: of the mel scale, from 0 Hz to half the rate.
      window: seconds of a frame of the spectrogram.
      hop: seconds from one frame to the next.
      mask_padding: whether what stands behind a recording is hidden from the model. The published
        ones hear it, silence up to the 30 s of all that they hear.
      label_smoothing: share of the target that is spread over all tokens, in [0, 1).
      decoded: recordings of the evaluation part, evenly spread, that texts are written for; 0
        leaves out all figures that need these.
      beams: 1 writes the likeliest token each time; more search as many texts side by side. 0 is
        what a published folder says that the run begins with, or 1.
      tokens: that are written at most; 0 is what the folder says, or as many as the longest target
        has.
      generation: further settings by transformers' names, ("language=de", "task=translate") of a
        published Whisper among them.

    The metrics are ``loss`` (nats a token of the target, its end among them; at evaluation without
    smoothing) and ``accuracy`` (of tokens). Of what was written ``exact_match``, and, where the
    evaluation part has several signal-to-noise ratios, that of each, ``exact_match_10db``; ``wer``
    and ``cer``, of which low is better (`jaxdl.metrics.edits`).
    """
    check_at_least(0, decoded=decoded, tokens=tokens, beams=beams)
    check_smoothing(label_smoothing)
    listener = transcripts.of_run(run, bands, window, hop)
    read = listener.reader
    heard_before.check(run.config.pretrained.source, listener.hears, mask_padding)
    begin = encoder_decoder.begin(run, read, tokens, beams, generation)
    module, special = begin.start.module, begin.special
    _check(run, module, listener.hears)
    if not mask_padding or begin.prompt:
        frames = 0 if mask_padding else module.frames
        listener = transcripts.of_run(run, bands, window, hop, frames, begin.prompt)
        read = listener.reader
    forward = functools.partial(sequence_to_sequence.logits, learner.forward(module), special)
    loss_fn = functools.partial(
        sequence_to_sequence.training_loss, forward, read.prepare, special, label_smoothing
    )
    order = functools.cache(lambda: _call_order(module, read))
    layers = lambda: models.outermost(order())
    start, update = learner.by_config(run, loss_fn, layers=layers)
    writer = Writer(module, special, run.data.tokenizer, begin.settings, begin.prompt, begin.times)
    known = special.spoken and run.config.pretrained.source
    published = writer._replace(settings=begin.asked)
    each = jax.jit(functools.partial(answers, writer, read.prepare))
    at_once = run.config.eval.batch_size
    recogniser = recognising.Recogniser(listener.hears, each, writer.text, decoded, at_once)
    return Task(
        init=lambda key, batch: start(begin.start.variables(_initial(module, read, key))),
        train_step=update,
        eval_step=functools.partial(sequence_to_sequence.evaluate, module, special, read.prepare),
        artifacts=functools.partial(_artifacts, recogniser, writer),
        parameters=lambda state: learner.parameters(state.params, order()),
        predict=recogniser.predict,
        describe=recogniser.describe,
        sound=listener.hears.sound,
        tokens={"pad": special.pad, "end": special.end},
        directions=transcripts.directions(run),
        check=begin.start.check,
        publish=functools.partial(writing.publish, published) if known else None,
        transcriber=functools.partial(writing.published, published) if known else None,
        **({"score": recogniser.score} if decoded else {}),
    )


def _check(run: Run, module: nn.Module, hears: Hearing) -> None:
    """Raises UserError where the model hears otherwise, or nothing."""
    features = module.source_features
    if features is None:
        raise UserError(
            f"task 'transcription' needs an encoder-decoder that reads frames, such as 'whisper', "
            f"not {run.config.model.name!r}"
        )
    if features != hears.bands:
        raise UserError(
            f"config.task.bands={hears.bands}, but the model hears {features}: set "
            f"config.task.bands={features}"
        )


def answers(
    writer: Writer, prepare: Prepare, state: learner.Learner, batch: Mapping, key: jax.Array
) -> dict[str, jax.Array]:
    """``written`` (batch, tokens) for a batch of recordings; ``key`` draws nothing."""
    example = prepare(batch, None)
    written = writer.write(state.best_variables, example.source, example.source_mask)
    return {"written": written}


def _artifacts(
    recogniser: recognising.Recogniser, writer: Writer, state: Any, split: Any, key: jax.Array
) -> dict[str, Any]:
    """`Task.artifacts`: what was written, the worst first, and where its decoder looked."""
    worst, report = recogniser.shown(state, split)
    written = worst.written[:, : max(1, int((worst.written[0] != writer.special.pad).sum()))]
    read = f"the encoder's vectors of {worst.said!r}, from left to right in time"
    return report | writing.cross_attention(writer, state, worst.source, written, read)


def _call_order(module: nn.Module, read: Reader) -> dict[str, int]:
    frames, target = read.lengths
    seen = (
        jax.ShapeDtypeStruct((1, frames, module.bands), jnp.float32),
        jax.ShapeDtypeStruct((1, target), jnp.int32),
    )
    return models.call_order(module, *seen)


def _initial(module: nn.Module, read: Reader, key: jax.Array) -> Any:
    return module.init(key, jnp.zeros((1, 2, module.bands)), jnp.zeros((1, 1), jnp.int32))
