"""What a model that hears is shown of what was said before: words told to it, the text so far.

Radford et al., 2022, section 2.3; which of them stands where is as in transformers' generate.
"""

from collections.abc import Sequence

import numpy as np

from jaxdl.generate import Speech
from jaxdl.inference.segments import Segment

# A text that was drawn at this temperature or a higher one is not shown to the next window.
_HOT = 0.5


class Before:
    """What was said, as windows are written one after the other.

    Args:
      speech: the special tokens, and what is asked for.
      told: tokens of words that are told beforehand; as of openai-whisper the last ``most`` count.
      most: tokens of what was said that are shown.

    Attributes:
      temperature: at which the last window was written.
    """

    def __init__(self, speech: Speech, told: Sequence[int], most: int):
        self.speech, self.told, self.most = speech, [*told][-most:], most
        self.temperature = 0.0
        self._said = None
        if self.told and not speech.prompted:
            self._said = [*self.told]

    def shown(self) -> list[int]:
        """The tokens in front of the next window's; [] where nothing is shown."""
        speech = self.speech
        if speech.conditions and self.temperature < _HOT and self._said is not None:
            front = self.told if speech.prompted else []
            return [speech.previous, *front, *self._said[-self.most :]]
        return [speech.previous, *self.told] if self.told else []

    def in_front(self, shown: Sequence[int], prompt: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """A prompt (1, P) behind what is shown, padding in front, and its mask, (1, L) each.

        L is the same for all that may be shown, so that one program does.
        """
        most = 1 + self.most + (len(self.told) if self.speech.prompted else 0)
        padding = most - len(shown)
        tokens = np.concatenate([np.full(padding, self.speech.end), shown, prompt[0]])
        mask = np.arange(len(tokens)) >= padding
        return tokens[None].astype(np.int32), mask[None]

    def add(self, segments: Sequence[Segment]) -> None:
        """What was written of a window; of two times at a segment's end the first is kept."""
        first = self.speech.timestamps.first
        self._said = self._said or []
        for segment in segments:
            tokens = segment.tokens
            twice = len(tokens) > 2 and tokens[-2] >= first
            self._said += tokens[:-1] if twice else tokens
