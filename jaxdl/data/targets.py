"""What is told of an example, as tables and archives have it: numbers, a class, or labels."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from jaxdl.data import arrays, row_numbers, rows
from jaxdl.errors import UserError, nearest


class Told(NamedTuple):
    """What is told of some examples.

    Attributes:
      name: of the array: "target", "label" or "labels".
      values: (n, targets) float32, (n,) int32 or (n, labels) uint8.
      names: of the targets or labels, or of the column of the class.
    """

    name: str
    values: np.ndarray
    names: Sequence[str]


class Kind(NamedTuple):
    """How it is read.

    Attributes:
      of_rows: (rows, columns, class names) -> `Told`.
      of_array: (array, where) -> `Told`.
    """

    of_rows: Callable[[Sequence[rows.Row], Sequence[str], Sequence[str]], Told]
    of_array: Callable[[np.ndarray, str], Told]


def _numbers_of_rows(
    found: Sequence[rows.Row], columns: Sequence[str], class_names: Sequence[str]
) -> Told:
    return Told("target", row_numbers.features(found, columns), columns)


def _numbers_of_array(y: np.ndarray, where: str) -> Told:
    y = row_numbers.checked(y[:, None] if y.ndim == 1 else y, f"{where}, targets")
    names = ["y"] if y.shape[1] == 1 else [f"y{i}" for i in range(y.shape[1])]
    return Told("target", y, names)


def _class_of_rows(
    found: Sequence[rows.Row], columns: Sequence[str], class_names: Sequence[str]
) -> Told:
    (column,) = columns
    number = {name: i for i, name in enumerate(class_names)}
    for row in found:
        if (name := row.label(column)) not in number:
            raise UserError(
                f"{row.where}: no row to learn from has {column} {name!r}: "
                f"{nearest(name, class_names)}"
            )
    labels = np.array([number[row.label(column)] for row in found], np.int32)
    return Told("label", labels, columns)


def _class_of_array(y: np.ndarray, where: str) -> Told:
    return Told("label", arrays.whole_numbers(y, where), ["class"])


def _labels_of_rows(
    found: Sequence[rows.Row], columns: Sequence[str], class_names: Sequence[str]
) -> Told:
    made = [[_holds(row, column) for column in columns] for row in found]
    return Told("labels", np.array(made, np.uint8), columns)


def _holds(row: rows.Row, column: str) -> bool:
    value = row.cells.get(column)
    if not isinstance(value, bool):
        value = row.number(column)
    if value not in (0, 1):
        raise UserError(f"{row.where}: {column!r} must be 1, for what holds, or 0, not {value:g}")
    return bool(value)


def _labels_of_array(y: np.ndarray, where: str) -> Told:
    y = y[:, None] if y.ndim == 1 else y
    if y.ndim != 2 or y.dtype.kind not in "uifb" or not np.isin(y, (0, 1)).all():
        raise UserError(
            f"{where}: labels must be (n, labels) of 1, for those that hold, and 0; got "
            f"{y.dtype}{y.shape}"
        )
    return Told("labels", y.astype(np.uint8), [str(i) for i in range(y.shape[1])])


KINDS = {
    "numbers": Kind(_numbers_of_rows, _numbers_of_array),
    "class": Kind(_class_of_rows, _class_of_array),
    "labels": Kind(_labels_of_rows, _labels_of_array),
}
