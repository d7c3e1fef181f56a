"""What a task says of rows of numbers in a file."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

from jaxdl.data import Data, row_numbers
from jaxdl.data.split import Arrays
from jaxdl.tasks.shared.contract import Description
from jaxdl.tasks.shared.splits import over_split


def create(
    data: Data,
    predict: Callable[[Any, jax.Array], dict[str, jax.Array]],
    describe: Callable[[Mapping[str, np.ndarray]], Description],
) -> Callable[[Any, str, int], list[Description]]:
    """`jaxdl.tasks.Task.answer` of rows; a file is as of `jaxdl.data.row_numbers.asked`.

    Args:
      data: of the run, whose training part knows the names of its columns.
      predict: (state, rows (batch, columns)) -> {name: (batch, …)}.
      describe: as of the task.
    """
    columns = getattr(data.train, "columns", ())
    each = jax.jit(lambda state, batch, key: predict(state, batch["features"]))

    def answer(state: Any, file: str, at_once: int) -> list[Description]:
        asked = Arrays({"features": row_numbers.asked(file, columns)})
        return one_by_one(describe, over_split(each, asked, at_once, state))

    return answer


def one_by_one(
    describe: Callable[[Mapping[str, np.ndarray]], Description], found: Mapping[str, np.ndarray]
) -> list[Description]:
    """What ``describe`` says of each example of {name: (n, …)}."""
    count = len(next(iter(found.values())))
    return [describe({name: x[i] for name, x in found.items()}) for i in range(count)]
