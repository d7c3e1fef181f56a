"""``--mode=sample``: what the best checkpoint generates."""

from etils import epath

from jaxdl import keys
from jaxdl.errors import UserError
from jaxdl.experiment import Experiment
from jaxdl.launch.flags import Options
from jaxdl.report import samples
from jaxdl.train import evaluate


def run(options: Options, made: Experiment, folder: epath.Path) -> int:
    """Writes the samples; returns the exit code."""
    if made.members:
        raise UserError("--mode=sample is of one member: add --config.member=0, or another")
    if made.task.sample is None:
        name = made.config.task.name
        raise UserError(f"--mode=sample is for what generates, and task {name!r} does not")
    _, state = evaluate.best_state(made, folder)
    found = made.task.sample(state, keys.named(made.key, "sample"))
    for file in samples.write(folder / "samples", found):
        print(f"sample {file}")
    return 0
