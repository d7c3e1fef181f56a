"""Few labels: a network that has learned other digits, beside two that look at pixels.

    python -m benchmarks.transfer [--labels=1,5,10] [--draws=20] [--workdir=runs/transfer]

experiments/transfer.py:pretrain learns the digits 0 to 4 (a run that is there is taken). For each
number of labels a class, draws of the training examples of 5 to 9 are learned from by
experiments/transfer.py, all draws of a number in one program; by logistic regression; and by the
one nearest neighbour. All see the same images and are scored on the same test part.

--validation takes other draws and a validation part, by which settings are chosen. Settings,
--config.KEY=VALUE, are for the transfer.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from benchmarks.workloads import ROOT
from jaxdl import data, experiment, keys, launch, metrics
from jaxdl.data import Data, training_batches
from jaxdl.errors import JaxdlError, told
from jaxdl.launch import flags

EXPERIMENT = ROOT / "experiments" / "transfer.py"


def drawn(config: ConfigDict, labels: int, seeds: Sequence[int]) -> list[Data]:
    """The data of each draw."""
    own = config.data.to_dict()
    return [data.load({**own, "labels_per_class": labels, "label_seed": seed}) for seed in seeds]


def transferred(config: ConfigDict, labels: int, draws: list[Data]) -> np.ndarray:
    """Test accuracies (draws,) of networks that learn from the draws side by side."""
    config = config.copy_and_resolve_references()
    config.data.labels_per_class = labels
    made = experiment.create(config)
    task, steps = made.task, made.run.steps
    roots = keys.root([config.seed + i for i in range(len(draws))])
    streams = [
        training_batches(d.train, config.batch_size, config.seed + i) for i, d in enumerate(draws)
    ]
    batches = [jax.tree.map(lambda *x: np.stack(x), *[s(i) for s in streams]) for i in range(steps)]
    state = jax.jit(jax.vmap(task.init))(keys.named(roots, "init"), batches[0])
    update = jax.jit(jax.vmap(task.train_step), donate_argnums=0)
    for i, batch in enumerate(batches):
        state, _ = update(state, batch, keys.at_step(roots, i))
    test = draws[0].test.take(np.arange(len(draws[0].test)))
    score = jax.jit(jax.vmap(task.eval_step, in_axes=(0, None, 0)))
    return np.asarray(metrics.divide(score(state, test, roots))["accuracy"])


def on_pixels(draws: list[Data]) -> dict[str, np.ndarray]:
    """Test accuracies (draws,) of what is fitted to the same images."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier

    def score(model: Any, draw: Data) -> float:
        rows = {}
        for part, split in (("train", draw.train), ("test", draw.test)):
            batch = split.take(np.arange(len(split)))
            # A draw repeats its few: for these two each counts once.
            image, first = (
                np.unique(batch["image"].reshape(len(split), -1), axis=0, return_index=True)
                if part == "train"
                else (batch["image"].reshape(len(split), -1), slice(None))
            )
            rows[part] = image, batch["label"][first]
        return model.fit(*rows["train"]).score(*rows["test"])

    models = {
        "logistic regression": LogisticRegression(max_iter=5000),
        "1 nearest neighbour": KNeighborsClassifier(1),
    }
    return {name: np.array([score(m, d) for d in draws]) for name, m in models.items()}


def interval(accuracies: np.ndarray) -> str:
    """Mean and the half-width of its 95 % interval by the normal distribution."""
    half = 1.96 * accuracies.std(ddof=1) / np.sqrt(len(accuracies))
    return f"{accuracies.mean():.3f} ± {half:.3f}"


def main(argv: Sequence[str] | None = None) -> int:
    """Prints a table; returns the exit code of the pre-training if that fails, or 0."""
    parser = argparse.ArgumentParser(prog="benchmarks.transfer", allow_abbrev=False)
    parser.add_argument("--labels", default="1,5,10")
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--workdir", default="runs/transfer")
    parser.add_argument("--validation", action="store_true")
    own, settings = parser.parse_known_args(argv)
    source = Path(own.workdir) / ("validation" if own.validation else "test")
    part = f"--config.data.eval_on={source.name}"
    if not (source / "summary.json").exists():
        code = launch.main([f"--config={EXPERIMENT}:pretrain", f"--workdir={source}", part])
        if code:
            return code
    try:
        config = flags.parse(
            [f"--config={EXPERIMENT}", f"--config.pretrained.source={source}", part, *settings]
        ).config
        seeds = range(1000, 1000 + own.draws) if own.validation else range(own.draws)
        print("| labels a class | transfer | logistic regression | 1 nearest neighbour |")
        print("|---|---|---|---|")
        for labels in map(int, own.labels.split(",")):
            draws = drawn(config, labels, seeds)
            found = [transferred(config, labels, draws), *on_pixels(draws).values()]
            print(f"| {labels} | {' | '.join(map(interval, found))} |", flush=True)
    except JaxdlError as error:
        return told(error)
    return 0


if __name__ == "__main__":
    sys.exit(main())
