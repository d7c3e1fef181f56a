"""One member of a trained population as a run of its own: ``--config.member=i``."""

import contextlib
from collections.abc import Callable

import jax
from etils import epath
from ml_collections import ConfigDict

from jaxdl import config as settings
from jaxdl import experiment, parallel
from jaxdl.errors import UserError
from jaxdl.experiment import population, sweep
from jaxdl.runs import checkpoint, meaning, workdir


def single_out(
    folder: epath.Path, config: ConfigDict, say: Callable[[str], None] = print
) -> tuple[epath.Path, ConfigDict]:
    """The folder and config of the population's `config.member` by itself.

    The folder is made, unless it is there, with the member's part of the newest checkpoint and of
    the one that was best of all: a run's loop, evaluation and samples find there what they would
    find had the member been trained by itself.

    Args:
      folder: of the population.
      config: its settings with those that are given anew, which count for the member.
      say: is told as by `jaxdl.experiment.to_use`.

    Raises:
      UserError: the folder holds no population, no checkpoint, or no such member.
    """
    index, target = config.member, folder / f"member-{config.member}"
    trained = config.copy_and_resolve_references()
    workdir.adopt(folder, trained)
    trained.member = None
    found = sweep.members(trained)
    if not found:
        raise UserError(
            f"config.member={index} is one of a population, and {folder} holds none: name the "
            "--workdir of a run with config.population or config.sweep"
        )
    if index >= len(found):
        raise UserError(
            f"config.member={index} is not one of the {len(found)} in {folder}, which are numbered "
            f"from 0 to {len(found) - 1}"
        )
    old, new = settings.flatten(trained), settings.flatten(config)
    kept = {name: v for name, v in found[index].settings.items() if old[name] == new[name]}
    seed = found[index].seed + config.seed - trained.seed
    own = sweep.config_of(config, kept, seed)
    if not target.exists():
        with workdir.held(folder / f".member-{index}.lock.json", f"member {index} of {folder}"):
            if not target.exists():
                _cut_out(folder, target, trained, index, say)
    return target, own


def _cut_out(
    folder: epath.Path,
    target: epath.Path,
    trained: ConfigDict,
    index: int,
    say: Callable[[str], None],
) -> None:
    """Writes the member's part of the population's checkpoints to ``target``."""
    if workdir.has_own(folder, trained, "parallel"):
        experiment.fit_devices(trained)
    made = experiment.to_use(trained, folder, say)
    wanted = {"state": made.abstract_state, "window": made.abstract_window}
    # Under another name until all is there: a half is never taken for the whole.
    begun = folder / f".member-{index}"
    with contextlib.ExitStack() as stack:
        whole = stack.enter_context(checkpoint.Checkpoints(folder, trained, read_only=True))
        if whole.latest_step() is None:
            raise UserError(f"{folder} holds no checkpoint of a population: train there first")
        parts = stack.enter_context(checkpoint.Checkpoints(begun, trained))
        for step in sorted({whole.best_step(), whole.latest_step()} - {None}):
            found = whole.restore(wanted, first=step)
            part = population.part_of(found.meta, index)
            last = part["watches"][0]["last"]
            rank = made.best.rank(last) if made.best.metric in last else None
            of_all = {**found.tree, "state": found.tree["state"].own}
            parts.save(part["steps"], population.take(of_all, index), part, rank)
    parallel.wait_for_all("member singled out")
    if jax.process_index() == 0:
        meaning.copy(folder, begun)
        begun.rename(target)
    parallel.wait_for_all("member named")
