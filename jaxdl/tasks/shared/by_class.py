"""Of which classes samples are asked for."""

from collections.abc import Sequence

import numpy as np

from jaxdl.data import class_number
from jaxdl.errors import UserError

# Classes in a picture of samples where none are asked for, and samples of each.
_MOST, OF_EACH = 10, 6


def check(asked: Sequence[int | str], classes: bool, class_names: Sequence[str]) -> None:
    """Raises UserError for classes that there are not, or a model that is told none.

    Args:
      asked: the setting, names or numbers.
      classes: whether the model is told of classes.
      class_names: of the data.
    """
    if asked and not classes:
        raise UserError(
            f"config.task.asked={','.join(map(str, asked))} needs a model that knows classes: set "
            "config.task.classes=true, and train it so"
        )
    numbers(asked, class_names)


def numbers(asked: Sequence[int | str], class_names: Sequence[str]) -> list[int]:
    """Their numbers, in that order.

    Raises:
      UserError: there is no such class.
    """
    return [class_number("config.task.asked", str(name), tuple(class_names)) for name in asked]


def labels(asked: Sequence[int | str], class_names: Sequence[str]) -> np.ndarray:
    """(n,) int32, OF_EACH of each class that is asked for, or of the first ones."""
    wanted = numbers(asked, class_names) or range(min(len(class_names), _MOST))
    return np.repeat(np.asarray(wanted, np.int32), OF_EACH)


def in_turn(classes: int, size: int) -> np.ndarray:
    """Labels (size,) int32, of all classes equally often; zeros where there are none."""
    return np.arange(size, dtype=np.int32) % max(classes, 1)
