"""Recordings of any length as text with times: Whisper, window after window.

Radford et al., 2022, section 3.8; token for token what transformers' generate gives of a long
recording with ``return_timestamps=True``, but that transformers takes beams no more once a window
was tried again.
"""

import math
import zlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxdl import keys, ops
from jaxdl.errors import UserError
from jaxdl.generate import Speech, speech
from jaxdl.inference import alignment, words
from jaxdl.inference.before import Before
from jaxdl.inference.segments import HOP, STRIDE, Segment, cut
from jaxdl.inference.transcriber import (
    LIMITS,
    UNLIMITED,
    Limits,
    Transcriber,
    load,
    told_by,
)
from jaxdl.inference.words import Word

__all__ = [
    "LIMITS",
    "RATE",
    "UNLIMITED",
    "Heard",
    "Limits",
    "Transcriber",
    "Transcript",
    "compression",
    "load",
    "of_spectrogram",
    "told_by",
    "transcribe",
]

RATE = 16000
_SAMPLES = round(HOP * RATE)


class Heard(NamedTuple):
    """A `Segment` with its text and what is known of the window that it stands in.

    Attributes:
      start: seconds; so is the next.
      end: of the segment.
      text: without the special tokens; "" without a tokenizer.
      tokens: with the times.
      temperature: at which it was written.
      log_p: the mean over the window's tokens.
      compression: see `jaxdl.inference.transcriber.Limits`, of the window.
      no_speech: the probability that nobody speaks in the window.
      words: when each is said; None where that was not asked for.
    """

    start: float
    end: float
    text: str
    tokens: list[int]
    temperature: float
    log_p: float
    compression: float
    no_speech: float | None
    words: list[Word] | None = None


class Transcript(NamedTuple):
    """What is said in a recording.

    Attributes:
      language: its code; None of a model that knows one alone.
      segments: in their order.
    """

    language: str | None
    segments: list[Heard]

    @property
    def text(self) -> str:
        """All of it."""
        return "".join(segment.text for segment in self.segments).strip()


def transcribe(
    whisper: Transcriber, samples: np.ndarray, key: jax.Array | None = None
) -> Transcript:
    """What is said in a recording.

    Args:
      whisper: the model.
      samples: (N,) float32 in [-1, 1], at 16 kHz.
      key: typed random key of what is drawn at temperatures above 0.

    Raises:
      UserError: the samples are no such row.
    """
    samples = np.asarray(samples)
    if samples.ndim != 1 or not samples.size or samples.dtype.kind != "f":
        raise UserError(
            f"samples must be a row of floats at {RATE} Hz, got {samples.dtype} {samples.shape}"
        )
    window, count = whisper.module.frames, -(-len(samples) // _SAMPLES)
    # Of few lengths, since each is a program: silence stands behind what is shorter.
    length = window
    while length < count:
        length *= 2
    padded = np.zeros(length * _SAMPLES, np.float32)
    padded[: len(samples)] = samples
    spectrogram = np.asarray(_log_mel(padded[None], whisper.module.bands)[0])
    return of_spectrogram(whisper, spectrogram[: max(count, window)], frames=count, key=key)


_log_mel = jax.jit(ops.whisper_log_mel, static_argnums=1)


def of_spectrogram(
    whisper: Transcriber,
    spectrogram: np.ndarray,
    *,
    frames: int | None = None,
    key: jax.Array | None = None,
) -> Transcript:
    """`transcribe` of a log-mel spectrogram (frames, bands); ``frames`` of it are the recording's.

    Zeros stand behind the last window, as in the published code.
    """
    module, variables, settings = whisper.module, whisper.variables, whisper.settings
    known = Speech.of(settings)
    frames = len(spectrogram) if frames is None else frames
    key = keys.root(0) if key is None else key
    seek, prompt, language, found = 0, None, known.language, []
    before = Before(known, whisper.told, module.context // 2 - 1)
    limited = whisper.limits.no_speech is not None
    while seek < frames:
        window = np.zeros((1, module.frames, module.bands), np.float32)
        seen = spectrogram[seek : seek + module.frames]
        window[0, : len(seen)] = seen
        encoded = speech.encode(module, variables, window)
        shown = before.shown()
        if (limited and not shown) or (prompt is None and known.detects):
            first = np.asarray(speech.first_logits(module, variables, encoded, known.start))
        if prompt is None:
            detected = np.zeros(1, np.int32)
            if known.detects:
                detected = speech.detect(known, first)
                codes = {token: code for code, token in known.languages.items()}
                language = codes[int(detected[0])]
            prompt = known.prompt(detected, timestamps=True)
        given = before.in_front(shown, prompt) if shown else (prompt, None)
        if limited and shown:
            asked = before.in_front(shown, prompt[:, :1])
            first = np.asarray(speech.logits_behind(module, variables, encoded, *asked))
        silence = _share(first[0], known) if limited else None
        there = min(frames - seek, module.frames)
        at = jax.random.fold_in(key, seek)
        tokens, figures, is_silent = _written(whisper, encoded, given, silence, known, at)
        before.temperature = figures[0]
        if is_silent:
            seek += there
            continue
        segments, further = cut(tokens[: _ended(tokens, known)], known, seek, there)
        before.add(segments)
        heard = [_heard(whisper, known, segment, *figures) for segment in segments]
        if known.tells_words:
            ends = alignment.times(
                module, variables, encoded, _without_padding(*given), tokens, known.alignment,
                there // STRIDE,
            )  # fmt: skip
            heard = _with_words(whisper, known, heard, HOP * seek + ends, HOP * seek, language)
        found += heard
        seek += further or there
    return Transcript(language, found)


def _share(logits: np.ndarray, known: Speech) -> float:
    """The probability that nobody speaks, told by the token before "no timestamps"."""
    e = np.exp(logits - logits.max())
    return float(e[known.timestamps.first - 2] / e.sum())


def _written(whisper, encoded, given, silence, known, key):
    """(tokens up to the last, (temperature, log_p, compression, no_speech), whether silence)."""
    limits = whisper.limits
    for i, temperature in enumerate(limits.temperatures):
        made = speech.write(
            whisper.module, whisper.variables, whisper.settings, encoded, given[0],
            prompt_mask=given[1], timestamps=True, temperature=temperature,
            key=jax.random.fold_in(key, i),
        )  # fmt: skip
        tokens, log_p = made.tokens[0].tolist(), float(made.log_p[0])
        tokens = tokens[: _ended(tokens, known) + 1]
        size = compression(tokens, whisper.module.vocab_size)
        figures = temperature, log_p, size, silence
        is_low = limits.log_p is not None and log_p < limits.log_p
        if silence is not None and is_low and silence > limits.no_speech:
            return tokens, figures, True
        if not is_low and (limits.compression is None or size <= limits.compression):
            break
    return tokens, figures, False


def _ended(tokens: Sequence[int], known: Speech) -> int:
    """How many tokens come before the one that ends a text."""
    return tokens.index(known.end) if known.end in tokens else len(tokens)


def compression(tokens: Sequence[int], vocab_size: int) -> float:
    """Bytes of tokens, each of as many as the vocabulary needs, over those that zlib makes of them.

    As transformers takes it: of the tokens, not of the text, whose usual limit is another (2.4).
    """
    length = int(math.log2(vocab_size) / 8) + 1
    whole = b"".join(token.to_bytes(length, "little") for token in tokens)
    return len(whole) / len(zlib.compress(whole))


def _without_padding(prompt: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
    return prompt[0] if mask is None else prompt[0, mask[0]]


def _with_words(
    whisper: Transcriber,
    known: Speech,
    heard: Sequence[Heard],
    ends: np.ndarray,
    begin: float,
    language: str | None,
) -> list[Heard]:
    """Segments that follow one another, with their words; ``ends`` (n,) of their tokens."""
    starts, place, found = np.concatenate([[begin], ends[:-1]]), 0, []
    decode = whisper.tokenizer.decode
    for segment in heard:
        at = [place + i for i, token in enumerate(segment.tokens) if token < known.end]
        said = [token for token in segment.tokens if token < known.end]
        told = words.of_tokens(said, starts[at], ends[at], decode, language)
        found.append(segment._replace(words=told))
        place += len(segment.tokens)
    return found


def _heard(whisper: Transcriber, known: Speech, segment: Segment, *figures: Any) -> Heard:
    said = [token for token in segment.tokens if token < known.end]
    text = "" if whisper.tokenizer is None else whisper.tokenizer.decode(np.array(said, np.int32))
    return Heard(segment.start, segment.end, text, segment.tokens, *figures)
