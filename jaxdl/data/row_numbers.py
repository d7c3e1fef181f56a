"""The numbers of rows: of tables, and of arrays in files."""

from collections.abc import Mapping, Sequence

import numpy as np
from etils import epath

from jaxdl.data import files, rows
from jaxdl.errors import UserError, one_line


def features(found: Sequence[rows.Row], columns: Sequence[str]) -> np.ndarray:
    """(n, columns) float32 of the numbers in these columns.

    Raises:
      UserError: a cell that is no number of float32's range.
    """
    made = np.array([[row.number(column) for column in columns] for row in found], np.float64)
    return _narrow(made.reshape(len(found), len(columns)), f"{found[0].file}")


def checked(values: np.ndarray, where: str) -> np.ndarray:
    """(n, columns) float32 of an array of finite numbers.

    Raises:
      UserError: it is none.
    """
    if values.dtype.kind not in "uifb" or values.ndim != 2 or not values.size:
        raise UserError(
            f"{where}: features must be numbers (n, columns), got {values.dtype}{values.shape}"
        )
    return _narrow(values, where)


def _narrow(values: np.ndarray, where: str) -> np.ndarray:
    with np.errstate(over="ignore"):
        made = values.astype(np.float32)
    wrong = np.argwhere(~np.isfinite(made))
    if len(wrong):
        row, column = wrong[0]
        raise UserError(
            f"{where}: row {row}, column {column} is {values[row, column]}: it must be a finite "
            "number of float32"
        )
    return made


def asked(file: str, columns: Sequence[str]) -> np.ndarray:
    """The rows that a model is asked about, (n, columns) float32.

    Args:
      file: a table that has these columns, and may have others (`jaxdl.data.rows`); or .npy, (n,
        columns), or .npz, with one array of this shape, or one that is called x, x_test or
        features.
      columns: that the model knows.

    Raises:
      UserError: it is none of these.
    """
    path = epath.Path(file)
    if files.of_kind(path, (".npy", ".npz")):
        try:
            with path.open("rb") as stream:
                loaded = np.load(stream, allow_pickle=False)
                found = loaded if path.suffix.lower() == ".npy" else _of_archive(dict(loaded), file)
        except UserError:
            raise
        except Exception as error:  # a header may break its reader in any way
            raise UserError(f"{file} is no readable array: {one_line(error)}") from None
        made = checked(found, file)
        if made.shape[1] != len(columns):
            raise UserError(
                f"{file} has {made.shape[1]} columns, and the model knows {len(columns)}"
            )
        return made
    if not path.is_file():
        raise UserError(f"--input={file}: there is no such file")
    return features(rows.read(path, columns), columns)


def _of_archive(arrays: Mapping[str, np.ndarray], file: str) -> np.ndarray:
    named = {name.lower(): array for name, array in arrays.items()}
    for name in ("x", "x_test", "features"):
        if name in named:
            return named[name]
    if len(arrays) == 1:
        return next(iter(arrays.values()))
    raise UserError(f"{file} has the arrays {sorted(arrays)}: call the one to look at x")
