"""What factories refuse: data that are none for them, and settings out of range."""

import numpy as np

from jaxdl.config.settings import MOST
from jaxdl.data import names, own_settings
from jaxdl.errors import UserError
from jaxdl.tasks.shared.contract import Run


def need_batches(run: Run, array: str = "image") -> None:
    """Raises UserError unless the data come in batches with ``array``."""
    task, data = run.config.task.name, run.config.data.name
    if run.data.train is None:
        raise UserError(
            f"task {task!r} learns from batches of examples, and data set {data!r} has none"
        )
    found = run.data.train.take(np.arange(1))
    if array not in found:
        # Outlines in annotations are drawn where that is asked for.
        asked = array == "mask" and data in names() and "masks" in own_settings(data)
        raise UserError(
            f"task {task!r} learns from {array!r}, and data set {data!r} has {', '.join(found)}"
            + ("; with config.data.masks=true also 'mask'" if asked else "")
        )


def need_whole(run: Run, kind: type) -> None:
    """Raises UserError unless the data are one piece of type ``kind`` (``type(None)``: no data)."""
    if not isinstance(run.data.whole, kind) or run.data.train is not None:
        wanted = "data.name='none'" if kind is type(None) else f"a {kind.__name__.lower()}"
        name, drawn = run.config.data.name, run.config.data.get("whole") is False
        raise UserError(
            f"task {run.config.task.name!r} needs {wanted}, not data set {name!r}"
            + (" of which a part is drawn: set data.whole=True" if drawn else "")
        )


def check_counts(**settings: int) -> None:
    """Raises UserError for the first of the task's settings that is not at least 1."""
    for name, value in settings.items():
        if value < 1:
            raise UserError(f"config.task.{name}={value} must be at least 1")


def check_shares(**settings: float) -> None:
    """Raises UserError for the first of the task's settings that is not in [0, 1]."""
    for name, value in settings.items():
        if not 0 <= value <= 1:
            raise UserError(f"config.task.{name}={value} must be at least 0 and at most 1")


def check_at_least(low: float, **settings: float) -> None:
    """Raises UserError for the first of the task's settings that is not from ``low`` to 3.4e38.

    That is the largest number of float32, in which runs compute.
    """
    for name, value in settings.items():
        if not low <= value:
            raise UserError(f"config.task.{name}={value} must be at least {low}")
        if not value <= MOST:
            raise UserError(f"config.task.{name}={value} must be at most {MOST:.2g}")


def check_above(low: float, **settings: float) -> None:
    """Raises UserError for the first of the task's settings that is not above ``low``."""
    for name, value in settings.items():
        if not low < value:
            raise UserError(f"config.task.{name}={value} must be above {low}")
    check_at_least(low, **settings)


def check_smoothing(label_smoothing: float) -> None:
    """Raises UserError for a share of the target that would leave nothing of it, or is none."""
    if not 0 <= label_smoothing < 1:
        raise UserError(
            f"config.task.label_smoothing={label_smoothing} must be at least 0 and below 1"
        )
