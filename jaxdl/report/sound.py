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
