"""What is learned: the contract between a system and the loop, and the systems by name."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxdl.errors import UserError
from jaxdl.metrics import Metrics
from jaxdl.registry import Registry, check_names
from jaxdl.trees import leaf_names

State = Any
Batch = Mapping[str, jax.Array]

_registry = Registry("task", "jaxdl.tasks")
register = _registry.register
names = _registry.names
settings = _registry.settings


def _no_scores(state: State, data: Any, key: jax.Array) -> dict[str, float]:
    return {}


def _named_leaves(state: State) -> dict[str, jax.Array]:
    return dict(zip(leaf_names(state), jax.tree.leaves(state), strict=True))


def _no_artifacts(state: State, data: Any, key: jax.Array) -> dict[str, Any]:
    return {}


def _nothing_to_batch(state: State, batch: Batch, key: jax.Array) -> Metrics:
    return {}


def _nothing_to_check() -> None:
    return


def _nothing_split(state: State) -> Any:
    return jax.tree.map(lambda leaf: False, state)


class Task(NamedTuple):
    """Pure functions, free to jit, vmap and differentiate; the loop in `jaxdl.train` runs any.

    Attributes:
      init: (key, batch) -> state. The state is any pytree and holds everything that must survive a
        crash; of the batch only shapes and dtypes are used.
      train_step: (state, batch, key) -> (state, metrics), for the global batch. Metrics are
        (sum, weight) pairs by name; a name such as ``layers/x`` or ``layers/group/x`` is logged in
        a line of its own, of the split "layers" (`jaxdl.runs.logs.by_split`). The loop undoes a
        step that has any non-finite metric, so every quantity whose failure matters should be part
        of one.
      eval_step: (state, batch, key) -> metrics, weighted by `jaxdl.data.without_padding`;
        all go to one line, whatever their names.
      score: (state, data, key) -> {name: number}: figures that need the whole evaluation split
        (`jaxdl.data.Split`, None without batches) at once, such as a mean return.
      artifacts: (state, data, key) -> {name: `jaxdl.report.draw.Picture` or text}, for the report.
      parameters: (state) -> {name: array} of what is learned, in the order that reads best.
      partition: (state) -> the same tree with True for leaves whose first axis is one of examples
        (environments, replay buffers, independent learners), which is split over the devices that
        the batch is split over; the others follow the rules for parameters.
      sample: (state, key) -> {name: `jaxdl.report.draw.Picture` or text}: what the state generates,
        for `--mode=sample` and, a few times on the way, for the report. None if it generates
        nothing.
      predict: (state, images (batch, h, w, c), uint8 or floats in [0, 1]) -> logits (batch,
        classes), for `--mode=predict` and `--mode=export`. None if no images are classified.
      examples: what an update learns from, in examples, environment steps or the like; None is the
        batch size.
      check: raises UserError for what keeps a run from beginning, and not from going on: weights to
        start from that are gone.
    """

    init: Callable[[jax.Array, Batch], State]
    train_step: Callable[[State, Batch, jax.Array], tuple[State, Metrics]]
    eval_step: Callable[[State, Batch, jax.Array], Metrics] = _nothing_to_batch
    score: Callable[[State, Any, jax.Array], dict[str, float]] = _no_scores
    artifacts: Callable[[State, Any, jax.Array], dict[str, Any]] = _no_artifacts
    parameters: Callable[[State], dict[str, jax.Array]] = _named_leaves
    partition: Callable[[State], Any] = _nothing_split
    sample: Callable[[State, jax.Array], dict[str, Any]] | None = None
    predict: Callable[[State, jax.Array], jax.Array] | None = None
    examples: int | None = None
    check: Callable[[], None] = _nothing_to_check


class Run(NamedTuple):
    """What a task's factory is told of the run that it is for.

    Attributes:
      config: all settings.
      data: `jaxdl.data.Data`.
      steps: updates in the whole run.
      steps_per_epoch: updates a pass over the training data, or None without batches.
    """

    config: Any
    data: Any
    steps: int
    steps_per_epoch: float | None


def create(run: Run) -> Task:
    """The task that ``run.config.task`` describes: its name, and its own settings as keywords.

    Raises:
      UserError: unknown task or setting, or settings that do not fit the model or the data.
    """
    given = dict(run.config.task)
    name = given.pop("name")
    check_names(f"task {name!r}", given, settings(name))
    return _registry.get(name)(run, **given)


def need_batches(run: Run, array: str = "image") -> None:
    """Raises UserError unless the data come in batches with ``array``."""
    task, data = run.config.task.name, run.config.data.name
    if run.data.train is None:
        raise UserError(
            f"task {task!r} learns from batches of examples, and data set {data!r} has none"
        )
    found = run.data.train.take(np.arange(1))
    if array not in found:
        raise UserError(
            f"task {task!r} learns from {array!r}, and data set {data!r} has {', '.join(found)}"
        )


def need_whole(run: Run, kind: type) -> None:
    """Raises UserError unless the data are one piece of type ``kind`` (``type(None)``: no data)."""
    if not isinstance(run.data.whole, kind) or run.data.train is not None:
        wanted = "data.name='none'" if kind is type(None) else f"a {kind.__name__.lower()}"
        raise UserError(
            f"task {run.config.task.name!r} needs {wanted}, not data set {run.config.data.name!r}"
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
