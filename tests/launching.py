"""How tests run experiments: the real launcher, in this process, on runs of a few steps."""

import json
import shutil
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
import tiny

from jaxdl import experiment as experiments
from jaxdl import launch, metrics
from jaxdl.launch import flags
from jaxdl.runs import checkpoint, logs

ROOT = Path(__file__).parent.parent

# Small enough to run in a second or two, large enough for every part of the loop to have its turn.
SHORT = (
    "--config.epochs=none",
    "--config.steps=12",
    "--config.batch_size=16",
    "--config.optimizer.warmup=0",
    "--config.parallel.data=1",
    # A checkpoint and an evaluation take longer than a step.
    "--config.eval.every=6",
    # Pictures take as long as all the rest; tests that look at them ask for them.
    "--config.log.report=false",
    # And the norms of all layers a fifth of what compiling an update takes.
    "--config.log.layers=false",
)
REPORT = "--config.log.report=true"


def run(experiment: str, workdir: Path, *overrides: str) -> int:
    """Launches ``experiments/<experiment>`` (or a path) for 12 steps; returns the exit code."""
    name, colon, variant = experiment.partition(":")
    file = name if name.endswith(".py") else str(ROOT / "experiments" / f"{name}.py")
    return launch.main(
        [f"--config={file}{colon}{variant}", f"--workdir={workdir}", *SHORT, *overrides]
    )


def made(experiment: str, *overrides: str) -> experiments.Experiment:
    """The experiment as the launcher makes it; nothing is compiled."""
    name, colon, variant = experiment.partition(":")
    file = f"--config={ROOT / 'experiments' / name}.py{colon}{variant}"
    return experiments.create(flags.parse([file, *SHORT, *overrides]).config)


def built(experiment: str, *overrides: str) -> experiments.Experiment:
    """The same, as small as it goes."""
    return made(experiment, *tiny.FLAGS[experiment], *overrides)


def learned(
    updates: int, experiment: str, *overrides: str
) -> tuple[experiments.Experiment, Any, dict[str, Any]]:
    """What `built` makes, its state after so many updates, and the metrics of the last one."""
    one = built(experiment, *overrides)
    state = one.init_state()
    step = jax.jit(one.task.train_step)
    with jax.set_mesh(one.layout.mesh):
        for i in range(updates):
            batch = jax.tree.map(lambda x: x[0], one.stacked([i]))
            state, found = step(state, batch, one.key)
    return one, state, metrics.divide(jax.device_get(found))


def summary(workdir: Path) -> dict[str, Any]:
    """The run's summary.json."""
    return json.loads((workdir / "summary.json").read_text())


def figures(workdir: Path, split: str) -> list[dict[str, Any]]:
    """The lines of one split in metrics.jsonl."""
    return [line for line in logs.read(workdir) if line["split"] == split]


def leaves(workdir: Path, step: int | None = None) -> list[np.ndarray]:
    """The state of a checkpoint as a list of arrays."""
    return [np.asarray(x) for x in jax.tree.leaves(checkpoint.restore(workdir, step))]


def assert_same_bits(a: list[np.ndarray], b: list[np.ndarray]) -> None:
    """Both lists hold the same arrays, to the last bit."""
    assert len(a) == len(b)
    for x, y in zip(a, b, strict=True):
        np.testing.assert_array_equal(x, y)


def assert_resumes_to_the_bit(
    experiment: str, folder: Path, *overrides: str, at: int, same_calls: bool = False
) -> None:
    """A run whose machine fails behind the checkpoint of step ``at`` ends like one whose does not.

    Both stay in ``folder``, as `run_and_copy` and `go_on` make them.
    """
    run_and_copy(experiment, folder, *overrides, at=at)
    go_on(experiment, folder, *overrides, at=at, same_calls=same_calls)


def run_and_copy(experiment: str, folder: Path, *overrides: str, at: int) -> None:
    """A whole run in ``folder``/whole, and in ``folder``/cut what is on disk at step ``at``.

    That is what a failing machine leaves.
    """
    whole, cut = folder / "whole", folder / "cut"
    save = checkpoint.Checkpoints.save

    def save_and_copy(self, step, *args, **kwargs):
        save(self, step, *args, **kwargs)
        if step == at:
            self.wait()
            # Its holder is no other process than this one, which lives.
            shutil.copytree(whole, cut, ignore=shutil.ignore_patterns("lock.json"))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoint.Checkpoints, "save", save_and_copy)
        assert run(experiment, whole, *overrides) == 0


def go_on(
    experiment: str, folder: Path, *overrides: str, at: int, same_calls: bool = False
) -> None:
    """The run in ``folder``/cut goes on from step ``at``, and ends like that in ``folder``/whole.

    Its whole state, every logged figure and the best evaluation, though as many updates go to a
    call as the flags' events leave room for, up to 3, where the other run makes one a call, or the
    other way round, or ``same_calls``: programs that are compiled in a hurry round differently.
    """
    whole, cut = folder / "whole", folder / "cut"
    assert max(int(step.name) for step in (cut / "checkpoints").iterdir()) == at
    if not same_calls:
        per_call = 3 if summary(whole)["steps_per_call"] == 1 else 1
        overrides = (*overrides, f"--config.steps_per_call={per_call}")
    # Of pictures the whole run's are enough.
    assert run(experiment, cut, *overrides, "--config.log.report=false") == 0

    assert_same_bits(leaves(whole), leaves(cut))
    for split in ("train", "eval", "layers"):
        assert figures(whole, split) == figures(cut, split)
    assert summary(whole)["best"] == summary(cut)["best"]
