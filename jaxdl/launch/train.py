"""``--mode=train``: the run, its summary and its report."""

from collections.abc import Callable

import jax
from etils import epath

from jaxdl import experiment, keys, parallel, process, report, train
from jaxdl.experiment import Experiment, population
from jaxdl.launch.figures import line
from jaxdl.launch.flags import Options
from jaxdl.runs import workdir


def run(
    options: Options,
    made: Experiment,
    folder: epath.Path,
    keep: Callable[[], None],
    unchanged: Callable[[], None],
) -> int:
    """Trains to the end; returns the exit code.

    Args:
      options: the command line.
      made: the experiment.
      folder: of the run.
      keep: writes there what its weights mean.
      unchanged: raises UserError if the folder is no longer what the experiment was made by.
    """
    begins = not (folder / "checkpoints").exists()
    with train.Ahead() as ahead:
        # The compiler is at the first state while Python traces the update.
        early = begins and train.may_compile()
        init = ahead.begin(made.compile_init).result if early else lambda: None
        experiment.check_training(made)
        if begins:  # nothing is written before
            made.task.check()
        with workdir.claimed(folder, made.config, unchanged) as lock:
            if jax.process_index() == 0:
                print(f"workdir {folder}", flush=True)
                keep()
            return _run(options, made, folder, train.train(made, folder, lock.check, init))


def _run(options: Options, made: Experiment, folder: epath.Path, outcome: train.Outcome) -> int:
    """The summary and the report of what a run came to; returns the exit code."""
    state = parallel.everywhere(outcome.state)
    if jax.process_index() != 0:
        return 0
    seconds = process.seconds_since_start()
    workdir.write_json(folder / "summary.json", {**outcome.summary, "seconds": seconds})
    print(line(outcome.summary["final"]), flush=True)
    task, key = made.task, made.key
    if made.members:
        best = dict(outcome.summary["best"])
        index, _, _ = (best.pop(word) for word in ("member", "seed", "settings"))
        print(f"best {population.name(made.members[index])}: {line(best)}", flush=True)
        task, state, key = population.member(made.run, made.members, index, state, key)
    if made.config.log.report:
        pictures = task.artifacts(state, made.run.data.watched, keys.named(key, "artifacts"))
        title = options.file.removesuffix(".py")
        page = report.write(folder, title, pictures, task.parameters(state))
        print(f"report {page}", flush=True)
    return 0
