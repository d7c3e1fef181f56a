"""How tests run experiments: the real launcher, in this process, on runs of a few steps."""

import json
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxdl import checkpoint, launch, logs

ROOT = Path(__file__).parent.parent

# Small enough to run in a second or two, large enough for every part of the loop to have its turn.
SHORT = (
    "--config.epochs=none",
    "--config.steps=12",
    "--config.batch_size=16",
    "--config.optimizer.warmup=0",
    "--config.parallel.data=1",
)


def run(experiment: str, workdir: Path, *overrides: str) -> int:
    """Launches ``experiments/<experiment>`` (or a path) for 12 steps; returns the exit code."""
    name, colon, variant = experiment.partition(":")
    file = name if name.endswith(".py") else str(ROOT / "experiments" / f"{name}.py")
    return launch.main(
        [f"--config={file}{colon}{variant}", f"--workdir={workdir}", *SHORT, *overrides]
    )


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
