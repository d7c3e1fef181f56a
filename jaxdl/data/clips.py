"""Recordings, and pieces of those that are longer than what is heard at a time."""

import math
from typing import NamedTuple

from etils import epath

from jaxdl.data import audio, left_out, timed, timed_windows
from jaxdl.data.transcripts import Pairs, Said, Told
from jaxdl.errors import UserError


class Clip(NamedTuple):
    """A recording, or a piece of one.

    Attributes:
      sound: its file.
      said: in it.
      length: seconds of the file.
      start: seconds of it at which the piece begins; times of what is said count from there.
      following: of `jaxdl.data.timed_windows.Window`.
    """

    sound: epath.Path
    said: Said
    length: float
    start: float = 0.0
    following: float | None = None

    def samples(self, rate: int, most: int) -> int:
        """How many of its own are heard at ``rate``, at most ``most``."""
        whole = math.ceil(self.length * rate - 1e-6)
        return min(most, whole - round(self.start * rate))


def heard(pairs: Pairs, seconds: float, times: bool, part: str, told: Told) -> list[Clip]:
    """Those that are sounds, and not too long, or can be cut.

    Raises:
      UserError: none is.
    """
    lengths = told.left.mapped(audio.duration, [sound for sound, _ in pairs])
    clips = [Clip(*pairs[i], lengths[i]) for i in left_out.kept(lengths)]
    if times:
        fitting = [told.left.tried(_within, clip, seconds) for clip in clips]
        return [clip for clip in fitting if clip is not None]
    kept = [clip for clip in clips if not _is_long(clip, seconds)]
    where = f"of {len(clips)} recordings of {part}"
    if clips and not kept:
        raise UserError(
            f"none {where} is at most data.seconds={seconds:g} long: the shortest has "
            f"{min(clip.length for clip in clips):.1f}"
        )
    if len(kept) < len(clips):
        told.notes.append(
            f"{len(clips) - len(kept)} {where} are longer than data.seconds={seconds:g}, the "
            f"longest {max(clip.length for clip in clips):.1f} s, and are left out (with "
            "data.times=True they are cut between their segments)"
        )
    return kept


def _is_long(clip: Clip, seconds: float) -> bool:
    return clip.length > seconds + 1e-6


def _within(clip: Clip, seconds: float) -> Clip:
    timed.check_within(clip.said, clip.length, None if _is_long(clip, seconds) else seconds)
    return clip


def cut(clips: list[Clip], seconds: float, part: str, told: Told) -> list[Clip]:
    """Each as it is, or where it is too long in pieces."""
    found, many, pieces, too_long = [], 0, 0, 0
    for clip in clips:
        if not _is_long(clip, seconds):
            found.append(clip)
            continue
        windows, skipped = timed_windows.cut(clip.said, seconds)
        found += [Clip(clip.sound, w.segments, clip.length, w.start, w.following) for w in windows]
        many, pieces, too_long = many + 1, pieces + len(windows), too_long + skipped
    if many:
        told.notes.append(
            f"{many} of {len(clips)} recordings of {part} are longer than data.seconds="
            f"{seconds:g}, and are cut between their segments into {pieces}"
        )
    if too_long:
        told.notes.append(
            f"{too_long} segments of {part} are longer than data.seconds={seconds:g} themselves, "
            "and are left out"
        )
    return found
