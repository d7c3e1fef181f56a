"""What is said in a recording, and when: segments, and Whisper's tokens of them.

Radford et al., 2022, section 2.3: a token tells when a segment begins, its text follows, and a
token tells when it ends; times are counted from the beginning of what is heard, and rounded to the
nearest 20 ms.
"""

import functools
import json
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from etils import epath

from jaxdl.data import rows, subtitles
from jaxdl.errors import UserError

# Seconds from one time that a token can tell to the next.
STEP = 0.02

# Columns of a table: all segments of a recording in one, or the times of one segment.
SEGMENTS, START, END = "segments", "start", "end"


class Segment(NamedTuple):
    """A piece of what is said.

    Attributes:
      start: seconds from the beginning of the recording.
      end: likewise.
      text: that is said.
      where: it is told, for messages.
    """

    start: float
    end: float
    text: str
    where: str


class Read(NamedTuple):
    """What a table tells of a recording.

    Attributes:
      where: for messages; the first of its rows.
      said: () -> what is said in it; raises UserError where that cannot be.
    """

    where: str
    said: Callable[[], Any]


def of_table(table: epath.Path, file: str, text: str) -> dict[epath.Path, Read]:
    """What reads the segments of each file below its folder that a table names.

    A row has them all, [{"start": 0.0, "end": 2.4, "text": …}, …] in the column "segments", as
    predictions.jsonl; or it is one segment, with the columns "start" and "end" in seconds.

    Args:
      table: as of `jaxdl.data.rows`.
      file: the column of files.
      text: that of a segment's text; in a list it is "text".

    Raises:
      UserError: it is no such table. What it reads by raises where a row has no times, or some that
        cannot be.
    """
    found: dict[epath.Path, list[rows.Row]] = {}
    for row in rows.read(table, (file,), (text, SEGMENTS, START, END)):
        found.setdefault(table.parent / row.text(file), []).append(row)
    return {
        sound: Read(own[0].where, functools.partial(_of_rows, own, text, f"{table}: {sound}"))
        for sound, own in found.items()
    }


def _of_rows(own: Sequence[rows.Row], text: str, where: str) -> list[Segment]:
    said: list[Segment] = []
    for row in own:
        if SEGMENTS in row.cells:
            if row is not own[0]:
                raise UserError(f"{row.where}: the recording of {own[0].where} has segments twice")
            said += _listed(row)
        elif {START, END, text} <= row.cells.keys():
            times = (_number(row.cells[name], row.where, name) for name in (START, END))
            said.append(Segment(*times, row.text(text).strip(), row.where))
        else:
            raise UserError(
                f"{row.where} tells no times: it needs a list {SEGMENTS!r}, or the columns "
                f"{START!r}, {END!r} and {text!r}, one row a segment"
            )
    return checked(said, where)


def of_subtitles(file: epath.Path) -> list[Segment]:
    """Those of an .srt or .vtt; raises as `of_table`."""
    lines = subtitles.read(file)
    return checked([Segment(*x, f"{file}, line {number}") for number, x in lines], str(file))


def _listed(row: rows.Row) -> list[Segment]:
    said = row.cells[SEGMENTS]
    if not isinstance(said, list) or not all(isinstance(x, dict) for x in said):
        raise UserError(f"{row.where}: {SEGMENTS!r} must be a list of objects, such as {_EXAMPLE}")
    found = []
    for number, one in enumerate(said, 1):
        where = f"{row.where}: segment {number}"
        if not isinstance(one.get("text"), str) or not {START, END} <= one.keys():
            raise UserError(f"{where} must be such as {_EXAMPLE}")
        times = (_number(one[name], where, name) for name in (START, END))
        found.append(Segment(*times, one["text"].strip(), where))
    return found


_EXAMPLE = '{"start": 0.0, "end": 2.4, "text": "…"}'


def _number(value: object, where: str, name: str) -> float:
    try:
        found = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        found = math.nan
    if not math.isfinite(found):
        shown = json.dumps(value, default=str)
        raise UserError(f"{where}: {name!r} must be a number of seconds, not {shown}")
    return found


def checked(segments: Sequence[Segment], where: str) -> list[Segment]:
    """Those that say something.

    Raises:
      UserError: none does, one ends before it begins, or begins before 0 or the last one's end.
    """
    said, latest = [one for one in segments if one.text], 0.0
    if not said:
        raise UserError(f"{where}: nothing is said in it")
    for one in said:
        told = f"{one.where}: from {one.start:g} to {one.end:g} s"
        if one.start < 0:
            raise UserError(f"{told}: times are counted from 0")
        if steps(one.end) <= steps(one.start):
            raise UserError(f"{told}: the end must be {STEP:g} s behind the beginning, or more")
        if steps(one.start) < steps(latest):
            raise UserError(f"{told} begins before the segment in front of it ends, at {latest:g}")
        latest = one.end
    return said


def check_within(segments: Sequence[Segment], length: float, seconds: float | None) -> None:
    """Raises UserError for a segment outside of what is heard.

    Args:
      segments: `checked`.
      length: seconds of the recording, in which each has to begin.
      seconds: that are heard at most, silence behind the recording, in which each has to end; None
        of what is cut.
    """
    for one in segments:
        told = f"{one.where}: from {one.start:g} to {one.end:g} s"
        if one.start >= length:
            raise UserError(f"{told} is behind the end of the recording, at {length:g}")
        if seconds is not None and steps(one.end) > steps(seconds):
            raise UserError(f"{told} is outside of the {seconds:g} s that are heard")


def steps(seconds: float) -> int:
    """Of STEP, the nearest number; half of one counts as a whole."""
    return math.floor(seconds / STEP + 0.5 + 1e-9)


def encoded(
    segments: Sequence[Segment],
    encode: Callable[[str], np.ndarray],
    first: int,
    following: float | None = None,
) -> np.ndarray:
    """The tokens of a recording, (n,) int32: each text between its times.

    Args:
      segments: `checked`.
      encode: a segment's text -> its tokens (n,).
      first: the token of the time 0.
      following: when a further segment begins, which is not wholly heard; its time ends the text.
    """
    parts = [
        part
        for one in segments
        for part in ([first + steps(one.start)], encode(one.text), [first + steps(one.end)])
    ]
    parts += [] if following is None else [[first + steps(following)]]
    return np.concatenate([np.asarray(part, np.int32) for part in parts])
