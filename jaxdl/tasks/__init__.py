"""What is learned: the contract between a system and the loop, and the systems by name.

One system a file. What several of them share stands in `jaxdl.tasks.shared`, and in
`jaxdl.tasks.learner` the update that all that learn by a gradient are made of.
"""

from collections.abc import Callable

from jaxdl.registry import Registry, check_names
from jaxdl.tasks.shared.checks import (
    check_above,
    check_at_least,
    check_counts,
    check_shares,
    check_smoothing,
    need_batches,
    need_whole,
)
from jaxdl.tasks.shared.contract import (
    Batch,
    Description,
    Detection,
    Run,
    Sound,
    State,
    Task,
    Traits,
)
from jaxdl.tasks.shared.model import build_model, model_fields
from jaxdl.tasks.shared.splits import over_split

__all__ = [
    "Batch",
    "Description",
    "Detection",
    "Run",
    "Sound",
    "State",
    "Task",
    "Traits",
    "build_model",
    "check_above",
    "check_at_least",
    "check_counts",
    "check_shares",
    "check_smoothing",
    "create",
    "knows",
    "model_fields",
    "names",
    "need_batches",
    "need_whole",
    "over_split",
    "register",
    "settings",
    "traits",
]

_registry = Registry("task", "jaxdl.tasks")
_traits: dict[str, Traits] = {}
names = _registry.names
knows = _registry.knows
settings = _registry.settings


def register(
    *names: str,
    groups: tuple[str, ...] = ("model",),
    derives: tuple[str, ...] = (),
    any_length: bool = False,
    asks: tuple[str, ...] = (),
) -> Callable[[Callable[..., Task]], Callable[..., Task]]:
    """Decorator of a factory (run, settings as keywords) -> `Task`, with its `Traits`."""
    _traits.update(dict.fromkeys(names, Traits(groups, derives, any_length, asks)))
    return _registry.register(*names)


def traits(name: str) -> Traits:
    """What the task called ``name`` said of itself when it was registered.

    Raises:
      UserError: there is none; the message names the nearest.
    """
    _registry.get(name)  # which reads the package where that is yet to be done
    return _traits.get(name, Traits())


def create(run: Run) -> Task:
    """The task that ``run.config.task`` describes: its name, and its own settings as keywords.

    Raises:
      UserError: unknown task or setting, or settings that do not fit the model or the data.
    """
    given = dict(run.config.task)
    name = given.pop("name")
    check_names(f"task {name!r}", given, settings(name))
    return _registry.get(name)(run, **given)
