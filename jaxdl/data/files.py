"""The files below a folder that are a user's own: what systems and editors leave is passed over."""

import codecs
import collections
import os
import re
from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

from etils import epath

from jaxdl.errors import UserError, one_line
from jaxdl.paths import is_own

# What stands in a file's place, by its first bytes: {them: what it is}, and what gets the file.
_IN_PLACE = {
    rb"version https://git-lfs\.github\.com/spec/": (
        "a Git LFS pointer: 'git lfs pull' gets the file"
    ),
    rb"(\.\./)*(\.git/annex/objects/|/annex/objects/)": (
        "a git-annex pointer: 'git annex get' gets the file"
    ),
    rb"(?i)(\xef\xbb\xbf)?\s*<(!doctype|html|head|body|\?xml|error)": (
        "a web page or a server's message: download the file itself"
    ),
}

# The longer first: one begins like the other.
_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


class Entry(NamedTuple):
    """What a folder holds: a file, or another folder."""

    path: epath.Path
    is_folder: bool


def entries(folder: epath.Path) -> list[Entry]:
    """What a folder holds of a user's own, sorted by name.

    Raises:
      UserError: it cannot be read.
    """
    try:
        if "://" in str(folder):
            found = [Entry(path, path.is_dir()) for path in folder.iterdir() if is_own(path.name)]
        else:  # one look at the folder, and none at each file
            with os.scandir(folder) as there:
                own = [entry for entry in there if is_own(entry.name)]
            found = [Entry(folder / entry.name, entry.is_dir()) for entry in own]
    except OSError as error:
        raise UserError(f"{folder} cannot be read: {one_line(error)}") from None
    return sorted(found, key=lambda entry: entry.path.name)


def folders(folder: epath.Path) -> list[epath.Path]:
    """The folders in a folder that are a user's own, sorted by name."""
    return [entry.path for entry in entries(folder) if entry.is_folder]


def below(folder: epath.Path, around: tuple[str, ...] = ()) -> Iterator[epath.Path]:
    """All files in a folder and those below it, in the order of their paths; none twice in a loop.

    Raises:
      UserError: one of the folders cannot be read.
    """
    if "://" not in str(folder):
        around = (*around, os.path.realpath(folder))
        if around[-1] in around[:-1]:  # a link to where it lies
            return
    for path, is_folder in entries(folder):
        if is_folder:
            yield from below(path, around)
        else:
            yield path


def matches(path: epath.Path, pattern: str) -> bool:
    """Whether a path that glob found by a pattern is a user's own, or asked for by name.

    A pattern finds names with a dot in front only where it has one itself.
    """
    asked = epath.Path(pattern).parts
    return all(part.startswith(".") or part in asked or is_own(part) for part in path.parts)


def of_kind(path: epath.Path, suffixes: Collection[str]) -> bool:
    """Whether the name ends in one of ``suffixes``, which are in lower case."""
    return path.suffix.lower() in suffixes


def counted(left_out: Iterable[epath.Path]) -> str:
    """How many files there are by their endings: ``12 .heic, 1 .txt``; "" for none."""
    endings = collections.Counter(path.suffix.lower() for path in left_out)
    return ", ".join(f"{n} {ending or 'without ending'}" for ending, n in endings.most_common())


def in_place(start: bytes) -> str:
    """What a file that begins so is in place of what its name says; "" if nothing is known."""
    return next((what for pattern, what in _IN_PLACE.items() if re.match(pattern, start)), "")


def text(file: epath.Path) -> str:
    """A file's text: UTF-8, or what the mark in front says, as Windows' programs write UTF-16.

    Raises:
      UserError: it cannot be read, or is no such text.
    """
    try:
        content = file.read_bytes()
        marked = (name for mark, name in _MARKS.items() if content.startswith(mark))
        return content.decode(next(marked, "utf-8-sig"))
    except UnicodeDecodeError as error:
        at = f"byte 0x{error.object[error.start]:02x} at offset {error.start} ({error.reason})"
        called = "UTF-8" if error.encoding.startswith("utf-8") else error.encoding.upper()
        raise UserError(f"{file} is not {called} text: {at}") from None
    except OSError as error:
        raise UserError(f"{file} cannot be read: {error.strerror}") from None
