"""What a network is handed: images, or rows of numbers."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

from jaxdl import config as settings
from jaxdl.data import Data, augment
from jaxdl.data.preprocess import of_channels
from jaxdl.errors import UserError
from jaxdl.tasks.shared.checks import need_batches
from jaxdl.tasks.shared.contract import Run


def need(run: Run) -> str:
    """The name of the array, "image" or "features", if the data have one of them.

    Raises:
      UserError: they have none, or settings are of images and they are rows.
    """
    data = run.data
    found = "image" if data.train is None or not of_rows(data) else "features"
    need_batches(run, found)
    if found == "features":
        for group in ("augment", "pretrained"):
            for name, value in settings.changed(run.config, group).items():
                raise UserError(
                    f"config.{name}={value!r} is of images: data set {run.config.data.name!r} has "
                    "rows of numbers"
                )
    return found


def of_rows(data: Data) -> bool:
    """Whether the examples are rows of numbers, ``features`` (n, columns), and no images."""
    return "features" in data.train.take(np.arange(1))


def given(batch: Mapping) -> Any:
    """The images of a batch, (batch, h, w, c), or its rows, (batch, columns)."""
    return batch["image"] if "image" in batch else batch["features"]


def standardise(data: Data) -> Callable[[jax.Array], jax.Array]:
    """What brings images in [0, 1], or rows, to mean 0 and deviation 1 over the training part."""
    if not of_rows(data):
        return of_channels(data.mean, data.std)
    mean, std = (np.reshape(x, (1, -1)) for x in (data.mean, data.std))
    return lambda rows: (rows - mean) / std


def alone(run: Run) -> Callable[[jax.Array, Mapping], Mapping]:
    """`config.augment` of tasks whose targets cannot be mixed.

    Raises:
      UserError: it mixes images.
    """
    for name in ("mixup", "cutmix"):
        if run.config.augment[name]:
            raise UserError(
                f"config.augment.{name}={run.config.augment[name]!r} mixes classes: task "
                f"{run.config.task.name!r} has none to mix"
            )
    return augment.create_alone(run.config.augment)
