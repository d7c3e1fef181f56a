"""Tables of numbers in files, a row an edge or a node: what those of graphs have in common."""

import contextlib
import gzip
import warnings
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TextIO

import numpy as np

from jaxdl import process
from jaxdl.data import fingerprint
from jaxdl.errors import UserError, one_line

# What a packed file that is none, or is cut short, raises.
_BROKEN = (gzip.BadGzipFile, EOFError, zlib.error)

DELIMITERS = {".csv": ",", ".tsv": "\t", ".csv.gz": ",", ".tsv.gz": "\t"}


def kind(file: Path) -> str:
    """How its name ends, as in DELIMITERS."""
    return "".join(file.suffixes[-2:]) if file.suffix == ".gz" else file.suffix


def cached(files: Iterable[Path], *how: object) -> Path:
    """The folder where what is made of ``files`` is kept: another one when they have changed.

    Args:
      files: that are read.
      how: they are read.
    """
    stats = [(str(f.resolve()), f.stat().st_size, f.stat().st_mtime_ns) for f in files]
    name = fingerprint.digest({"read": [str(stats), *map(str, how), "1"]})
    return process.cache_folder() / "graphs" / name


def table(file: Path, dtype: type, columns: int | None, wanted: str) -> tuple[np.ndarray, int]:
    """(rows, columns) of a file, and the number of the first row, names above it not being one.

    Args:
      file: one of DELIMITERS, or an .npz archive of one array, or one that is called as it is.
      dtype: np.int64, or floating.
      columns: how many there must be; None for any number.
      wanted: of a row, for messages.

    Raises:
      UserError: what is no such table, with the row.
    """
    if file.suffix == ".npz":
        found = archive(file)
        found = found[:, None] if found.ndim == 1 else found
        if found.ndim != 2 or found.dtype.kind not in ("iu" if dtype is np.int64 else "iufb"):
            raise UserError(
                f"{file}: {wanted} in each row are wanted, not {found.dtype}{found.shape}"
            )
        found, first = found.astype(dtype), 0
    else:
        first = 1 + _has_names(file)
        how = dict(delimiter=DELIMITERS[kind(file)], skiprows=first - 1, ndmin=2, comments=None)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # of no rows, which are told of below
                found = np.loadtxt(file, dtype, **how)
        except (ValueError, UnicodeError, OSError, *_BROKEN) as error:
            said = _first_wrong(file, dtype, first, wanted) or f"{file}: {one_line(error)}"
            raise UserError(said) from None
    if not found.size:
        raise UserError(f"{file} has no rows: {wanted} are wanted in each")
    if columns not in (None, found.shape[1]):
        raise UserError(f"{file}, row {first}: {wanted} are wanted, not {found.shape[1]} columns")
    return found, first


def _has_names(file: Path) -> bool:
    """Whether the first row has a field that is no number."""
    with opened(file) as lines:
        fields = next(lines, "").rstrip("\r\n").split(DELIMITERS[kind(file)])
    return not all(is_of(float, field) for field in fields)


def is_of(number: Callable, field: str) -> bool:
    """Whether ``number``, int or float, takes ``field``."""
    try:
        number(field)
    except ValueError:
        return False
    return True


def _first_wrong(file: Path, dtype: type, first: int, wanted: str) -> str:
    """A line on the first row that has another number of fields, or no numbers."""
    number, width = int if dtype is np.int64 else float, None
    with opened(file) as lines:
        for row, line in enumerate(lines, 1):
            fields = line.strip("\r\n").split(DELIMITERS[kind(file)])
            if row < first or not line.strip():
                continue
            width = width or len(fields)
            bad = [field for field in fields if not is_of(number, field)]
            if bad or len(fields) != width:
                found = f"{bad[0]!r}" if bad else f"{len(fields)} columns after rows of {width}"
                return f"{file}, row {row}: {wanted} are wanted, not {found}"
    return ""


@contextlib.contextmanager
def opened(file: Path) -> Iterator[TextIO]:
    """The lines of a file, packed or not; bytes that are no UTF-8 are told by a mark.

    Raises:
      UserError: it is packed, and broken.
    """
    how = dict(encoding="utf-8", errors="replace")
    try:
        with gzip.open(file, "rt", **how) if file.suffix == ".gz" else file.open(**how) as lines:
            yield lines
    except _BROKEN as error:
        raise UserError(f"{file} is no sound .gz file: {one_line(error)}") from None


def archive(file: Path) -> np.ndarray:
    """The array of an .npz archive that is called as it is, or its first.

    Raises:
      UserError: it is none.
    """
    try:
        with np.load(file, allow_pickle=False) as found:
            name = file.stem if file.stem in found.files else found.files[0]
            return found[name]
    except Exception as error:  # zip, its decompressors and headers have errors of their own
        raise UserError(f"{file} is not a readable .npz archive: {one_line(error)}") from None
