"""Texts to put a model to: the lines of a file, or a column of a table."""

from etils import epath

from jaxdl.data import files, rows
from jaxdl.errors import UserError


def texts(file: str, column: str) -> list[str]:
    """Those of a file, in order; of plain text each line is one, an empty one too.

    Args:
      file: text (`jaxdl.data.files.text`), or a table that `jaxdl.data.rows` reads.
      column: of a table.

    Raises:
      UserError: no such file, or one that cannot be read, or nothing in it.
    """
    path = epath.Path(file)
    if path.suffix.lower() in rows.SUFFIXES:
        return [row.text(column) for row in rows.read(path, (column,))]
    if not path.is_file():
        raise UserError(f"--input={file!r} is no file: name one with a text on each line")
    # By this alone, as other tools count lines: `splitlines` cuts at letters within texts.
    found = [line.removesuffix("\r") for line in files.text(path).split("\n")]
    found = found[:-1] if not found[-1] else found
    if not found:
        raise UserError(f"{path} has no lines")
    return found
