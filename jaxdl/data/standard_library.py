"""Python's own standard library as text to learn from: sources that every Python brings."""

import ast
import sysconfig
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from jaxdl.errors import UserError


class Module(NamedTuple):
    """A file of the library.

    Attributes:
      name: of the module or package that it is of, "json"; the document that examples are of.
      file: its name below the library's folder.
      source: its text.
      tree: the same, parsed.
    """

    name: str
    file: str
    source: str
    tree: ast.Module


def modules(names: Sequence[str]) -> Iterator[Module]:
    """The files of these modules and packages; those that this Python does not have are left out.

    Args:
      names: of modules at the top.

    Yields:
      In an order that is drawn from the names alone, so that the end of it is a sample and the same
      one in each Python; the files of a package lie together.

    Raises:
      UserError: the library's sources are not there.
    """
    root = Path(sysconfig.get_path("stdlib"))
    found = False
    for name in sorted(names, key=lambda name: zlib.crc32(name.encode())):
        module, package = root / f"{name}.py", root / name
        for file in [module] if module.is_file() else sorted(package.glob("*.py")):
            source = file.read_text(encoding="utf-8")
            found = True
            yield Module(name, str(file.relative_to(root)), source, ast.parse(source))
    if not found:
        raise UserError(f"this Python brings no sources of its standard library: {root} has none")
