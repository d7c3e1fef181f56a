"""What classical methods make of the tables that `experiments/mlp.py` learns from, beside it.

    python -m benchmarks.tables --workdir=runs/tables

All are measured on the same test part, a fifth of the data. Thresholds, and how far intervals are
widened, are chosen on the same validation part, a fifth of the rest; ridge and logistic regression
choose their penalties by cross-validation within what they are fitted to. That is the training
part, or, in the rows called "all", both, where nothing is left to choose by. The network is trained
with seeds 0, 1 and 2, and the checkpoint of its least validation loss counts; a run that is
finished in the folder is not made again.
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn import ensemble, linear_model, metrics, model_selection, pipeline, preprocessing

from jaxdl import config as settings
from jaxdl import data, launch
from jaxdl.metrics import conformal, ranking
from jaxdl.runs import logs

SEEDS, COVERAGE = (0, 1, 2), 0.9
EXPERIMENT = "experiments/mlp.py"
FIGURES = {
    "regression": ("mae", "rmse", "r2", "coverage", "interval_width"),
    "cancer": ("auroc", "average_precision", "f1", "accuracy"),
}

Part = tuple[np.ndarray, np.ndarray]


def main(argv: Sequence[str] | None = None) -> int:
    """Prints a Markdown table for each of both; returns the exit code."""
    argv = list(sys.argv[1:] if argv is None else argv)
    if len(argv) != 1 or not argv[0].startswith("--workdir="):
        print("error: --workdir is missing: the folder that the runs are kept in", file=sys.stderr)
        return 2
    folder = Path(argv[0].partition("=")[2])
    for variant, classical in (("regression", regression), ("cancer", cancer)):
        rows = dict(classical(parts(variant)))
        runs = []
        for seed in SEEDS:
            found = of_network(variant, seed, folder / f"{variant}-{seed}")
            if isinstance(found, int):
                return found
            runs.append(found)
        for seed, found in zip(SEEDS, runs, strict=True):
            rows[f"`mlp:{variant}`, seed {seed}"] = found
        names = FIGURES[variant]
        rows[f"`mlp:{variant}`, median"] = {
            name: float(np.median([found[name] for found in runs])) for name in names
        }
        print(table(names, rows), flush=True)
    return 0


def parts(variant: str) -> dict[str, Part]:
    """{"train", "validation" and "test": (rows, what is told of them)} of the experiment's data."""
    found = data.load(settings.load(f"{EXPERIMENT}:{variant}").data)

    def part(split: Any) -> Part:
        y = split.arrays["target"][:, 0] if variant == "regression" else split.labels
        return split.arrays["features"].astype(np.float64), y

    return {name: part(getattr(found, name)) for name in ("train", "validation", "test")}


def regression(found: Mapping[str, Part]):
    """Yields (name, figures) of each method."""
    both = tuple(np.concatenate(x) for x in zip(found["train"], found["validation"], strict=True))
    ridge = lambda: scaled(linear_model.RidgeCV(np.geomspace(1e-2, 1e3, 31)))
    boosting = lambda: ensemble.GradientBoostingRegressor(random_state=0)
    for name, method in (("ridge regression", ridge), ("gradient boosting", boosting)):
        fitted = method().fit(*found["train"])
        one = lambda part, fitted=fitted: (fitted.predict(found[part][0]),) * 3
        yield name, told(found, one)
        x, y = found["test"]
        yield f"{name}, all", errors(method().fit(*both).predict(x), y)
    levels = ((1 - COVERAGE) / 2, 0.5, (1 + COVERAGE) / 2)
    each = [
        ensemble.GradientBoostingRegressor(loss="quantile", alpha=level, random_state=0).fit(
            *found["train"]
        )
        for level in levels
    ]
    quantiles = lambda part: np.sort([fitted.predict(found[part][0]) for fitted in each], axis=0)
    yield "gradient boosting of quantiles", told(found, quantiles)


def told(found: Mapping[str, Part], ends: Any) -> dict[str, float]:
    """Figures of (low, middle, high) by ``ends`` of a part, widened by the validation part."""
    low, _, high = ends("validation")
    scores = conformal.scores(low, high, found["validation"][1])
    margin = float(conformal.margin(scores, COVERAGE))
    (low, middle, high), truth = ends("test"), found["test"][1]
    low, high = low - margin, high + margin
    inside = (low <= truth) & (truth <= high)
    widths = {"coverage": inside.mean(), "interval_width": (high - low).mean()}
    return errors(middle, truth) | widths


def errors(said: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Of predictions, without intervals."""
    return {
        "mae": metrics.mean_absolute_error(truth, said),
        "rmse": metrics.root_mean_squared_error(truth, said),
        "r2": metrics.r2_score(truth, said),
    }


def cancer(found: Mapping[str, Part]):
    """Yields (name, figures) of each method."""
    both = tuple(np.concatenate(x) for x in zip(found["train"], found["validation"], strict=True))
    logistic = lambda: scaled(
        model_selection.GridSearchCV(
            linear_model.LogisticRegression(max_iter=5000),
            {"C": np.geomspace(1e-3, 1e2, 11)},
            scoring="neg_log_loss",
        )
    )
    fitted = logistic().fit(*found["train"])
    x, y = found["validation"]
    threshold = float(ranking.best_f1(fitted.decision_function(x), y == 1).threshold)
    yield "logistic regression", areas(fitted, found["test"], threshold)
    yield "logistic regression, all", areas(logistic().fit(*both), found["test"], 0.0)


def areas(fitted: Any, part: Part, threshold: float) -> dict[str, float]:
    """Figures of a classifier whose answers are cut at ``threshold``."""
    scores, positive = fitted.decision_function(part[0]), part[1] == 1
    return {
        "auroc": ranking.auroc(scores, positive),
        "average_precision": ranking.average_precision(scores, positive),
        "f1": ranking.f1(scores > threshold, positive),
        "accuracy": float(np.mean((scores > 0) == positive)),
    }


def scaled(method: Any) -> Any:
    """The method on standardised columns."""
    return pipeline.make_pipeline(preprocessing.StandardScaler(), method)


def of_network(variant: str, seed: int, folder: Path) -> dict[str, float] | int:
    """Figures of the test part, or the exit code of a run that fails."""
    flags = [f"--config={EXPERIMENT}:{variant}", f"--workdir={folder}", f"--config.seed={seed}"]
    for mode in ("train", "evaluate"):
        if code := launch.main([*flags, f"--mode={mode}"]):
            return code
    return [line for line in logs.read(folder) if line["split"] == "evaluate"][-1]


def table(names: Sequence[str], rows: Mapping[str, Mapping[str, float]]) -> str:
    """Markdown."""
    head = f"| | {' | '.join(names)} |\n|---|{'---:|' * len(names)}"
    shown = lambda found, name: f"{found[name]:.4g}" if name in found else ""
    lines = [f"| {k} | {' | '.join(shown(v, n) for n in names)} |" for k, v in rows.items()]
    return "\n".join([head, *lines, ""])


if __name__ == "__main__":
    sys.exit(main())
