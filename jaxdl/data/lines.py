"""Texts to put a model to: the lines of a file, or a column of a table."""

from etils import epath

from jaxdl.data import rows
from jaxdl.errors import UserError, one_line


def texts(file: str, column: str) -> list[str]:
    """Those of a file, in order; of plain text each line is one, an empty one too.

    Args:
      file: UTF-8 text, or a table that `jaxdl.data.rows` reads.
      column: of a table.

    Raises:
      UserError: no such file, or one that cannot be read, or nothing in it.
    """
    path = epath.Path(file)
    if path.suffix.lower() in rows.SUFFIXES:
        return [row.text(column) for row in rows.read(path, (column,))]
    if not path.is_file():
        raise UserError(f"--input={file!r} is no file: name one with a text on each line")
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path} is not UTF-8 text: byte 0x{error.object[error.start]:02x} at offset "
            f"{error.start} ({error.reason})"
        ) from None
    except OSError as error:
        raise UserError(f"{path} cannot be read: {one_line(error)}") from None
    # By this alone, as other tools count lines: `splitlines` cuts at letters within texts.
    found = [line.removesuffix("\r") for line in text.split("\n")]
    found = found[:-1] if not found[-1] else found
    if not found:
        raise UserError(f"{path} has no lines")
    return found
