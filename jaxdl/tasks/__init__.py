"""What is learned: the contract between a system and the loop, and the systems by name."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax

from jaxdl.metrics import Metrics
from jaxdl.optim import leaf_names
from jaxdl.registry import Registry, check_names

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


class Task(NamedTuple):
    """Pure functions, free to jit, vmap and differentiate; the loop in `jaxdl.train` runs any.

    Attributes:
      init: (key, batch) -> state. The state is any pytree and holds everything that must survive a
        crash; of the batch only shapes and dtypes are used.
      train_step: (state, batch, key) -> (state, metrics), for the global batch. Metrics are
        (sum, weight) pairs by name; a name such as ``layers/x`` is logged in a line of its own,
        of the split "layers". The loop undoes a step that has any non-finite metric, so every
        quantity whose failure matters should be part of one.
      eval_step: (state, batch, key) -> metrics. ``batch["mask"]`` (batch,) is 0 for padding.
      score: (state, data, key) -> {name: number}: figures that need the whole evaluation split
        (`jaxdl.data.Split`) at once.
      artifacts: (state, data, key) -> {name: `jaxdl.draw.Picture` or text}, for the report.
      parameters: (state) -> {name: array} of what is learned, in the order that reads best.
    """

    init: Callable[[jax.Array, Batch], State]
    train_step: Callable[[State, Batch, jax.Array], tuple[State, Metrics]]
    eval_step: Callable[[State, Batch, jax.Array], Metrics]
    score: Callable[[State, Any, jax.Array], dict[str, float]] = _no_scores
    artifacts: Callable[[State, Any, jax.Array], dict[str, Any]] = _no_artifacts
    parameters: Callable[[State], dict[str, jax.Array]] = _named_leaves


class Run(NamedTuple):
    """What a task's factory is told of the run that it is for.

    Attributes:
      config: all settings.
      data: `jaxdl.data.Data`, or None.
      steps: updates in the whole run.
      steps_per_epoch: updates a pass over the training data, or None without data.
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
