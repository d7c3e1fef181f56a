"""What the numbers and colours of a mask's file mean: by a palette, a table, or as they stand."""

import re
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from etils import epath

from jaxdl.data import files, pictures
from jaxdl.errors import UserError

# Masks that tell "auto" what they are.
_LOOKED_AT = 64

# Classes of a table that count in nothing, in lower case.
_NOTHING = ("void", "ignore", "ignored", "unlabelled", "unlabeled")

# (numbers or colours of a mask, its file) -> (h, w) uint8 classes.
Meaning = Callable[[np.ndarray, epath.Path], np.ndarray]


def values(file: epath.Path) -> np.ndarray:
    """(h, w) whole numbers of a mask, a palette's own; or (h, w, 3) uint8 of its colours.

    Raises:
      UserError: it cannot be read, or holds no whole numbers.
    """
    with pictures.opened(file) as found:
        found.load()
        if found.mode in ("1", "L", "P") or found.mode.startswith("I"):
            return np.asarray(found).astype(np.int64)
        if found.mode == "LA":
            return np.asarray(found)[..., 0].astype(np.int64)
        if found.mode == "F":
            raise UserError(f"{file} holds floats, a mask whole numbers")
        made = np.asarray(found.convert("RGB"))
    grey = (made == made[..., :1]).all()
    return made[..., 0].astype(np.int64) if grey else made


def by_values(
    kind: str, given: Sequence[epath.Path], names: Sequence[str], ignored: int
) -> tuple[Meaning, tuple[str, ...]]:
    """What the values of masks without a table mean, and the names of the classes.

    Args:
      kind: "auto", "index" or "binary", as `jaxdl.data.masks.masks` has them.
      given: files of all masks.
      names: of the classes, or none to count them.
      ignored: value of what counts in nothing, or -1.

    Raises:
      UserError: values that are no classes.
    """
    if kind == "auto":
        few = given[:: max(1, len(given) // _LOOKED_AT)]
        seen = set().union(*(np.unique(_numbers(values(file), file)).tolist() for file in few))
        others = seen - {0}
        kind = "binary" if len(others) == 1 and others <= {1, 255} and len(names) < 2 else "index"
    if kind == "binary":
        if len(names) > 1:
            raise UserError(f"data.names={names!r}: a binary mask has one class")
        return _binary, tuple(names) or ("foreground",)
    with ThreadPoolExecutor(8) as threads:
        read = lambda file: np.unique(_numbers(values(file), file))
        found = list(threads.map(read, given))
    count = len(names)
    for file, own in zip(given, found, strict=True):
        own = own[own != ignored]
        most = int(own.max(initial=0))
        if own.min(initial=0) < 0 or most > (len(names) or 254):
            raise UserError(
                f"{file}: value {most} of a mask: there are {len(names)} data.names, of 1 to "
                f"{len(names)}"
                if names
                else f"{file}: values of a mask must be from 0 to 254, not {most}"
            )
        count = max(count, most)
    if not count:
        raise UserError(f"{given[0]} and all other masks are empty")
    index = lambda made, file: _numbers(made, file).astype(np.uint8)
    return index, tuple(names) or tuple(str(i) for i in range(1, count + 1))


def _numbers(made: np.ndarray, file: epath.Path) -> np.ndarray:
    if made.ndim == 3:
        raise UserError(f"{file} is a mask of colours: name their table by data.colours")
    return made


def _binary(made: np.ndarray, file: epath.Path) -> np.ndarray:
    made = _numbers(made, file)
    return (made >= (128 if made.max(initial=0) > 1 else 1)).astype(np.uint8)


def of_table(file: epath.Path, ignored: int) -> tuple[Meaning, tuple[str, ...]]:
    """What colours mean by a table of them, and the names of the classes behind the ground.

    Args:
      file: red, green, blue and a name a line.
      ignored: what becomes of a class called void or the like, or -1.

    Raises:
      UserError: no such table, or a broken one.
    """
    if not file.is_file():
        raise UserError(f"data.colours: there is no {file}")
    numbers: dict[tuple[int, ...], int] = {}
    names: list[str] = []
    for n, line in enumerate(files.text(file).splitlines(), 1):
        words = [word for word in re.split(r"[,;\s]+", line.strip()) if word]
        if not words or words[0].startswith("#"):
            continue
        digits = [word.isdecimal() for word in words]
        at = next((i for i in range(len(words) - 2) if all(digits[i : i + 3])), None)
        name = " ".join(words[:at] + words[at + 3 :]) if at is not None else ""
        if at is None and not names and not numbers and not any(digits):
            continue  # the columns' names
        colour = tuple(map(int, words[at : at + 3])) if at is not None else ()
        if not name or max(colour) > 255:
            raise UserError(f"{file}, line {n}: red, green, blue to 255 and a name are needed")
        if colour in numbers:
            raise UserError(f"{file}, line {n}: colour {colour} is there twice")
        if ignored >= 0 and name.lower() in (
            "void",
            "ignore",
            "ignored",
            "unlabelled",
            "unlabeled",
        ):
            numbers[colour] = ignored
        else:
            numbers[colour] = len(names)
            names.append(name)
    if len(names) < 2 or len(names) > 254 or len(set(names)) < len(names):
        raise UserError(f"{file} must name from 2 to 254 classes, the first the ground, each once")
    return _by_colour(numbers, file), tuple(names[1:])


def _by_colour(numbers: Mapping[tuple[int, ...], int], table: epath.Path) -> Meaning:
    code = lambda colours: np.asarray(colours, np.int64) @ np.array([1 << 16, 1 << 8, 1])
    known = code(list(numbers))
    order = np.argsort(known)
    known, classes = known[order], np.array(list(numbers.values()), np.uint8)[order]

    def meaning(made: np.ndarray, file: epath.Path) -> np.ndarray:
        if made.ndim == 2:  # grey, or a palette's numbers
            with pictures.opened(file) as found:
                made = np.asarray(found.convert("RGB"))
        codes = code(made)
        at = np.minimum(np.searchsorted(known, codes), len(known) - 1)
        if (wrong := known[at] != codes).any():
            shown = tuple(int(x) for x in made[wrong][0])
            raise UserError(
                f"{file}: colour {shown} of {int(wrong.sum())} pixels is not in {table}"
            )
        return classes[at]

    return meaning
