"""Optimizers beside one another: speed, tolerance of the rate, robustness, final accuracy.

    python -m benchmarks.optimizers --workdir=runs/optimizers

Each variant of experiments/optimizers.py is trained over all its rates and seeds under each of
CONDITIONS, twice: with a validation part held out of the training part, by which its rate is
chosen, and on all of the training part, of which the test part's figures are reported. A run is in
a folder of its own in the workdir, and one that is finished is not made again. The figures and the
chart go to docs/, or to the folder --docs.

--variants=sgd,adam takes some only; settings, --config.KEY=VALUE, are passed on to every run.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks import optimizer_measures as measures
from benchmarks.page import BEGIN, END
from benchmarks.workloads import ROOT
from jaxdl import draw, flags, launch, logs, workdir
from jaxdl.errors import JaxdlError, UserError

EXPERIMENT = ROOT / "experiments" / "optimizers.py"
VARIANTS = ("sgd", "momentum", "rmsprop", "adam", "adamw")
CONDITIONS = {
    "clean": (),
    "label noise": ("--config.data.label_noise=0.2",),
    # Of .01, .03, .1 and .3 the least that costs the five, by the median, 2 points of validation
    # accuracy or more: docs/optimizers.md.
    "gradient noise": ("--config.optimizer.noise=0.1",),
}
PARTS = ("validation", "test")
RATE = "optimizer.learning_rate"
TARGET = 0.97
REFERENCE = "momentum"
# Of a member that gave a number that is not finite: it tells nothing of the ten classes.
FAILED = 0.1


class Runs(NamedTuple):
    """What a population's files say of its members.

    Attributes:
      rates: (rates,) ascending.
      final: (rates, seeds) accuracy after the last step; FAILED where a member did not get there.
      steps: (evaluations,).
      curve: (evaluations, rates, seeds) accuracy; NaN where there was none.
    """

    rates: np.ndarray
    final: np.ndarray
    steps: np.ndarray
    curve: np.ndarray


Table = Mapping[tuple[str, str], Runs]
"""By (condition, variant)."""


class Row(NamedTuple):
    """What one method came to.

    Attributes:
      rates: chosen for each condition, by the validation part.
      final: accuracy at them, for each condition.
      steps: (seeds,) to TARGET, clean, at the chosen rate; infinite where it is not reached.
      width: of the rates within a point of the best, clean.
      width_interval: of its factor.
      same: for each noise, what is lost at the rate that was chosen clean.
      again: the same at the rate chosen under that noise.
      behind: for each condition, REFERENCE's accuracy taken from its own, seed by seed.
    """

    rates: dict[str, float]
    final: dict[str, measures.Interval]
    steps: np.ndarray
    width: measures.Width
    width_interval: tuple[float, float]
    same: dict[str, measures.Interval]
    again: dict[str, measures.Interval]
    behind: dict[str, measures.Interval]


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit code of the first run that fails, or 0."""
    argv = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(prog="benchmarks.optimizers", allow_abbrev=False)
    parser.add_argument("--workdir", required=True)
    parser.add_argument("--variants", default=",".join(VARIANTS))
    parser.add_argument("--docs", default=str(ROOT / "docs"))
    own, others = parser.parse_known_args(argv)
    variants = own.variants.split(",")
    try:
        strange = [flag for flag in others if not flag.startswith("--config.")]
        if strange:
            raise UserError(f"unknown flag {strange[0]}: what is passed on is --config.KEY=VALUE")
        around(Path(own.docs) / "optimizers.md")
        code = train(Path(own.workdir), variants, others)
        if code:
            return code
        validation, test = (read_all(Path(own.workdir) / part, variants) for part in PARTS)
        write(Path(own.docs), " ".join(["python -m benchmarks.optimizers", *argv]),
              rows(validation, test), test)  # fmt: skip
    except JaxdlError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


# The runs


def folder(parent: Path, condition: str, variant: str) -> Path:
    """Where a run is kept in the folder of its part."""
    return parent / condition.replace(" ", "_") / variant


def train(parent: Path, variants: Sequence[str], others: Sequence[str]) -> int:
    """Makes the runs that are not finished; returns the exit code of the first that fails, or 0.

    Args:
      parent: of all the runs' folders.
      variants: of the experiment.
      others: flags for every run.

    Raises:
      UserError: a variant or setting that cannot be, or a finished run with other settings.
    """
    for part in PARTS:
        for condition, own in CONDITIONS.items():
            for variant in variants:
                kept = folder(parent / part, condition, variant)
                run = [
                    f"--config={EXPERIMENT}:{variant}", f"--workdir={kept}",
                    f"--config.data.eval_on={part}", "--config.log.report=false", *own, *others,
                ]  # fmt: skip
                workdir.check(kept, flags.parse(run).config)
                code = 0 if (kept / "summary.json").exists() else launch.main(run)
                if code:
                    return code
    return 0


def read_all(parent: Path, variants: Sequence[str]) -> dict[tuple[str, str], Runs]:
    """All runs of a part."""
    return {
        (condition, variant): read(folder(parent, condition, variant))
        for condition in CONDITIONS
        for variant in variants
    }


def read(run: Path) -> Runs:
    """The members of the run in ``run``, by rate and seed."""
    members = json.loads((run / "summary.json").read_text())["members"]
    rates = sorted({member["settings"][RATE] for member in members})
    seeds = sorted({member["seed"] for member in members})
    places = np.empty((len(rates), len(seeds)), int)
    for i, member in enumerate(members):
        places[rates.index(member["settings"][RATE]), seeds.index(member["seed"])] = i
    finals = np.array([FAILED if m["ended"] else m["final"]["accuracy"] for m in members])
    lines = [line for line in logs.read(run) if line["split"] == "eval"]
    curve = np.array([line["accuracy"] for line in lines], np.float64)  # None becomes NaN
    steps = np.array([line["step"] for line in lines])
    return Runs(np.array(rates), finals[places], steps, curve[:, places])


# The figures


def rows(validation: Table, test: Table) -> dict[str, Row]:
    """What each method came to, by name.

    Args:
      validation: chooses the rates, by the accuracy after the last step.
      test: of the same methods, conditions, rates and seeds; all figures are of it.
    """
    chosen = {key: measures.best_rate(runs.final) for key, runs in validation.items()}
    at = lambda condition, variant, rate: test[condition, variant].final[rate]
    best = {key: at(*key, rate) for key, rate in chosen.items()}
    result = {}
    for variant in dict.fromkeys(variant for _, variant in test):
        clean, rate = test["clean", variant], chosen["clean", variant]
        noises = [condition for condition in CONDITIONS if condition != "clean"]
        lost = lambda values, v=variant: measures.interval(best["clean", v] - values)
        result[variant] = Row(
            rates={c: float(clean.rates[chosen[c, variant]]) for c in CONDITIONS},
            final={c: measures.interval(best[c, variant]) for c in CONDITIONS},
            steps=measures.steps_to(TARGET, clean.steps, clean.curve[:, rate]),
            width=measures.width(clean.rates, np.median(clean.final, axis=1)),
            width_interval=measures.width_interval(clean.rates, clean.final),
            same={c: lost(at(c, variant, rate)) for c in noises},
            again={c: lost(best[c, variant]) for c in noises},
            behind={
                c: measures.interval(best[c, variant] - best[c, REFERENCE])
                for c in CONDITIONS
                if (c, REFERENCE) in best
            },
        )
    return result


# The page


def around(page: Path) -> tuple[str, str]:
    """What stands before and behind the figures in ``page``.

    Raises:
      UserError: there is no such page, or it has no marks.
    """
    text = page.read_text() if page.exists() else ""
    head, begin, rest = text.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not (begin and end):
        raise UserError(f"{page} has no {BEGIN} … {END} to put the figures in")
    return head, tail


def write(docs: Path, command: str, found: Mapping[str, Row], test: Table) -> None:
    """Writes the chart, and the figures between the marks in optimizers.md."""
    page = docs / "optimizers.md"
    head, tail = around(page)
    shown = figures(command, found)
    print(shown)
    page.write_text(f"{head}{BEGIN}\n\n{shown}\n\n{END}{tail}")
    (docs / "optimizers.png").write_bytes(chart(test).data)


def figures(command: str, found: Mapping[str, Row]) -> str:
    """The command and the tables, as Markdown."""
    noises = [condition for condition in CONDITIONS if condition != "clean"]
    main_table = _table(
        ["optimizer", "rate", "final accuracy", f"steps to {TARGET:.0%}",
         "rates within a point of the best",
         *(f"{c}: points lost at the same rate; rate chosen again" for c in noises)],
        [
            [variant, f"{row.rates['clean']:.2g}", _accuracy(row.final["clean"]),
             _steps(row.steps), _width(row),
             *(f"{_points(row.same[c])}; {_points(row.again[c])} ({row.rates[c]:.2g})"
               for c in noises)]
            for variant, row in found.items()
        ],
    )  # fmt: skip
    differences = _table(
        ["optimizer", *CONDITIONS],
        [
            [variant, *(_points(row.behind[c], signed=True) for c in CONDITIONS)]
            for variant, row in found.items()
            if variant != REFERENCE and row.behind
        ],
    )
    return "\n\n".join(
        [
            f"`{command}`",
            main_table,
            f"Accuracy after the last step, {REFERENCE}'s taken from it seed by seed, each at its "
            "own rate, in points:",
            differences,
        ]
    )


def _table(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *body]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _accuracy(found: measures.Interval) -> str:
    mean, low, high = (f"{value:.4f}".removeprefix("0") for value in found)
    return f"**{mean}** [{low}, {high}]"


def _points(found: measures.Interval, signed: bool = False) -> str:
    sign = "+" if signed else ""
    mean, low, high = (f"{100 * value:{sign}.1f}" for value in found)
    return f"{mean} [{low}, {high}]"


def _steps(steps: np.ndarray) -> str:
    reached = steps[np.isfinite(steps)]
    median = measures.median_steps(steps)
    shown = f"{median:.0f}" if np.isfinite(median) else "never"
    if len(reached):
        shown += f" ({reached.min():.0f} to {reached.max():.0f}"
        shown += ")" if len(reached) == len(steps) else f"; {len(reached)} of {len(steps)} seeds)"
    return shown


def _width(row: Row) -> str:
    low, high = row.width_interval
    at_least = "at least " if row.width.open else ""
    return (
        f"{at_least}{row.width.factor:.1f}x [{low:.1f}, {high:.1f}]: "
        f"{row.width.low:.2g} to {row.width.high:.2g}"
    )


def chart(test: Table) -> draw.Picture:
    """Final accuracy over the rate, a panel a condition: medians, and a band of half the seeds."""
    from matplotlib.ticker import PercentFormatter

    variants = list(dict.fromkeys(variant for _, variant in test))

    def paint(panels: Any) -> None:
        panels = np.atleast_1d(panels)
        for axes, condition in zip(panels, CONDITIONS, strict=True):
            for variant, color in zip(variants, draw.COLORS, strict=False):
                runs = test[condition, variant]
                low, median, high = draw.quantiles(runs.final, (0.25, 0.5, 0.75))
                axes.fill_between(runs.rates, low, high, color=color, alpha=0.2, linewidth=0)
                axes.plot(runs.rates, median, label=variant, color=color, marker=".")
            axes.set_xscale("log")
            axes.set_ylim(0.7, 1)
            axes.yaxis.set_major_formatter(PercentFormatter(1))
            axes.set_title(condition, loc="left")
            axes.set_xlabel("learning rate")
        panels[0].set_ylabel("test accuracy after the last step")
        panels[0].legend(loc="lower left", fontsize=8)

    return draw.figure(10.0, 3.4, paint, kind="png", columns=len(CONDITIONS))


if __name__ == "__main__":
    sys.exit(main())
