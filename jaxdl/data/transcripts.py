"""Which recordings there are, and what is said in each: by a table, or by texts beside sounds."""

import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

from etils import epath

from jaxdl.data import documents, files, rows, subtitles, timed
from jaxdl.data.layout import PARTS
from jaxdl.data.left_out import LeftOut
from jaxdl.data.sounds import SOUNDS
from jaxdl.errors import UserError

# What a table in a folder is called, the usual first.
TABLES = tuple(f"{name}{end}" for name in ("transcripts", "metadata")
               for end in (".csv", ".jsonl", ".ndjson", ".tsv"))  # fmt: skip

# What is said in a recording: a text, or segments with times.
Said = str | list[timed.Segment]
# Sounds and what is said in them.
Pairs = list[tuple[epath.Path, Said]]


class How(NamedTuple):
    """Where a table has what: columns of files and of texts; and whether times are wanted."""

    file: str
    text: str
    times: bool

    @property
    def beside(self) -> tuple[str, ...]:
        """How files end that stand beside sounds."""
        return subtitles.SUFFIXES if self.times else (".txt",)


class Told(NamedTuple):
    """What is worth knowing of what was found: lines, and recordings that cannot be used."""

    notes: list[str]
    left: LeftOut


def parts(path: str, how: How, told: Told) -> dict[str, Pairs]:
    """ "train", and "test" and "validation" as far as they are there.

    What is said of one recording and cannot be is ``told``, and the others are found.

    Raises:
      UserError: there are no recordings with texts, or a table has not what is needed.
    """
    root = epath.Path(path)
    if not path or not root.exists():
        raise UserError(
            f"data.path={path!r} is no file or folder: name a table of recordings, or their folder"
        )
    if not root.is_dir():
        return {"train": _of_table(root, how, told)}
    if (own := _of_folder(root, how, told)) is not None:
        return {"train": own}
    there = {path.name.lower(): path for path in files.folders(root)}
    folders = {
        part: there[name] for part, names in PARTS.items() for name in names if name in there
    }
    if "train" in folders:
        found = {part: _of_folder(path, how, told) for part, path in folders.items()}
        return {part: _needed(pairs, folders[part], how) for part, pairs in found.items()}
    tables = [x.path for x in files.entries(root) if files.of_kind(x.path, (".csv", ".jsonl"))]
    if not tables:
        return {"train": _needed(None, root, how)}
    found = documents.of_path(path, (".csv", ".jsonl", ".ndjson", ".tsv"), "a table of recordings")
    return {part: _of_table(table, how, told) for part, table in found.items()}


def _needed(pairs: Pairs | None, folder: epath.Path, how: How) -> Pairs:
    if pairs is None:
        columns = "file, start, end and text" if how.times else "file and text"
        raise UserError(
            f"{folder} holds no recordings with texts: it needs {TABLES[0]} with the columns "
            f"{columns}, or name{how.beside[0]} beside each name.wav"
        )
    return pairs


def _of_folder(folder: epath.Path, how: How, told: Told) -> Pairs | None:
    """By its own table, or by texts beside sounds; None without either."""
    table = next((folder / name for name in TABLES if (folder / name).is_file()), None)
    if table is not None:
        return _of_table(table, how, told)
    inside = {path.name.lower() for path in files.folders(folder)}
    if inside & set(PARTS["train"]):
        return None
    there = list(files.below(folder))
    sounds = [path for path in there if files.of_kind(path, SOUNDS.suffixes)]
    texts = {path for path in there if files.of_kind(path, how.beside)}
    if not sounds or not texts:
        return None
    own = lambda sound: [x for end in how.beside if (x := sound.with_suffix(end)) in texts]
    pairs = [(sound, own(sound)) for sound in sounds]
    alone = texts - {text for _, beside in pairs for text in beside}
    if not any(beside for _, beside in pairs):
        return None
    for text in sorted(alone):
        told.left.add(f"{text} has no sound beside it")
    _tell_without(folder, [path for path, beside in pairs if not beside], told.notes)
    read = timed.of_subtitles if how.times else _text
    said = [(path, told.left.tried(read, beside[0])) for path, beside in pairs if beside]
    return [(path, found) for path, found in said if found is not None]


def _text(file: epath.Path) -> str:
    if found := files.text(file).strip():
        return found
    raise UserError(f"{file} is empty: it is to have what is said in the sound beside it")


def _of_table(table: epath.Path, how: How, told: Told) -> Pairs:
    of_each = timed.of_table if how.times else _texts
    named = {
        sound: told.left.tried(_there, sound, where, read)
        for sound, (where, read) in of_each(table, how.file, how.text).items()
    }
    below = {sound.parent for sound, said in named.items() if said is not None}
    others = [x.path for place in below for x in files.entries(place) if not x.is_folder]
    others = [path for path in others if files.of_kind(path, SOUNDS.suffixes)]
    _tell_without(table.parent, [path for path in others if path not in named], told.notes)
    return [(sound, said) for sound, said in named.items() if said is not None]


def _there(sound: epath.Path, where: str, read: Callable[[], Said]) -> Said:
    said = read()
    if not sound.is_file():
        raise UserError(f"{where}: {sound} is no file")
    return said


def _texts(table: epath.Path, file: str, text: str) -> dict[epath.Path, timed.Read]:
    """Where each sound's text is told, and what reads it."""
    found: dict[epath.Path, rows.Row] = {}
    for row in rows.read(table, (file, text)):
        name = row.text(file)
        sound = table.parent / name
        if sound in found:
            raise UserError(f"{row.where}: {name!r} has a text already, line {found[sound].line}")
        found[sound] = row
    return {
        sound: timed.Read(row.where, functools.partial(_said, row, text))
        for sound, row in found.items()
    }


def _said(row: rows.Row, column: str) -> str:
    if found := row.text(column).strip():
        return found
    raise UserError(f"{row.where}: {column!r} is empty")


def _tell_without(folder: epath.Path, sounds: Sequence[epath.Path], notes: list[str]) -> None:
    if sounds:
        notes.append(
            f"{len(sounds)} sounds below {folder} have no text, and are left out: "
            f"{min(sounds).name}" + (", …" if len(sounds) > 1 else "")
        )
