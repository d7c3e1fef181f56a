"""Experiments of a run's folder: to go on with, to be measured, or to be used.

What the weights there mean is what the run keeps (`jaxdl.runs.meaning`), whatever its data are by
now. Of a run that is used nothing is asked that only training needs.
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax
from etils import epath
from ml_collections import ConfigDict

from jaxdl import config as settings
from jaxdl import data as data_sets
from jaxdl import parallel, tasks
from jaxdl.data import facts
from jaxdl.data.absent import NotKeptError
from jaxdl.data.adapt import adapt
from jaxdl.errors import UserError
from jaxdl.experiment import sweep
from jaxdl.experiment.build import Experiment, assemble, check, updates
from jaxdl.experiment.build import create as create_to_train
from jaxdl.runs import meaning

Say = Callable[[str], None]

# Of an update that is never made: lengths that fit any number of steps.
_NEVER = dict(schedule="constant", schedule_unit="steps", warmup=0.0, boundaries=())
_ON_ANY = dict(strategy="jit", data=-1, fsdp=1, tensor=1)


def create(config: ConfigDict, data: data_sets.Data, examples: int | None = None) -> Experiment:
    """The experiment of a run whose checkpoints are to be read, and that learns no more.

    Neither need its batch divide over the devices, nor its warm-up fit its steps.

    Args:
      config: of the run; left as it is.
      data: what its model is built by, and measured on; see `jaxdl.data.facts.Facts.restored`.
      examples: that it learned from, where they are not those of ``data``.

    Raises:
      UserError: settings that cannot be, or a model that cannot be built.
    """
    config = config.copy_and_resolve_references()
    config.parallel.strategy = "jit"
    if not sweep.is_population(config):  # where any of these may be swept
        config.optimizer.update(_NEVER, unfreeze=float(config.optimizer.unfreeze > 0))
    settings.expand_paths(config)
    check(config)
    size = examples or (len(data.train) if data.train is not None else None)
    per_epoch = size / config.batch_size if size else None
    steps = config.steps or updates(config, size or config.batch_size)
    return assemble(tasks.Run(config, data, max(steps, 2), per_epoch), learns=False)


def fit_devices(config: ConfigDict) -> None:
    """Has ``config.parallel`` ask for the devices at hand, if they cannot be as it says.

    For a run that is used on another machine than it was trained on.
    """
    try:
        parallel.mesh_shape(config.parallel, jax.device_count(), jax.default_backend())
    except UserError:
        config.parallel.update(_ON_ANY)


def to_use(config: ConfigDict, folder: epath.Path, say: Say = print) -> Experiment:
    """The experiment of the run in ``folder``, to be used; without its data, if it keeps enough.

    Args:
      config: its settings.
      folder: of the run.
      say: is told, in one line, if what the run means has to be taken from its data.
    """
    kept = meaning.read(folder)
    data = kept.restored() if kept else None
    if data is not None:
        try:
            return create(config, data)
        except NotKeptError:  # a task of the user's own may ask for more
            pass
    return to_evaluate(config, folder, say=say)


def to_evaluate(
    config: ConfigDict, folder: epath.Path, accepted: bool = False, say: Say = print
) -> Experiment:
    """The experiment of the run in ``folder``, to be measured on the data as they are now.

    Args:
      config: its settings.
      folder: of the run.
      accepted: whether a class of another name may be taken for one that is gone.
      say: is told, in one line, what is another in the data.
    """
    kept = meaning.read(folder)
    if kept is None:
        if meaning.has_weights(folder):
            say(_older(folder))
        return create(config, _load(config.data, say))
    data = _load(kept.settings(config.data), say, learns=False)
    found = adapt(data, facts.of(data), kept.facts, learns=False, accepted=accepted)
    _say_changes(folder, [*kept.said(), *found.said], say)
    measured = found.data
    if measured.train is None and "train" in kept.facts.parts:
        run = kept.restored()
        measured = measured._replace(train=run.train, mean=run.mean, std=run.std)
    return create(config, measured, kept.facts.examples)


def to_train(
    config: ConfigDict, folder: epath.Path, accepted: bool = False, say: Say = print
) -> tuple[Experiment, Callable[[], None]]:
    """The experiment of a run that begins in ``folder``, or goes on there.

    Args:
      config: its settings.
      folder: of the run; nothing is written there.
      accepted: whether it may go on with other data than it began with.
      say: is told, in one line, what is another in the data.

    Returns:
      The experiment, and what writes down in the folder what its weights mean, by process 0 alone.

    Raises:
      UserError: anything that cannot be, or the data are others and that is not accepted.
    """
    goes_on = meaning.has_weights(folder)
    kept = meaning.read(folder) if goes_on else None
    own = kept.settings(config.data) if kept else dict(config.data)
    data = _load(own, say)
    now = facts.of(data)
    source = config.data.get("tokenizer", "")
    content = getattr(data.tokenizer, "content", b"")
    keep = lambda found: meaning.write(folder, found, source, content)
    if kept is None:
        if goes_on:
            say(_older(folder))
        return _to_train(config, data, say), lambda: keep(now)
    found = adapt(data, now, kept.facts, learns=True, accepted=accepted)
    _say_changes(folder, [*kept.said(), *found.said], say)
    made = _to_train(config, found.data, say)
    return made, (lambda: keep(found.facts)) if found.said else (lambda: None)


def _to_train(config: ConfigDict, data: data_sets.Data, say: Say) -> Experiment:
    """The experiment, after telling how much of its batches is padding."""
    made = create_to_train(config, data=data)
    if line := data_sets.length_groups.note(data.train, config.batch_size):
        say(line)
    return made


def _load(given: Mapping[str, Any], say: Say, learns: bool = True) -> data_sets.Data:
    """The data, after telling what is worth knowing of how they were read."""
    data = data_sets.load(given, learns)
    for line in data.notes:
        say(line)
    return data


def _say_changes(folder: epath.Path, said: list[str], say: Say) -> None:
    if said:
        say(f"the data are not those that {folder} learned from: {'; '.join(said)}")


def _older(folder: epath.Path) -> str:
    return (
        f"{folder} has no {meaning.NAME}, as runs of earlier versions have not: class names and "
        "statistics are taken from the data as they are now"
    )
