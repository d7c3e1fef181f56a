"""Files of a data set by their parts, and lists of examples cut where a document ends."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, TypeVar

from etils import epath

from jaxdl.data import files
from jaxdl.data.layout import PARTS
from jaxdl.data.parts import held_out as size_of_end
from jaxdl.errors import UserError

T = TypeVar("T")

# As the files of CoNLL-2003 are called besides.
_NAMES = {"validation": ("testa",), "test": ("testb",)}


class Parts(NamedTuple):
    """Examples by what they are for, a list each; as `jaxdl.data.parts.Parts` has them."""

    train: list
    test: list
    validation: list | None = None


def of_path(path: str, suffixes: Sequence[str], what: str) -> dict[str, epath.Path]:
    """The files of a data set: "train", "test" and "validation", as far as they are there.

    Args:
      path: a file, which is all of "train" then; or a folder in which one file a part has its name
        in its own: train.txt, eng.testb, dev-v1.1.json.
      suffixes: of the files to look at in a folder, in lower case; () is all.
      what: is wanted, for messages: "a file of questions".

    Raises:
      UserError: no such file or folder, no train there, or two files of one part.
    """
    root = epath.Path(path)
    if not path or not root.exists():
        raise UserError(f"data.path={path!r} is no file or folder: name {what}")
    if not root.is_dir():
        return {"train": root}
    there = [entry.path for entry in files.entries(root) if not entry.is_folder]
    there = [file for file in there if not suffixes or files.of_kind(file, suffixes)]
    found: dict[str, epath.Path] = {}
    for part, usual in PARTS.items():
        names = {*usual, *_NAMES.get(part, ())}
        own = [file for file in there if names & set(re.split("[^a-z]+", file.name.lower()))]
        if len(own) > 1:
            both = " and ".join(file.name for file in own)
            raise UserError(f"data.path={path!r} has more than one file of {part}: {both}")
        if own:
            found[part] = own[0]
    if "train" not in found:
        named = ", ".join(file.name for file in there[:10]) or "none"
        raise UserError(f"data.path={path!r} has no file called train; {what} there: {named}")
    return found


def divided(
    parts: Mapping[str, list[T]],
    document: Callable[[T], object],
    test_fraction: float,
    eval_on: str,
    where: str,
) -> Parts:
    """The parts that examples come in; where they have no test part, the end is held out.

    Args:
      parts: "train", and "test" and "validation" where they are there.
      document: of an example; those of one lie together, and stay together where there are several
        documents on either side.
      test_fraction: of the examples, that are held out.
      eval_on: "test", or "validation" for the data's own, or as large a share of what is left.
      where: the data's name, for messages.

    Raises:
      UserError: too few examples.
    """
    train, test, validation = (parts.get(name) for name in ("train", "test", "validation"))
    if eval_on == "validation" and validation is not None:
        return Parts(train, validation)
    if test is None and validation is not None:
        return Parts(train, validation)
    if test is None:
        train, test = _cut(train, document, test_fraction, where)
    if eval_on == "validation":
        return Parts(*_cut(train, document, test_fraction, where))
    return Parts(train, test, validation)


def _cut(
    examples: list[T], document: Callable[[T], object], test_fraction: float, where: str
) -> tuple[list[T], list[T]]:
    place = len(examples) - max(1, size_of_end(len(examples), test_fraction))
    if place < 1:
        raise UserError(f"{where}: {len(examples)} example cannot be cut into two parts")
    same = lambda i: document(examples[i - 1]) == document(examples[i])
    starts = [i for i in range(1, len(examples)) if not same(i)]
    if starts:
        place = min(starts, key=lambda i: abs(i - place))
    return examples[:place], examples[place:]
