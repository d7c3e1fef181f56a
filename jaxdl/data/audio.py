"""Sound in files: which are read, and what is made of their samples."""

import contextlib
import functools
import math
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from etils import epath

from jaxdl.data import files, wav
from jaxdl.errors import UserError, one_line

# What the library soundfile reads besides WAV.
_FURTHER = (".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".aifc", ".au", ".caf")
SUFFIXES = (".wav", ".wave", *_FURTHER)

# Samples of all channels in a file at most: 4 GiB of float32, 18 hours of one channel at 16 kHz.
MOST = 1 << 30
RATES = (1000, 1_000_000)

# Seconds behind what is wanted that resampling looks at, so that it is as of the whole.
_BEYOND = 0.1


class BrokenError(UserError):
    """What a file holds cannot be heard, and not either when it is read again."""


def read(
    file: str | epath.Path, rate: int, seconds: float | None = None, start: float = 0.0
) -> np.ndarray:
    """The sound of a file as one channel at ``rate``, (N,) float32.

    Channels are averaged. At another rate than the file's it is resampled (`resampled`), to
    ceil(N rate / file's rate) samples; a piece of it has the samples that the whole has there.

    Args:
      file: of SUFFIXES; WAV is read as it is, anything else by soundfile (extra ``audio``).
      rate: samples a second.
      seconds: from where it starts, at most; None is all.
      start: seconds from the beginning, in which the file has samples; the nearest of them.

    Raises:
      UserError: it cannot be read.
      BrokenError: it has no samples, or some that are no numbers, or is too long, or no sound.
    """
    file = epath.Path(file)
    with _opened(file) as reader:
        common = math.gcd(reader.rate, rate)
        up, down = rate // common, reader.rate // common
        # Every so many samples of the file one of the new rate falls on one of them.
        blocks = max(0, math.floor((start - _BEYOND) * reader.rate / down))
        until = None if seconds is None else start + seconds + _BEYOND
        samples = _mixed(reader, file, blocks * down, until)
        found = resampled(samples, reader.rate, rate)
    found = found[round(start * rate) - blocks * up :]
    return found if seconds is None else found[: round(seconds * rate)]


def duration(file: str | epath.Path) -> float:
    """Seconds of a file's sound, by what stands in front of it; raises as `read`."""
    file = epath.Path(file)
    with _opened(file) as reader:
        if not reader.frames:
            raise ValueError("has no samples")
        return reader.frames / reader.rate


def _mixed(reader: "_Reader", file: epath.Path, first: int, until: float | None) -> np.ndarray:
    """(N,) float32 from a frame on up to a second: the average of the channels."""
    frames = reader.frames
    if until is not None:
        frames = min(frames, math.ceil(until * reader.rate))
    if (frames - first) * reader.channels > MOST:
        hours = reader.frames / reader.rate / 3600
        raise BrokenError(
            f"{file} is {hours:.1f} hours long with {reader.channels} channels at {reader.rate}"
            " Hz: that is more than memory is taken for, cut it into parts"
        )
    samples = reader.read(first, max(0, frames - first))
    if not len(samples):
        raise ValueError("has no samples")
    if not np.isfinite(samples).all():
        place = first + int(np.flatnonzero(~np.isfinite(samples).all(axis=1))[0])
        raise ValueError(f"has samples that are no numbers, the first at {place}")
    return samples[:, 0] if samples.shape[1] == 1 else samples.mean(axis=1, dtype=np.float32)


def resampled(samples: np.ndarray, rate: int, wanted: int) -> np.ndarray:
    """(N,) float32 at ``rate`` -> (ceil(N wanted / rate),) at ``wanted``.

    A polyphase filter (scipy.signal.resample_poly with its own window, Kaiser's with β = 5): what
    the new rate cannot hold is left out, and nothing is delayed.
    """
    if rate == wanted:
        return samples
    from scipy.signal import resample_poly  # which takes a while to import

    common = math.gcd(rate, wanted)
    found = resample_poly(samples, wanted // common, rate // common)
    return found.astype(np.float32, copy=False)


def fitted(samples: np.ndarray, count: int) -> tuple[np.ndarray, int]:
    """(count,) samples, cut or filled up with zeros, and how many of them are the sound's."""
    length = min(len(samples), count)
    found = np.zeros(count, np.float32)
    found[:length] = samples[:length]
    return found, length


class _Reader(NamedTuple):
    """An open file: what it says of itself, and how it is read.

    ``read(first, frames)`` gives (frames, channels) float32.
    """

    rate: int
    channels: int
    frames: int
    read: Any


@contextlib.contextmanager
def _opened(file: epath.Path) -> Iterator[_Reader]:
    """The sound in a file; what goes wrong with it within is one UserError that names it."""
    try:
        with file.open("rb") as stream:
            reader = _reader(stream, file)
            if not RATES[0] <= reader.rate <= RATES[1]:
                raise ValueError(
                    f"has a rate of {reader.rate} Hz: from {RATES[0]} to {RATES[1]} are read"
                )
            yield reader
    except UserError:
        raise
    except ValueError as error:
        raise BrokenError(f"{file} {one_line(error)}") from None
    except OSError as error:
        raise UserError(f"{file} cannot be read: {one_line(error)}") from None


def _reader(stream: BinaryIO, file: epath.Path) -> _Reader:
    start = stream.read(512)
    if not start:
        raise ValueError("is empty")
    if what := files.in_place(start):
        raise ValueError(f"is not the sound, but {what}")
    try:
        head = wav.header(stream)
    except wav.OtherFormatError as error:
        return _by_library(stream, file, str(error))
    return _Reader(head.rate, head.channels, head.frames, functools.partial(wav.read, stream, head))


def _by_library(stream: BinaryIO, file: epath.Path, why: str) -> _Reader:
    try:
        import soundfile
    except (ImportError, OSError):  # it may be there without the library that it is written for
        raise ValueError(
            f"{why}: what is not plain WAV needs the extra audio, pip install -e '.[audio]'"
        ) from None
    stream.seek(0)
    try:
        found = soundfile.SoundFile(stream)
    except (soundfile.SoundFileError, TypeError, RuntimeError) as error:
        raise ValueError(f"is a broken sound, or none: {_said(error)}") from None

    def read(first: int, frames: int) -> np.ndarray:
        try:
            if first:
                found.seek(first)
            return found.read(frames, dtype="float32", always_2d=True)
        except (soundfile.SoundFileError, RuntimeError) as error:
            raise ValueError(f"is a broken sound: {_said(error)}") from None

    if not found.channels or not found.samplerate:
        raise ValueError(f"has {found.channels} channels and a rate of {found.samplerate}")
    return _Reader(found.samplerate, found.channels, found.frames, read)


def _said(error: Exception) -> str:
    """What the library says, without the stream that it says it of, nor that this is no file."""
    said = one_line(error).rpartition(": ")[2].rstrip(".")
    return "its beginning says nothing of one" if said.startswith("File does not exist") else said
