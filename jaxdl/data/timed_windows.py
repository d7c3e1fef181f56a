"""Recordings that are longer than what is heard at a time, cut where segments begin.

Radford et al., 2022, section 2.3: a segment that a window holds only the beginning of is told by
the time when it begins alone, and the next window begins there. So do windows follow one another
when a recording is transcribed.
"""

from collections.abc import Sequence
from typing import NamedTuple

from jaxdl.data.timed import STEP, Segment, steps


class Window(NamedTuple):
    """A piece of a recording, and what is said in it.

    Attributes:
      start: seconds from the beginning of the recording.
      segments: in their order, one at least; their times are from the window's beginning.
      following: when, by the same clock, a segment begins that goes on behind the window; None if
        none does.
    """

    start: float
    segments: list[Segment]
    following: float | None


class Cut(NamedTuple):
    """The windows of a recording, and how many segments were longer than any of them."""

    windows: list[Window]
    too_long: int


def cut(segments: Sequence[Segment], seconds: float) -> Cut:
    """The windows of a recording; silence that fills one, or stands in front of it, is in none.

    Args:
      segments: `jaxdl.data.timed.checked`.
      seconds: of a window.
    """
    most, windows, too_long = int(seconds / STEP + 1e-6), [], 0
    times = [(steps(one.start), steps(one.end)) for one in segments]
    begin, i = 0, 0
    while i < len(segments):
        first = i
        while i < len(segments) and times[i][1] <= begin + most:
            i += 1
        opens = times[i][0] if i < len(segments) and times[i][0] < begin + most else None
        if i > first:
            own = [
                _moved(one, *at, begin)
                for one, at in zip(segments[first:i], times[first:i], strict=True)
            ]
            following = None if opens is None else (opens - begin) * STEP
            windows.append(Window(begin * STEP, own, following))
        if i == len(segments):
            break
        if times[i][1] - times[i][0] > most:
            begin, i, too_long = times[i][1], i + 1, too_long + 1
        elif opens is not None or i == first:
            begin = times[i][0]
        else:
            begin += most
    return Cut(windows, too_long)


def _moved(one: Segment, start: int, end: int, begin: int) -> Segment:
    return one._replace(start=(start - begin) * STEP, end=(end - begin) * STEP)
