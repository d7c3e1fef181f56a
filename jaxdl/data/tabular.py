"""Rows of numbers, and what is to be told of each: a class, labels that hold or not, or numbers."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from jaxdl.data import Data, balanced, parts, statistics
from jaxdl.data.split import Arrays, Batch
from jaxdl.errors import UserError

# A column whose deviation is a smaller part of its mean loses its digits in float32.
_LEAST = 1e-5


class Examples(Arrays):
    """In memory: ``features`` (n, columns) float32 or ``image``, and what is to be told of them.

    That is ``label`` (n,) int32 of one class each, ``labels`` (n, labels) uint8, 1 for those that
    hold, or ``target`` (n, targets) float32.

    Args:
      arrays: these.
      columns: names of the features' columns; () of images.
      targets: names of what is told.
    """

    def __init__(
        self, arrays: Mapping[str, np.ndarray], columns: Sequence[str], targets: Sequence[str]
    ):
        super().__init__(arrays)
        self.columns, self.targets = list(columns), list(targets)

    @property
    def about(self) -> dict[str, list[str]]:
        """``columns`` and ``targets``."""
        return {"columns": self.columns, "targets": self.targets}

    def subset(self, indices: np.ndarray) -> "Examples":
        """Only these, in this order."""
        return Examples(self.take(indices), self.columns, self.targets)


class Cut(NamedTuple):
    """How examples are divided that come in one piece; as `config.data` has them.

    Attributes:
      split: "random" or "halves".
      test_fraction: of the test part.
      split_seed: of the draw.
      eval_on: "test" or "validation".
      validation_fraction: of what is then left to learn from, that is held out to choose by, where
        the data have no validation part; 0 holds none out.
    """

    split: str
    test_fraction: float
    split_seed: int
    eval_on: str
    validation_fraction: float


def data(
    given: Mapping[str, Examples],
    cut: Cut,
    *,
    class_names: Sequence[str] = (),
    equal: bool = False,
    notes: Sequence[str] = (),
) -> Data:
    """Data of examples, divided; draws leave each class its share of all parts.

    Args:
      given: "train", and "test" and "validation" where there are such parts.
      cut: how the others are made.
      class_names: of ``label``, or of ``labels``.
      equal: whether all classes are to be as frequent in training (`jaxdl.data.balanced`).
      notes: what is worth knowing, a line each.

    Returns:
      With mean and deviation of each column of the training part's features, 1 of a column that is
      always the same, or of each channel of images.

    Raises:
      UserError: too few examples, or a column that float32 has too few digits for.
    """
    if not 0 <= cut.validation_fraction < 1:
        raise UserError(
            f"data.validation_fraction={cut.validation_fraction} must be at least 0 and below 1"
        )
    train, test, validation = _divided(given, cut)
    if equal and "label" not in train.arrays:
        raise UserError("data.balanced=True needs one class an example, and these have none")
    mean, std = _units(train)
    return Data(
        balanced.create(train) if equal else train,
        test,
        tuple(class_names),
        mean,
        std,
        validation=validation,
        notes=tuple(notes),
    )


def _divided(given: Mapping[str, Examples], cut: Cut) -> tuple[Examples, Examples, Examples | None]:
    how = cut._asdict()
    own = cut.eval_on == "validation" and "validation" in given
    apart = parts.divided(_Places(given["train"]), given.get("test"), given.get("validation"), how)
    train, test, validation = (p.examples if isinstance(p, _Places) else p for p in apart)
    if validation is None and not own and cut.validation_fraction:
        # Two seeds behind that of the test part: one behind is that of eval_on=validation.
        again = dict(
            how,
            split="random",
            test_fraction=cut.validation_fraction,
            split_seed=cut.split_seed + 2,
            eval_on="test",
        )
        apart = parts.divided(_Places(train), None, None, again)
        train, validation = apart.train.examples, apart.test.examples
    return train, test, validation


class _Places:
    """Examples with a number each that draws are stratified by: the class, or the same for all."""

    def __init__(self, examples: Examples):
        self.examples = examples

    def __len__(self) -> int:
        return len(self.examples)

    def take(self, indices: np.ndarray) -> Batch:
        return self.examples.take(indices)

    @property
    def labels(self) -> np.ndarray:
        return self.examples.arrays.get("label", np.zeros(len(self), np.int32))

    def subset(self, indices: np.ndarray) -> "_Places":
        return _Places(self.examples.subset(indices))


def _units(train: Examples) -> tuple[np.ndarray, np.ndarray]:
    if "image" in train.arrays:
        return statistics.of_channels(train)
    values = train.arrays["features"].astype(np.float64)
    mean, std = values.mean(axis=0), values.std(axis=0)
    std = np.where(std > 1e-9 * np.abs(mean), std, 0)  # of equal numbers it is not 0 to the bit
    flat = np.flatnonzero((std > 0) & (std < _LEAST * np.abs(mean)))
    if flat.size:
        name, i = train.columns[flat[0]], flat[0]
        raise UserError(
            f"data: column {name!r} goes by {std[i]:.3g} around {mean[i]:.9g}, for which float32 "
            "has too few digits: subtract a number near to that"
        )
    return mean.astype(np.float32), np.where(std > 0, std, 1).astype(np.float32)
