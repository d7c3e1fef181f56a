"""A population against the same runs one after another.

    python -m benchmarks.population [--members=32] [--singles=4] [mlp gcn q_learning deep_cnn vit]

For each experiment, as it is: a population of seeds in one command, and some of the same seeds as
commands of their own, whose median counts for all. The program of the population is compiled anew,
those of the single runs come from the cache after the first: so the comparison favours them. Then
the update alone: examples a second while training, and the time that its program takes to compile
where nothing was compiled before, both for calls of as many updates.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

EXPERIMENTS = ("mlp", "gcn", "q_learning", "deep_cnn", "vit")

# Updates of those whose populations would take an hour here at their full length.
SHORTER = {"deep_cnn": 120, "vit": 10}


class Command(NamedTuple):
    """What one command took.

    Attributes:
      seconds: from its start to its end.
      rate: examples a second while it trained.
      compiled: seconds that its training programs took to compile, or to come from the cache.
    """

    seconds: float
    rate: float
    compiled: float


def launched(name: str, folder: Path, cache: Path, *flags: str) -> Command:
    """Runs an experiment by the launcher in a process of its own.

    Args:
      name: of the file in experiments/.
      folder: of the run.
      cache: where compiled programs are kept.
      flags: further ones.
    """
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "jaxdl.launch", f"--config=experiments/{name}.py",
         f"--workdir={folder}", "--config.log.report=false", *flags],
        check=True, stdout=subprocess.DEVNULL,
        env={**os.environ, "JAX_COMPILATION_CACHE_DIR": str(cache)},
    )  # fmt: skip
    seconds = time.perf_counter() - began
    found = json.loads((folder / "summary.json").read_text())
    return Command(seconds, found["examples_per_second"], found["compile_seconds"])


def compile_seconds(name: str, folder: Path, *flags: str) -> float:
    """Of one training program, nothing compiled before: the median of three processes.

    With the experiment's own settings: a single run's program has its layers' figures too.
    """
    short = ("--config.epochs=none", "--config.steps=4", "--config.steps_per_call=4",
             "--config.optimizer.warmup=0", *flags)  # fmt: skip
    found = [
        launched(name, folder / f"run-{i}", folder / f"cache-{i}", *short).compiled
        for i in range(3)
    ]
    return float(np.median(found))


def compare(name: str, members: int, singles: int, folder: Path) -> dict[str, Any]:
    """The figures of one experiment.

    Args:
      name: of the file in experiments/.
      members: seeds of the population.
      singles: how many of them are run alone.
      folder: for the runs, empty.

    Returns:
      ``commands`` and ``training``: how many times as fast the population is, by whole commands and
      while training; ``compile``: its compile time over a single run's; and the seconds.
    """
    steps = SHORTER.get(name)
    flags = ("--config.log.layers=false",)  # a population has none of them
    if steps:
        flags += ("--config.epochs=none", f"--config.steps={steps}")
    alone = [
        launched(name, folder / f"one-{i}", folder / "cache-one", f"--config.seed={i}", *flags)
        for i in range(singles)
    ]
    size = f"--config.population={members}"
    whole = launched(name, folder / "all", folder / "cache-all", size, *flags)
    seconds = float(np.median([one.seconds for one in alone[1:]]))
    return {
        "commands": members * seconds / whole.seconds,
        "training": whole.rate / float(np.median([one.rate for one in alone[1:]])),
        "compile": compile_seconds(name, folder / "many-new", size)
        / compile_seconds(name, folder / "one-new"),
        "seconds_alone": seconds,
        "seconds_population": whole.seconds,
    }


def main() -> None:
    """Prints a table, a line an experiment."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--members", type=int, default=32)
    parser.add_argument("--singles", type=int, default=4)
    parser.add_argument("names", nargs="*", default=EXPERIMENTS)
    options = parser.parse_args()
    print("| experiment | commands | training | compile | one, s | population, s |")
    print("|---|---|---|---|---|---|")
    for name in options.names:
        with tempfile.TemporaryDirectory() as folder:
            found = compare(name, options.members, options.singles, Path(folder))
        print(
            f"| {name} | {found['commands']:.1f}x | {found['training']:.1f}x | "
            f"{found['compile']:.1f}x | {found['seconds_alone']:.1f} | "
            f"{found['seconds_population']:.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
