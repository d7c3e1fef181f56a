"""Tables of texts or numbers: a row a line, with columns that have names; .jsonl, .csv and .tsv.

JSON lines (jsonlines.org) are objects, one a line, whose values are of any kind. In .csv (RFC 4180)
and .tsv (IANA's text/tab-separated-values) the first row has the columns' names, and every value is
a text; quotation marks mean something in .csv alone. Semicolons part the cells of a .csv whose
first line has some and no comma, as spreadsheets of many countries write it.
"""

import csv
import io
import json
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from etils import epath

from jaxdl.data import documents, files
from jaxdl.errors import UserError, nearest, one_line

# How long a cell may be is a setting of the whole process.
_FIELD_SIZE = threading.Lock()


class Row(NamedTuple):
    """A row of a table.

    Attributes:
      file: where it is from.
      line: of the file, its first, from 1 on.
      cells: by the columns' names; those that were asked for.
    """

    file: str
    line: int
    cells: Mapping[str, Any]

    @property
    def where(self) -> str:
        """For messages."""
        return f"{self.file}, line {self.line}"

    def text(self, column: str) -> str:
        """The text in ``column``.

        Raises:
          UserError: there is another thing, or what is no Unicode.
        """
        return _unicode(self._of(column, str, "a text"), f"{self.where}: {column!r}")

    def label(self, column: str) -> str:
        """The name of a class in ``column``: a text without spaces around it, or a whole number.

        Raises:
          UserError: there is another thing, or nothing.
        """
        found = self._of(column, (str, int), "a text or a whole number")
        name = _unicode(str(found), f"{self.where}: {column!r}").strip()
        if not name:
            raise UserError(f"{self.where}: {column!r} is empty")
        return name

    def number(self, column: str) -> float:
        """The finite number in ``column``, or that its text is.

        Raises:
          UserError: there is another thing, or nothing.
        """
        found = self.cells.get(column)
        try:
            value = np.nan if isinstance(found, bool) else float(found)
        except (TypeError, ValueError, OverflowError):
            value = np.nan
        if not np.isfinite(value):
            raise UserError(
                f"{self.where}: {column!r} must be a finite number, not {_shown(found)}"
            )
        return value

    def _of(self, column: str, kind: Any, called: str) -> Any:
        found = self.cells.get(column)
        if not isinstance(found, kind) or isinstance(found, bool):
            raise UserError(f"{self.where}: {column!r} must be {called}, not {_shown(found)}")
        return found


def _shown(found: Any) -> str:
    shown = json.dumps(found, default=str)
    return shown if len(shown) <= 40 else shown[:40] + "…"


def columns(file: str | epath.Path) -> list[str]:
    """The names of a table's columns, in the order of its first row; raises as `read`."""
    return list(read(file, (), None)[0].cells)


def read(
    file: str | epath.Path,
    needed: Sequence[str],
    optional: Sequence[str] | None = (),
    settings: Mapping[str, str] | None = None,
) -> list[Row]:
    """The rows of a table, in order; empty lines are passed over.

    Args:
      file: ends in .jsonl (.ndjson), .csv or .tsv; in the encodings of `jaxdl.data.files.text`.
      needed: columns that every row must have; other columns may be there.
      optional: columns that rows may have; None is all.
      settings: {column: the setting that names it}, for messages.

    Raises:
      UserError: no such file, another kind of one, a broken line, a row without a column, or no
        rows at all.
    """
    file = epath.Path(file)
    if not file.is_file() or file.suffix.lower() not in _READERS:
        raise UserError(f"{file} is no table: name a file ({', '.join(_READERS)})")
    text = files.text(file)
    found, wanted = [], (*needed, *(optional or ()))
    for line, cells in _READERS[file.suffix.lower()](text, str(file)):
        for column in needed:
            if column not in cells:
                near = nearest(column, cells) if cells else "there is none"
                if file.suffix.lower() in _NAMED_IN_FRONT:
                    near += "; the first row has the columns' names"
                if settings and column in settings:
                    near += f", and {settings[column]} says which is read"
                raise UserError(f"{file}, line {line}: no column {column!r}: {near}")
        kept = cells if optional is None else {k: cells[k] for k in wanted if k in cells}
        found.append(Row(str(file), line, kept))
    if not found:
        raise UserError(f"{file} has no rows")
    return found


def parts(path: str, what: str = "a table of texts") -> dict[str, epath.Path]:
    """The tables of a data set: "train", "test" and "validation", as far as they are there.

    Args:
      path: a table, which is all of "train" then; or a folder with train.jsonl, test.jsonl,
        validation.jsonl, of any ending that `read` knows and named as `documents.of_path` has it.
      what: is wanted, for messages.

    Raises:
      UserError: no such file or folder, or one without train, or two tables of one part.
    """
    return documents.of_path(path, tuple(_READERS), f"{what} ({', '.join(_READERS)})")


def _jsonl(text: str, file: str) -> Iterator[tuple[int, dict[str, Any]]]:
    # By this alone: `splitlines` cuts at letters that stand within texts.
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            cells = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UserError(f"{file}, line {number} is not JSON: {one_line(error)}") from None
        if not isinstance(cells, dict):
            raise UserError(f"{file}, line {number} is no JSON object, such as {{...}}")
        yield number, cells


def _separated(**how: Any) -> Callable[[str, str], Iterator[tuple[int, dict[str, Any]]]]:
    def rows(text: str, file: str) -> Iterator[tuple[int, dict[str, Any]]]:
        first = text.lstrip().partition("\n")[0]
        own = dict(delimiter=";") if not how and ";" in first and "," not in first else how
        reader = csv.reader(io.StringIO(text, newline=""), strict=True, **own)
        columns, number = None, 1
        while True:
            try:
                with _FIELD_SIZE:
                    before = csv.field_size_limit(sys.maxsize)
                    try:
                        cells = next(reader, None)
                    finally:
                        csv.field_size_limit(before)
            except csv.Error as error:
                raise UserError(
                    f"{file}, line {number} is broken: {one_line(error)}; a cell in quotation "
                    "marks ends with one, and has each of its own twice"
                ) from None
            if cells is None:
                return
            line, number = number, reader.line_num + 1
            if not cells:
                continue
            if columns is None:
                columns = [name.strip() for name in cells]
                twice = next((name for name in columns if columns.count(name) > 1), None)
                if twice is not None:
                    raise UserError(f"{file}, line {line}: column {twice!r} is there twice")
                continue
            if len(cells) != len(columns):
                parted = own.get("delimiter", ",")
                quoted = "" if how else f": one with {parted!r} in it stands in quotation marks"
                raise UserError(
                    f"{file}, line {line}: {len(cells)} cells, but there are {len(columns)} columns"
                    + (quoted if len(cells) > len(columns) else "")
                )
            yield line, dict(zip(columns, cells, strict=True))

    return rows


def _unicode(text: str, where: str) -> str:
    """The text, unless it has halves of letters, which JSON can write and no encoding can."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise UserError(f"{where} is no Unicode text: {error.reason}") from None
    return text


_READERS = {
    ".jsonl": _jsonl,
    ".ndjson": _jsonl,
    ".csv": _separated(),
    ".tsv": _separated(delimiter="\t", quoting=csv.QUOTE_NONE),
}

# Whose first row names the columns.
_NAMED_IN_FRONT = (".csv", ".tsv")

# Of files that are tables.
SUFFIXES = tuple(_READERS)
