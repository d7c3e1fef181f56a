"""Which recordings there are, and what is said in each: by a table, or by texts beside sounds."""

from collections.abc import Sequence
from typing import NamedTuple

from etils import epath

from jaxdl.data import documents, files, rows, subtitles, timed
from jaxdl.data.layout import PARTS
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


def parts(path: str, how: How, notes: list[str]) -> dict[str, Pairs]:
    """ "train", and "test" and "validation" as far as they are there."""
    root = epath.Path(path)
    if not path or not root.exists():
        raise UserError(
            f"data.path={path!r} is no file or folder: name a table of recordings, or their folder"
        )
    if not root.is_dir():
        return {"train": _of_table(root, how, notes)}
    if (own := _of_folder(root, how, notes)) is not None:
        return {"train": own}
    there = {path.name.lower(): path for path in files.folders(root)}
    folders = {
        part: there[name] for part, names in PARTS.items() for name in names if name in there
    }
    if "train" in folders:
        found = {part: _of_folder(path, how, notes) for part, path in folders.items()}
        return {part: _needed(pairs, folders[part], how) for part, pairs in found.items()}
    tables = [x.path for x in files.entries(root) if files.of_kind(x.path, (".csv", ".jsonl"))]
    if not tables:
        return {"train": _needed(None, root, how)}
    found = documents.of_path(path, (".csv", ".jsonl", ".ndjson", ".tsv"), "a table of recordings")
    return {part: _of_table(table, how, notes) for part, table in found.items()}


def _needed(pairs: Pairs | None, folder: epath.Path, how: How) -> Pairs:
    if pairs is None:
        columns = "file, start, end and text" if how.times else "file and text"
        raise UserError(
            f"{folder} holds no recordings with texts: it needs {TABLES[0]} with the columns "
            f"{columns}, or name{how.beside[0]} beside each name.wav"
        )
    return pairs


def _of_folder(folder: epath.Path, how: How, notes: list[str]) -> Pairs | None:
    """By its own table, or by texts beside sounds; None without either."""
    table = next((folder / name for name in TABLES if (folder / name).is_file()), None)
    if table is not None:
        return _of_table(table, how, notes)
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
    if alone:
        raise UserError(
            f"{min(alone)} has no sound beside it ({len(alone)} such texts): remove it, or bring "
            "the sound"
        )
    _tell_without(folder, [path for path, beside in pairs if not beside], notes)
    said = timed.of_subtitles if how.times else _text
    return [(path, said(beside[0])) for path, beside in pairs if beside]


def _text(file: epath.Path) -> str:
    if found := files.text(file).strip():
        return found
    raise UserError(f"{file} is empty: it is to have what is said in the sound beside it")


def _of_table(table: epath.Path, how: How, notes: list[str]) -> Pairs:
    folder = table.parent
    if how.times:
        found = timed.of_table(table, how.file, how.text)
        named = {sound: (said[0].where, said) for sound, said in found.items()}
    else:
        named = _texts(table, how)
    for sound, (where, _) in named.items():
        if not sound.is_file():
            raise UserError(f"{where}: {sound} is no file")
    below = {sound.parent for sound in named}
    others = [x.path for place in below for x in files.entries(place) if not x.is_folder]
    others = [path for path in others if files.of_kind(path, SOUNDS.suffixes)]
    _tell_without(folder, [path for path in others if path not in named], notes)
    return [(sound, said) for sound, (_, said) in named.items()]


def _texts(table: epath.Path, how: How) -> dict[epath.Path, tuple[str, str]]:
    """Where each sound's text is told, and the text."""
    found = {}
    for row in rows.read(table, (how.file, how.text)):
        name, said = row.text(how.file), row.text(how.text).strip()
        sound = table.parent / name
        if sound in found:
            raise UserError(
                f"{row.where}: {name!r} has a text already, line {found[sound][0].line}"
            )
        if not said:
            raise UserError(f"{row.where}: {how.text!r} is empty")
        found[sound] = row, said
    return {sound: (row.where, said) for sound, (row, said) in found.items()}


def _tell_without(folder: epath.Path, sounds: Sequence[epath.Path], notes: list[str]) -> None:
    if sounds:
        notes.append(
            f"{len(sounds)} sounds below {folder} have no text, and are left out: "
            f"{min(sounds).name}" + (", …" if len(sounds) > 1 else "")
        )
