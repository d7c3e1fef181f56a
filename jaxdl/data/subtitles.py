"""Subtitles in the formats that players read: SubRip (.srt) and WebVTT (.vtt)."""

import html
import re
from collections.abc import Iterable
from typing import NamedTuple

from etils import epath

from jaxdl.data import files
from jaxdl.errors import UserError

SUFFIXES = (".srt", ".vtt")

_ARROW = "-->"
_TIME = re.compile(r"(?:(\d+):)?(\d{1,2}):(\d{2})[,.](\d{1,3})")
# What changes how a text looks: of SubRip a few tags, of WebVTT all that stands in brackets.
_LOOKS = {
    ".srt": re.compile(r"</?(?:[bius]|font)\b[^>]*>|\{\\[^}]*\}"),
    ".vtt": re.compile("<[^>]*>"),
}
# Blocks of WebVTT that are no cues.
_OTHERS = ("WEBVTT", "NOTE", "STYLE", "REGION")


class Line(NamedTuple):
    """What is shown from one time to another, in seconds."""

    start: float
    end: float
    text: str


def srt(lines: Iterable[Line]) -> str:
    """SubRip: numbered, ``00:01:02,345 --> 00:01:03,000``, an empty line behind each."""
    return "".join(
        f"{i}\n{_told(line.start, ',')} --> {_told(line.end, ',')}\n{_shown(line.text)}\n\n"
        for i, line in enumerate(_said(lines), 1)
    )


def vtt(lines: Iterable[Line]) -> str:
    """WebVTT: ``WEBVTT`` in front, ``00:01:02.345 --> 00:01:03.000``; & and < as entities."""
    escaped = lambda text: text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return "WEBVTT\n\n" + "".join(
        f"{_told(line.start, '.')} --> {_told(line.end, '.')}\n{escaped(_shown(line.text))}\n\n"
        for line in _said(lines)
    )


def read(file: epath.Path) -> list[tuple[int, Line]]:
    """What is shown, in the file's order, each with the number of the line that tells its times.

    Numbers, names and settings of cues, notes, and what changes how a text looks are passed over.

    Raises:
      UserError: a piece between empty lines has no times, or some that are none.
    """
    kind, found = file.suffix.lower(), []
    for first, block in _blocks(files.text(file)):
        at = next((i for i, line in enumerate(block) if _ARROW in line), None)
        if at is None:
            if kind == ".vtt" and block[0].startswith(_OTHERS):
                continue
            raise UserError(
                f"{file}, line {first}: {block[0]!r} has no times, such as "
                "00:00:01,000 --> 00:00:02,500"
            )
        begin, _, rest = block[at].partition(_ARROW)
        where = f"{file}, line {first + at}"
        start, end = (_seconds(text, where) for text in (begin, rest.strip().partition(" ")[0]))
        text = _LOOKS[kind].sub("", " ".join(block[at + 1 :]))
        text = html.unescape(text) if kind == ".vtt" else text
        found.append((first + at, Line(start, end, " ".join(text.split()))))
    return found


def _blocks(text: str) -> Iterable[tuple[int, list[str]]]:
    """Lines between empty ones, and the number of the first."""
    block = []
    for number, line in enumerate([*text.removeprefix("\ufeff").splitlines(), ""], 1):
        if line.strip():
            block.append(line.strip())
        elif block:
            yield number - len(block), block
            block = []


def _seconds(text: str, where: str) -> float:
    found = _TIME.fullmatch(text.strip())
    if found is None:
        raise UserError(f"{where}: {text.strip()!r} is no time, such as 00:00:01,000")
    hours, minutes, seconds, fraction = found.groups()
    whole = 3600 * int(hours or 0) + 60 * int(minutes) + int(seconds)
    return whole + int(fraction.ljust(3, "0")) / 1000


def _said(lines: Iterable[Line]) -> list[Line]:
    """Those that say something."""
    return [line for line in lines if line.text.strip()]


def _shown(text: str) -> str:
    # An empty line would end it, and an arrow begin another in some players.
    return " ".join(text.split()).replace(_ARROW, "->")


def _told(seconds: float, point: str) -> str:
    milliseconds = round(max(seconds, 0) * 1000)
    minutes, milliseconds = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    seconds, milliseconds = divmod(milliseconds, 1000)
    return f"{hours:02}:{minutes:02}:{seconds:02}{point}{milliseconds:03}"
