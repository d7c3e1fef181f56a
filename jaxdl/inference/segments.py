"""What is written of a window, cut where its timestamps say, and how far the next window is."""

from collections.abc import Sequence
from typing import NamedTuple

from jaxdl.data.timed import STEP
from jaxdl.generate import Speech

# Seconds from one frame to the next.
HOP = 0.01
# Frames of a step.
STRIDE = 2


class Segment(NamedTuple):
    """A piece of what is said.

    Attributes:
      start: seconds from the beginning of the recording.
      end: likewise.
      tokens: of the text, with the times around it.
    """

    start: float
    end: float
    tokens: list[int]


def cut(
    tokens: Sequence[int], speech: Speech, begin: int, frames: int
) -> tuple[list[Segment], int]:
    """The segments of a window, and by how many frames the next one begins after it.

    Radford et al., 2022, section 3.8: two times in a row end one segment and begin another. What
    follows the last such pair is left to the next window, which begins there, unless the text ends
    with a single time: then nothing is said behind it.

    Args:
      tokens: what was written, without the token that ends it.
      speech: which of them are times.
      begin: the frame of the recording with which the window begins.
      frames: of the recording that the window has, without padding.
    """
    first = speech.timestamps.first
    is_time = [token >= first for token in tokens]
    offset = begin * STEP / STRIDE
    at = lambda token: offset + (token - first) * STEP
    ends_with_one = is_time[-2:] == [False, True]
    cuts = [i + 1 for i in range(len(tokens) - 1) if is_time[i] and is_time[i + 1]]
    if not cuts:
        # As transformers counts steps, whose division may lose the last one.
        last = int(frames * HOP / STEP)
        times = [token for token in tokens if token >= first]
        if times and times[-1] != first:
            last = times[-1] - first
        return [Segment(offset, offset + last * STEP, list(tokens))], frames
    if ends_with_one:
        cuts.append(len(tokens))
    else:
        cuts[-1] += 1  # with both times of the pair
    segments, before = [], 0
    for i, stop in enumerate(cuts):
        part = list(tokens[before:stop])
        last = part[-1] if i < len(cuts) - 1 or ends_with_one else part[-2]
        segments.append(Segment(at(part[0]), at(last), part))
        before = stop
    if ends_with_one:
        return segments, frames
    return segments, (tokens[before - 2] - first) * STRIDE
