"""Subtitles in the formats that players read: SubRip (.srt) and WebVTT (.vtt)."""

from collections.abc import Iterable
from typing import NamedTuple


class Line(NamedTuple):
    """What is shown from one time to another, in seconds."""

    start: float
    end: float
    text: str


def srt(lines: Iterable[Line]) -> str:
    """SubRip: numbered, ``00:01:02,345 --> 00:01:03,000``, an empty line behind each."""
    return "".join(
        f"{i}\n{_time(line.start, ',')} --> {_time(line.end, ',')}\n{_shown(line.text)}\n\n"
        for i, line in enumerate(_said(lines), 1)
    )


def vtt(lines: Iterable[Line]) -> str:
    """WebVTT: ``WEBVTT`` in front, ``00:01:02.345 --> 00:01:03.000``; & and < as entities."""
    escaped = lambda text: text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return "WEBVTT\n\n" + "".join(
        f"{_time(line.start, '.')} --> {_time(line.end, '.')}\n{escaped(_shown(line.text))}\n\n"
        for line in _said(lines)
    )


def _said(lines: Iterable[Line]) -> list[Line]:
    """Those that say something."""
    return [line for line in lines if line.text.strip()]


def _shown(text: str) -> str:
    # An empty line would end it, and an arrow begin another in some players.
    return " ".join(text.split()).replace("-->", "->")


def _time(seconds: float, point: str) -> str:
    milliseconds = round(max(seconds, 0) * 1000)
    minutes, milliseconds = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    seconds, milliseconds = divmod(milliseconds, 1000)
    return f"{hours:02}:{minutes:02}:{seconds:02}{point}{milliseconds:03}"
