"""Scoring a state on a whole split, every example exactly once."""

from typing import Any

import jax
from etils import epath

from jaxdl import errors, keys, metrics, tasks
from jaxdl.data import padded_batches
from jaxdl.errors import UserError
from jaxdl.experiment import Experiment
from jaxdl.runs import checkpoint, logs


class Evaluator:
    """Evaluates states of one experiment on one split; compiles once.

    Args:
      experiment: the task, its data and devices.
      learning: whether it is to watch a run that learns, by the validation part if the data bring
        one, and not by the test part.
    """

    def __init__(self, experiment: Experiment, learning: bool = False):
        self._experiment = experiment
        data = experiment.run.data
        self._split = data.watched if learning else data.test
        self._key = keys.named(experiment.key, "eval")
        devices, size = experiment.layout.batch_devices, len(self._split or ())
        batch_size = -(-min(experiment.config.eval.batch_size, size) // devices) * devices
        self._batches = padded_batches(self._split, batch_size, devices) if size else []
        eval_step = experiment.task.eval_step

        def step(state, batch, key, i):
            return eval_step(state, batch, keys.at_step(key, i))

        self._step = jax.jit(step, out_shardings=experiment.layout.replicated)
        # Apart from the step, which the first batch would compile without a sum, the others with.
        self._add = jax.jit(metrics.add)

    def compile(self, state: tasks.State) -> None:
        """Compiles what a call runs, by a state of shapes, dtypes and shardings alone."""
        layout = self._experiment.layout
        for load in {load.group: load for load in self._batches}.values():
            whole = lambda x, size=load.size: jax.ShapeDtypeStruct(
                (size, *x.shape[1:]),
                jax.dtypes.canonicalize_dtype(x.dtype),
                sharding=layout.batch(),
            )
            batch = jax.tree.map(whole, load(slice(0, 1)))
            with jax.set_mesh(layout.mesh):
                self._step.lower(state, batch, self._key, 0).compile()
        self._experiment.task.compile_score(state, self._split, self._key)

    def __call__(self, state: tasks.State, scored: bool = True) -> dict[str, Any]:
        """{name: figure} of ``state`` on the split, with the task's whole-set scores if wanted.

        Raises:
          UserError: an environment on the host raised an exception.
        """
        total = None
        layout = self._experiment.layout
        for i, load in enumerate(self._batches):
            batch = layout.put(load(layout.rows(load.size)), load.size)
            with jax.set_mesh(layout.mesh):  # as when the training step is traced
                found = self._step(state, batch, self._key, i)
                total = found if total is None else self._add(total, found)
        found = metrics.divide(jax.device_get(total or {}))
        if scored:
            found |= self._experiment.task.score(state, self._split, self._key)
        if error := errors.taken():
            raise error
        return found


def best_state(experiment: Experiment, workdir: epath.Path) -> tuple[int, tasks.State]:
    """(step, state) of ``workdir``'s best checkpoint, or of the newest, if none is.

    Raises:
      UserError: the folder has no checkpoint.
    """
    with checkpoint.Checkpoints(workdir, experiment.config, read_only=True) as checkpoints:
        wanted = {"state": experiment.abstract_state}
        restored = checkpoints.restore(wanted, first=checkpoints.best_step())
    if restored is None:
        raise UserError(f"{workdir} holds no checkpoint: train there first")
    return restored.step, restored.tree["state"]


def state_to_use(experiment: Experiment, workdir: epath.Path) -> tasks.State:
    """The state of `best_state`, of a run that is no population; UserError for one that is."""
    if experiment.members:
        raise UserError("one member is asked, not a population: add --config.member=0, or another")
    return best_state(experiment, workdir)[1]


def evaluate(experiment: Experiment, workdir: epath.Path) -> dict[str, Any]:
    """`--mode=evaluate`: figures of ``workdir``'s best checkpoint (newest, if none is).

    Returns:
      {"step": of the checkpoint, name: figure …}; also a line of the split "evaluate" in
      metrics.jsonl.

    Raises:
      UserError: the folder has no checkpoint.
    """
    step, state = best_state(experiment, workdir)
    figures = Evaluator(experiment)(state)
    writer = logs.MetricWriter(workdir, resumed_at=2**62)
    writer.write(step, "evaluate", figures)
    writer.flush()
    return {"step": step, **figures}
