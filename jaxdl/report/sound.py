"""Sounds that a page plays."""

import io
import wave
from typing import NamedTuple

import numpy as np


class Sound(NamedTuple):
    """A recording in a file format that browsers play.

    Attributes:
      data: the bytes of a .wav file.
      caption: a sentence below it, or "".
    """

    data: bytes
    caption: str = ""


def of_samples(samples: np.ndarray, rate: int, caption: str = "") -> Sound:
    """Of samples (n,) in [-1, 1], as 16-bit PCM; louder ones are cut off, NaN is silence."""
    whole = np.round(32767 * np.clip(np.nan_to_num(samples), -1, 1)).astype("<i2")
    stream = io.BytesIO()
    with wave.open(stream, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(whole.tobytes())
    return Sound(stream.getvalue(), caption)


def upright(spectrograms: np.ndarray) -> np.ndarray:
    """(n, frames, bands) as images (n, bands, frames, 1), low frequencies at the bottom.

    Each from 0, its quietest, to 1, its loudest.
    """
    images = spectrograms.transpose(0, 2, 1)[:, ::-1, :, None]
    low, high = images.min((1, 2, 3), keepdims=True), images.max((1, 2, 3), keepdims=True)
    return (images - low) / np.maximum(high - low, 1e-6)
