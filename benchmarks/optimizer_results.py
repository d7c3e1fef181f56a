"""What the runs of a comparison of optimizers came to: read from their files, and measured."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks import optimizer_measures as measures
from jaxdl.runs import logs

RATE = "optimizer.learning_rate"
CLEAN = "clean"
TARGET = 0.97
# Of a member that gave a number that is not finite: it tells nothing of the ten classes.
FAILED = 0.1
# What Kingma and Ba (2015) call a good one.
DEFAULT_RATE = 1e-3
WITH_DEFAULT = ("adam", "adamw")
# Whose accuracies are taken from one another.
PAIRS = (
    ("sgd", "momentum"),
    ("rmsprop", "momentum"),
    ("adam", "momentum"),
    ("adamw", "momentum"),
    ("adam", "sgd"),
    ("adamw", "adam"),
)


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
"""By (condition, variant); CLEAN is one of the conditions, the others are noises."""


class Row(NamedTuple):
    """What one method came to; a loss is accuracy at its own rate, clean, minus that in question.

    Attributes:
      rates: chosen for each condition, by the validation part.
      final: accuracy at them, for each condition.
      steps: (seeds,) to TARGET, clean; infinite where it is not reached.
      width: of the rates within a point of the best, clean.
      width_interval: of its factor.
      default: lost at DEFAULT_RATE, clean; None where there is no such run.
      same: for each noise, what is lost at the rate that was chosen clean.
      again: the same at the rate chosen under that noise.
    """

    rates: dict[str, float]
    final: dict[str, measures.Interval]
    steps: np.ndarray
    width: measures.Width
    width_interval: tuple[float, float]
    default: measures.Interval | None
    same: dict[str, measures.Interval]
    again: dict[str, measures.Interval]


class Difference(NamedTuple):
    """One method's figures minus another's, seed by seed, each at its own rate.

    Attributes:
      final: accuracy, for each condition.
      steps: to TARGET, clean; None where a seed does not reach it.
    """

    final: dict[str, measures.Interval]
    steps: measures.Interval | None


def conditions(table: Table) -> list[str]:
    """The conditions in order."""
    return list(dict.fromkeys(condition for condition, _ in table))


def variants(table: Table) -> list[str]:
    """The methods in order."""
    return list(dict.fromkeys(variant for _, variant in table))


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


def rows(validation: Table, test: Table) -> dict[str, Row]:
    """What each method came to, by name.

    Args:
      validation: chooses the rates, by the accuracy after the last step.
      test: of the same methods, conditions, rates and seeds; all figures are of it.
    """
    return {variant: _row(validation, test, variant) for variant in variants(test)}


def _row(validation: Table, test: Table, variant: str) -> Row:
    clean, every = test[CLEAN, variant], conditions(test)
    chosen = {c: measures.best_rate(validation[c, variant].final) for c in every}
    rate = chosen[CLEAN]
    noises = [c for c in every if c != CLEAN]
    own = {c: test[c, variant].final[chosen[c]] for c in every}
    lost = lambda accuracy: measures.interval(own[CLEAN] - accuracy)
    default = np.flatnonzero(np.isclose(clean.rates, DEFAULT_RATE))
    has_default = variant in WITH_DEFAULT and len(default) == 1
    return Row(
        rates={c: float(clean.rates[chosen[c]]) for c in every},
        final={c: measures.interval(own[c]) for c in every},
        steps=measures.steps_to(TARGET, clean.steps, clean.curve[:, rate]),
        width=measures.width(clean.rates, np.median(clean.final, axis=1)),
        width_interval=measures.width_interval(clean.rates, clean.final),
        default=lost(clean.final[default[0]]) if has_default else None,
        same={c: lost(test[c, variant].final[rate]) for c in noises},
        again={c: lost(own[c]) for c in noises},
    )


def differences(validation: Table, test: Table) -> dict[tuple[str, str], Difference]:
    """The PAIRS of methods that are in the tables; arguments as of `rows`."""
    found = {}
    for one, other in PAIRS:
        if {one, other} <= set(variants(test)):
            final, steps = {}, np.array([np.inf])
            for c in conditions(test):
                a, b = (measures.best_rate(validation[c, v].final) for v in (one, other))
                final[c] = measures.interval(test[c, one].final[a] - test[c, other].final[b])
                if c == CLEAN:
                    pair = zip((test[c, one], test[c, other]), (a, b), strict=True)
                    took = [measures.steps_to(TARGET, r.steps, r.curve[:, i]) for r, i in pair]
                    steps = np.stack(took)
            reached = np.isfinite(steps).all()
            found[one, other] = Difference(
                final, measures.interval(steps[0] - steps[1]) if reached else None
            )
    return found
