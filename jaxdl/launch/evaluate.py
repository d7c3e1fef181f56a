"""``--mode=evaluate``: what the best checkpoint scores."""

import jax
from etils import epath

from jaxdl.experiment import Experiment, population
from jaxdl.launch.figures import line
from jaxdl.launch.flags import Options
from jaxdl.train import evaluate


def run(options: Options, made: Experiment, folder: epath.Path) -> int:
    """Prints the figures; returns the exit code."""
    figures = evaluate.evaluate(made, folder)
    if jax.process_index() == 0:
        for member in made.members:
            print(f"{population.name(member)}: {line(population.own(figures, member.index))}")
        if not made.members:
            print(line(figures))
    return 0
