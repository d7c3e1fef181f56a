"""How pictures, or sounds, lie in folders: which are parts, which are classes, what is left out."""

import collections
import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

from etils import epath

from jaxdl.data import files
from jaxdl.data.pictures import SUFFIXES
from jaxdl.errors import UserError, one_line

# What folders of parts are called, in any letters, the usual first.
PARTS = {
    "train": ("train", "training"),
    "test": ("test", "testing"),
    "validation": ("val", "valid", "validation", "dev"),
}

# What folders are called that only hold a class's pictures, or those of a part without labels.
_PICTURES = frozenset({"images", "image", "imgs", "img", "pictures", "photos", "jpegimages"})
_UNLABELLED = _PICTURES | {"unknown", "unlabeled", "unlabelled", "all"}

# Files of a part and the number of each one's class.
Labelled = tuple[list[epath.Path], list[int]]


class Kind(NamedTuple):
    """What is looked for.

    Attributes:
      suffixes: of files, in lower case.
      called: several of them, in messages.
    """

    suffixes: tuple[str, ...] = SUFFIXES
    called: str = "images"

    @property
    def read(self) -> str:
        """The suffixes, for messages."""
        return ", ".join(self.suffixes)


IMAGES = Kind()


class Layout(NamedTuple):
    """The labelled files of a folder.

    Attributes:
      parts: "train", "test" and "validation", as far as they are there.
      class_names: what the labels number.
      notes: a line each on what is left out.
    """

    parts: dict[str, Labelled]
    class_names: tuple[str, ...]
    notes: tuple[str, ...]


def find(root: epath.Path, kind: Kind = IMAGES) -> Layout:
    """Looks through ``root/CLASS/…``, or ``root/train/CLASS/…`` and the parts beside that.

    Files of a class lie in its folder or in folders in that, as in ``CLASS/images``. A part
    without class folders has its labels in a file, as Tiny ImageNet's val/ has, or none, and is
    left out then.

    Raises:
      UserError: there is no class or one without a file, a part has other classes than train, or
        the classes can be read in two ways.
    """
    folders = _parts(root)
    main = next(iter(folders), "train")
    train = folders.pop(main, root)
    classes = files.folders(train)
    class_names = tuple(map(_name, classes))
    # Also where there is no folder at all.
    if all(_part_called(name) or name.lower() in _PICTURES for name in class_names):
        train = classes[0] if classes else train
        raise UserError(
            f"{train} holds no class folders: each class needs a folder of {kind.called}"
        )
    if twice := [name for name in class_names if class_names.count(name) > 1]:
        raise UserError(
            f"{train} has two folders {twice[0]!r}, one with its accents apart: join them"
        )
    of_class = [_files(path, kind) for path in classes]
    _check_depth(classes, [found for found, _ in of_class], kind)
    for path, (found, others) in zip(classes, of_class, strict=True):
        if not found:
            there = f"; there are {files.counted(others)}" if others else ""
            raise UserError(f"{path} holds no {kind.called} ({kind.read}){there}")
    left_out = [path for _, others in of_class for path in others]
    parts, notes = {main: _joined([found for found, _ in of_class])}, []
    for name, folder in folders.items():
        if not (found := _part(folder, train, class_names, left_out, kind)):
            notes.append(f"{folder} has neither class folders nor labels, and is left out")
        else:
            parts[name] = found
    notes += _beside(root, train, folders.values(), class_names, kind)
    if left_out:
        notes.append(
            f"left out of {root} for their endings: {files.counted(left_out)} "
            f"(read are {kind.read})"
        )
    return Layout(parts, class_names, tuple(notes))


def _name(folder: epath.Path) -> str:
    """Of a class: what a Mac writes with its accents apart is the same name."""
    return unicodedata.normalize("NFC", folder.name)


def _part_called(name: str) -> str:
    """The part that a folder of this name is, or ""."""
    return next((part for part, names in PARTS.items() if name.lower() in names), "")


def _parts(root: epath.Path) -> dict[str, epath.Path]:
    """The folders of the parts; none where ``root`` holds the classes themselves."""
    found, count = _of_parts(root)
    if "train" in found:  # which may be a thing to be seen, too
        return found if files.folders(found["train"]) else {}
    # Without it they are parts where there is nothing else.
    return found if len(found) == count and all(map(files.folders, found.values())) else {}


def parts_or_whole(root: epath.Path) -> dict[str, epath.Path]:
    """The folders of the parts, of data without classes; without "train" the root is that."""
    found, _ = _of_parts(root)
    return found if "train" in found else {"train": root}


def _of_parts(root: epath.Path) -> tuple[dict[str, epath.Path], int]:
    """The folders that are called as parts are, and how many folders there are."""
    there = {path.name.lower(): path for path in files.folders(root)}
    found = {
        part: there[name]
        for part, names in PARTS.items()
        for name in reversed(names)
        if name in there
    }
    return found, len(there)


def _files(folder: epath.Path, kind: Kind) -> tuple[list[epath.Path], list[epath.Path]]:
    """The files of a kind in a folder and below it, in order, and the other files."""
    found, others = [], []
    for path in files.below(folder):
        (found if files.of_kind(path, kind.suffixes) else others).append(path)
    return found, others


def _check_depth(
    classes: Sequence[epath.Path], pictures: Sequence[list[epath.Path]], kind: Kind
) -> None:
    """Raises UserError where folders in the classes' own could be the classes."""
    where = collections.defaultdict(dict)  # name of a folder -> class -> that folder
    for folder, found in zip(classes, pictures, strict=True):
        for inner in {path.parent for path in found} - {folder}:
            for name in inner.relative_to(folder).parts:
                where[name.lower()][folder] = inner
    own = {folder.name.lower() for folder in classes}
    for name, inside in where.items():
        alone = len(classes) == 1 and len(where) > 1
        twice = len(inside) > 1 and name not in _PICTURES
        other = name in own - {folder.name.lower() for folder in inside}
        if alone or twice or other or _part_called(name):
            folder, inner = next(iter(inside.items()))
            raise UserError(
                f"{inner} holds {kind.called}, and either it or {folder} could be a class: name by "
                "data.path the folder that holds a folder a class (or train with these)"
            )


def _joined(of_class: Sequence[list[epath.Path]]) -> Labelled:
    labels = [label for label, found in enumerate(of_class) for _ in found]
    return [path for found in of_class for path in found], labels


def _part(
    folder: epath.Path,
    train: epath.Path,
    class_names: Sequence[str],
    left_out: list[epath.Path],
    kind: Kind,
) -> Labelled | None:
    """The files of a part beside train; None without labels. Adds to ``left_out``."""
    inside = {_name(path): path for path in files.folders(folder)}
    names = set(inside)
    if not names & set(class_names):
        if labelled := _by_annotations(folder, class_names):
            return labelled
        vague = all(name.lower() in _UNLABELLED or _part_called(name) for name in names)
        if len(names) <= 1 and vague and _files(folder, kind)[0]:
            return None
    if unknown := names - set(class_names):
        raise UserError(f"{folder} has a class {min(unknown)!r} that {train} has not")
    of_class = [_files(inside[name], kind) if name in names else ([], []) for name in class_names]
    left_out += [path for _, others in of_class for path in others]
    found = _joined([found for found, _ in of_class])
    if not found[0]:
        raise UserError(f"{folder} holds no {kind.called} ({kind.read})")
    return found


def _by_annotations(folder: epath.Path, class_names: Sequence[str]) -> Labelled | None:
    """Of ``val/images`` with val_annotations.txt: name, class and box a line, with tabs between.

    Source: the files of Tiny ImageNet (Stanford's course CS231n, 2015).
    """
    file = folder / f"{folder.name}_annotations.txt"
    if not file.is_file():
        return None
    try:
        lines = [line.split("\t") for line in file.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{file} cannot be read: {one_line(error)}") from None
    numbers = {name: i for i, name in enumerate(class_names)}
    for n, line in enumerate(lines, 1):
        if len(line) < 2 or line[1] not in numbers:
            raise UserError(f"{file}, line {n}: after the image's name there is no class of train")
    pairs = sorted((name, numbers[class_name]) for name, class_name, *_ in lines)
    return [folder / "images" / name for name, _ in pairs], [label for _, label in pairs]


def _beside(
    root: epath.Path,
    train: epath.Path,
    parts: Sequence[epath.Path],
    class_names: Sequence[str],
    kind: Kind,
) -> list[str]:
    """Lines on folders and files that are neither classes nor parts, and what looks like one."""
    notes = []
    if train == root:
        if taken := [name for name in class_names if _part_called(name)]:
            notes.append(f"{root / taken[0]} is taken for a class: {root} has no train/CLASS")
    elif others := {path.name for path in files.folders(root)} - {p.name for p in (train, *parts)}:
        names = ", ".join(map(repr, sorted(others)))
        notes.append(f"beside {train} there are folders that are left out: {names}")
    stray = sum(
        files.of_kind(path, kind.suffixes)
        for path, is_folder in files.entries(train)
        if not is_folder
    )
    if stray:
        notes.append(f"{stray} {kind.called} in {train} are in no class folder, and are left out")
    return notes
