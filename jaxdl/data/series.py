"""Time series: windows of a file's, to learn what comes next."""

import csv
from collections.abc import Sequence

import numpy as np
from etils import epath

from jaxdl.data import Data, files, fingerprint, register
from jaxdl.data.parts import held_out as size_of_end
from jaxdl.data.split import Batch
from jaxdl.data.windows import Windows, places
from jaxdl.errors import UserError, one_line


@register("series")
def series(
    path: str = "",
    window: int = 128,
    stride: int = 64,
    test_fraction: float = 0.2,
    eval_on: str = "test",
) -> Data:
    """One series from a file: .npy, (T,) or (T, features), or .csv, a line a step.

    A first line of a .csv without any number in it is a heading. Numbers are parted by commas, by
    tabs, or by semicolons, which leave the comma to be the decimal point. A first column whose
    heading is empty and that counts from 0 on, as pandas writes it, is left out.

    Args:
      path: the file.
      window: steps of an example.
      stride: steps of an evaluation window that are forecast, its last.
      test_fraction: the end of the series, which is held out.
      eval_on: "test", or "validation" for as large a share of what is then left.
    """
    file = epath.Path(path)
    readers = {".npy": _npy, ".csv": _csv, ".tsv": _csv}
    if not path or not file.is_file() or file.suffix.lower() not in readers:
        raise UserError(f"data.path={path!r} is no .npy or .csv file: name one with a series")
    values, notes = readers[file.suffix.lower()](file)
    made = windowed(values, f"data.path={path!r}", window, stride, test_fraction, eval_on)
    return made._replace(notes=notes)


def windowed(
    values: np.ndarray, where: str, window: int, stride: int, test_fraction: float, eval_on: str
) -> Data:
    """The data of a series (T,) or (T, features): standardised, its end held out.

    Each feature has mean 0 and deviation 1 over the training part; `Data.mean` and `Data.std` lead
    back. The other arguments are as of `series`; ``where`` is the series' name in messages.

    Raises:
      UserError: values that are no finite numbers, a constant feature, or a series or window that
        is too short.
    """
    values = _checked(values, where)
    if window < 2:
        raise UserError(f"data.window={window} must be at least 2")
    if not 1 <= stride < window:
        raise UserError(f"data.stride={stride} must be at least 1 and below data.window={window}")
    learned, held_out = _cut(values, test_fraction)
    if eval_on == "validation":
        learned, held_out = _cut(learned, test_fraction)
    if len(learned) < window or not len(held_out):
        raise UserError(
            f"{where}: {len(learned)} steps to learn from and {len(held_out)} held out are too "
            f"few: data.window={window} needs as many and 1"
        )
    mean, std = learned.mean(axis=0), learned.std(axis=0)
    if not (std > 1e-12 * np.abs(mean)).all():
        flat = int(np.argmin(std > 1e-12 * np.abs(mean)))
        raise UserError(
            f"{where}: feature {flat} is {learned[0, flat]:g} all along the training part: there "
            "is nothing to forecast"
        )
    scaled = (np.concatenate([learned, held_out]) - mean) / std
    return Data(
        Excerpts(scaled[: len(learned)].astype(np.float32), window - 1),
        Ends(scaled, len(learned), window, stride),
        mean=mean.astype(np.float32),
        std=std.astype(np.float32),
    )


class Excerpts(Windows):
    """`Windows` of a series' values (T, features) instead of tokens, of context + 1 steps."""

    def take(self, indices: np.ndarray) -> Batch:
        """``series`` (n, context + 1, features) of the windows that begin at ``indices`` (n,)."""
        return {"series": self.tokens[places(indices, self.context + 1)]}

    def rescaled(self, factor: np.ndarray, offset: np.ndarray) -> "Excerpts":
        """Of x · factor + offset, both (features,)."""
        values = np.float64(self.tokens) * factor + offset
        return Excerpts(values.astype(np.float32), self.context)


class Ends:
    """The end of a series to be measured on: every step is forecast once, in order.

    Args:
      series: (T, features), from the first step that was learned from on; float64, for baselines
        that need more digits than batches have.
      start: the first step that is forecast; at least as many as a window are before it.
      window: steps of an example.
      stride: those that are forecast, its last.
    """

    def __init__(self, series: np.ndarray, start: int, window: int, stride: int):
        self.series, self.start, self.window, self.stride = series, start, window, stride

    @property
    def about(self) -> dict[str, int]:
        """``window``, ``stride`` and ``start``."""
        return {"window": self.window, "stride": self.stride, "start": self.start}

    def fingerprint(self) -> str:
        """Of every value."""
        return fingerprint.digest({"series": self.series})

    def rescaled(self, factor: np.ndarray, offset: np.ndarray) -> "Ends":
        """Of x · factor + offset, both (features,)."""
        return Ends(self.series * factor + offset, self.start, self.window, self.stride)

    def __len__(self) -> int:
        """Windows."""
        return -(-(len(self.series) - self.start) // self.stride)

    def take(self, indices: np.ndarray) -> Batch:
        """``series`` (n, window, features) and ``weight`` (n, window), float32.

        The weight of a step is 1 where its forecast counts and 0 elsewhere: in the past that each
        window brings, and behind the end, where the last step is repeated.
        """
        end = self.start + (np.asarray(indices) + 1) * self.stride
        steps = places(end - self.window, self.window)
        counts = (steps >= end[:, None] - self.stride) & (steps < len(self.series))
        values = self.series[np.minimum(steps, len(self.series) - 1)]
        return {"series": values.astype(np.float32), "weight": counts.astype(np.float32)}


def _cut(values: np.ndarray, test_fraction: float) -> tuple[np.ndarray, np.ndarray]:
    place = len(values) - size_of_end(len(values), test_fraction)
    return values[:place], values[place:]


def _checked(values: np.ndarray, where: str) -> np.ndarray:
    """(T, features) float64."""
    if values.dtype.kind not in "uif":
        raise UserError(f"{where}: a series must be numbers, got {values.dtype}")
    if values.ndim not in (1, 2) or not values.size:
        raise UserError(f"{where}: a series must be (T,) or (T, features), got {values.shape}")
    values = values.reshape(len(values), -1).astype(np.float64)
    wrong = np.argwhere(~np.isfinite(values))
    if len(wrong):
        step, feature = wrong[0]
        raise UserError(
            f"{where}: step {step} of feature {feature} is {values[step, feature]}: a series needs "
            "a number at every step"
        )
    return values


def _npy(file: epath.Path) -> tuple[np.ndarray, tuple[str, ...]]:
    try:
        with file.open("rb") as stream:
            return np.load(stream, allow_pickle=False), ()
    except Exception as error:  # a header may break its reader in any way
        raise UserError(f"{file} is not a readable .npy file: {one_line(error)}") from None


def _csv(file: epath.Path) -> tuple[np.ndarray, tuple[str, ...]]:
    """Its numbers, and a line where a column is left out."""
    lines = [(n, x) for n, x in enumerate(files.text(file).splitlines(), 1) if x.strip()]
    separator = _separator([line for _, line in lines[:2]])
    point = "," if separator == ";" else "."
    rows = list(csv.reader([line for _, line in lines], delimiter=separator))
    numbers = [[_number(cell.replace(point, ".")) for cell in cells] for cells in rows]
    heading = []
    if rows and all(number is None for number in numbers[0]):
        heading, lines, rows, numbers = rows[0], lines[1:], rows[1:], numbers[1:]
    if not rows:
        raise UserError(f"{file} holds no numbers")
    for (n, _), cells, found in zip(lines, rows, numbers, strict=True):
        if None in found:
            wrong = cells[found.index(None)].strip()
            raise UserError(f"{file}, line {n}: {wrong!r} is not a number")
        if len(cells) != len(rows[0]):
            raise UserError(
                f"{file}, line {n}: {len(cells)} numbers, but line {lines[0][0]} has {len(rows[0])}"
            )
    values = np.array(numbers)
    is_index = heading[:1] == [""] and values.shape[1] > 1
    if is_index and np.array_equal(values[:, 0], np.arange(len(values))):
        note = f"{file}: its first column, without a name, counts the lines and is left out"
        return values[:, 1:], (note,)
    return values, ()


def _separator(lines: Sequence[str]) -> str:
    """What stands between numbers: what the first two lines have equally often."""
    for mark in (";", "\t"):
        if len({line.count(mark) for line in lines} - {0}) == 1 and all(mark in x for x in lines):
            return mark
    return ","


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
