"""Runs of shipped experiments, each in a process of its own, and what they are worth keeping of."""

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.gallery.systems import System
from benchmarks.workloads import ROOT

# Beside a run's own files: what its process took, which it cannot know itself.
TAKEN = "taken.json"


def folder_of(experiment: str, runs: Path) -> Path:
    """Where the run of ``experiment`` ("gcn", "gcn:digits") is."""
    return runs / experiment.replace(":", "-").replace("/", "-")


def command(one: System, runs: str) -> str:
    """What a user types for it; ``runs`` is the folder of all runs."""
    name, colon, variant = one.experiment.partition(":")
    file = f"--config=experiments/{name}.py{colon}{variant}"
    folder = f"--workdir={folder_of(one.experiment, Path(runs))}"
    more = [flag.format(runs=runs) for flag in one.flags]
    return " ".join(["python -m jaxdl.launch", file, folder, *more])


def run(one: System, runs: Path) -> int:
    """Trains a system by its command, with nothing compiled before, unless it `is_done`.

    Args:
      one: which; the one that must have run before it runs first.
      runs: the folder of all runs; what a run that was stopped has left there is removed.

    Returns:
      The launcher's exit code; if it is 0, the run's folder holds TAKEN beside the run's files:
      {"seconds", "processor_seconds", "about"}.
    """
    if one.first and (code := run(one.before, runs)):
        return code
    if is_done(one, runs):
        return 0
    folder = folder_of(one.experiment, runs)
    shutil.rmtree(folder, ignore_errors=True)
    argv = [sys.executable, *command(one, str(runs)).split()[1:]]
    began, before = time.monotonic(), _processor_seconds()
    with tempfile.TemporaryDirectory() as cache:
        env = {**os.environ, "JAX_COMPILATION_CACHE_DIR": cache, "PYTHONPATH": str(ROOT)}
        code = subprocess.run(argv, cwd=ROOT, env=env).returncode
    if code == 0:
        taken = {
            "seconds": round(time.monotonic() - began, 1),
            "processor_seconds": round(_processor_seconds() - before, 1),
            "about": machine.about(),
        }
        (folder / TAKEN).write_text(json.dumps(taken, indent=1) + "\n")
    return code


def _processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def is_done(one: System, runs: Path) -> bool:
    """Whether `run` has ended well there."""
    return (folder_of(one.experiment, runs) / TAKEN).exists()


def told(one: System, runs: Path) -> dict[str, Any]:
    """What is kept of a run: its final figures, its size, what it took, and on what."""
    folder = folder_of(one.experiment, runs)
    summary, config, taken = (
        json.loads((folder / name).read_text()) for name in ("summary.json", "config.json", TAKEN)
    )
    if "members" in summary:  # of a population, the best member's
        summary |= {"final": summary["members"][summary["best"]["member"]]["final"]}
    kept = ("final", "steps", "parameters", "platform", "devices", "precision")
    return {
        **{key: summary[key] for key in kept},
        "seed": config["seed"],
        **taken,
        "about": {**taken["about"], "jax": {"jax": summary["jax"]}},
    }
