"""What `--input` names: sounds in files and folders, each read when it is wanted."""

import functools

import numpy as np
from etils import epath

from jaxdl.data import audio
from jaxdl.inference.pictures import Picture, matching
from jaxdl.tasks import Sound


def find(where: str, sound: Sound) -> list[Picture]:
    """A sound, a folder, or a pattern such as ``calls/**/*.wav``; read at ``sound``'s rate.

    What is longer than the model takes is heard from its beginning.

    Raises:
      UserError: there is nothing.
    """
    found = matching(where, audio.SUFFIXES, "sounds")
    return [Picture(str(file), functools.partial(_read, file, sound)) for file in sorted(found)]


def _read(file: epath.Path, sound: Sound) -> np.ndarray:
    samples = audio.read(file, sound.rate, sound.count / sound.rate)
    return audio.fitted(samples, sound.count)[0]
