"""The page of a comparison of optimizers: tables between the marks of its text, and a chart."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import optimizer_measures as measures
from benchmarks.optimizer_results import (
    CLEAN,
    DEFAULT_RATE,
    TARGET,
    Difference,
    Row,
    Table,
    conditions,
    variants,
)
from benchmarks.page import BEGIN, END, with_figures
from jaxdl.errors import UserError
from jaxdl.report import draw, draw_members

PAGE, CHART = "optimizers.md", "optimizers.svg"


def check(page: Path) -> None:
    """Raises UserError where there is no such page, or it has no marks for the figures."""
    text = page.read_text() if page.exists() else ""
    if END not in text.partition(BEGIN)[2]:
        raise UserError(f"{page} has no {BEGIN} … {END} to put the figures in")


def write(docs: Path, shown: str, picture: draw.Picture) -> None:
    """Puts the figures between the marks of the page in ``docs``, and the chart beside it."""
    check(docs / PAGE)
    text = (docs / PAGE).read_text()
    (docs / PAGE).write_text(with_figures(text, shown))
    (docs / CHART).write_bytes(picture.data)


def figures(
    command: str,
    rows: Mapping[str, Row],
    differences: Mapping[tuple[str, str], Difference],
    test: Table,
) -> str:
    """The command and the tables, as Markdown; points are hundredths of accuracy.

    Args:
      command: that made them.
      rows: of the methods.
      differences: between them; may be empty.
      test: what they are of.
    """
    every = conditions(test)
    noises = [c for c in every if c != CLEAN]
    main = _table(
        ["optimizer", "rate", "final accuracy", f"steps to {TARGET:.0%}",
         "rates within a point of the best", f"points lost at rate {DEFAULT_RATE:g}"],
        [
            [name, f"{row.rates[CLEAN]:.2g}", _accuracy(row.final[CLEAN]), _steps(row.steps),
             _width(row), _points(row.default) if row.default else ""]
            for name, row in rows.items()
        ],
    )  # fmt: skip
    robust = _table(
        ["optimizer", *(f"{c}, {at}" for c in noises for at in ("rate as before", "its own rate"))],
        [
            [name, *(cell for c in noises for cell in (
                _points(row.same[c]), f"{_points(row.again[c])} at {row.rates[c]:.2g}"))]
            for name, row in rows.items()
        ],
    )  # fmt: skip
    apart = _table(
        ["", f"steps to {TARGET:.0%}", *every],
        [
            [f"{one} − {other}", _number(found.steps, "+z.0f") if found.steps else "",
             *(_points(found.final[c], "+") for c in every)]
            for (one, other), found in differences.items()
        ],
    )  # fmt: skip
    parts = [f"`{command}`", main]
    if noises:
        parts += ["Points of accuracy lost under noise:", robust]
    if differences:
        parts += ["Differences seed by seed, each at its own rate; accuracy in points:", apart]
    parts += [f"Median final accuracy by rate, {CLEAN}:", _by_rate(test)]
    return "\n\n".join(parts)


def _table(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *body]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _by_rate(test: Table) -> str:
    names = variants(test)
    medians = np.stack([np.median(test[CLEAN, name].final, axis=1) for name in names], axis=1)
    rates = test[CLEAN, names[0]].rates
    return _table(
        ["rate", *names],
        [
            [f"{rate:.2g}", *(f"{value:.3f}".removeprefix("0") for value in of_rate)]
            for rate, of_rate in zip(rates, medians, strict=True)
        ],
    )


def _accuracy(found: measures.Interval) -> str:
    mean, low, high = (f"{value:.4f}".removeprefix("0") for value in found)
    return f"**{mean}** [{low}, {high}]"


def _number(found: measures.Interval, form: str) -> str:
    mean, low, high = (f"{value:{form}}" for value in found)
    return f"{mean} [{low}, {high}]"


def _points(found: measures.Interval, sign: str = "") -> str:
    return _number(measures.Interval(*(100 * value for value in found)), f"{sign}z.1f")


def _steps(steps: np.ndarray) -> str:
    reached = steps[np.isfinite(steps)]
    median = measures.median_steps(steps)
    shown = f"{median:.0f}" if np.isfinite(median) else "never"
    if len(reached):
        seeds = "" if len(reached) == len(steps) else f"; {len(reached)} of {len(steps)} seeds"
        shown += f" ({reached.min():.0f} to {reached.max():.0f}{seeds})"
    return shown


def _width(row: Row) -> str:
    low, high = row.width_interval
    at_least = "at least " if row.width.open else ""
    return (
        f"{at_least}{row.width.factor:.0f}x [{low:.0f}, {high:.0f}]: "
        f"{row.width.low:.2g} to {row.width.high:.2g}"
    )


def chart(test: Table) -> draw.Picture:
    """Final accuracy over the rate, a panel a condition: medians, and a band of half the seeds."""
    from matplotlib.ticker import NullLocator, PercentFormatter

    every = conditions(test)

    def paint(panels: Any) -> None:
        panels = np.atleast_1d(panels)
        for axes, condition in zip(panels, every, strict=True):
            for name, color in zip(variants(test), draw.COLORS, strict=False):
                runs = test[condition, name]
                low, median, high = draw_members.quantiles(runs.final, (0.25, 0.5, 0.75))
                axes.fill_between(runs.rates, low, high, color=color, alpha=0.2, linewidth=0)
                axes.plot(runs.rates, median, label=name, color=color, marker=".")
            axes.set_xscale("log")
            axes.xaxis.set_minor_locator(NullLocator())
            axes.set_ylim(0.7, 1)
            axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
            axes.set_title(condition, loc="left")
            axes.set_xlabel("learning rate")
        panels[0].set_ylabel("test accuracy after the last step")
        panels[-1].legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize=8)

    return draw.figure(3.0 * len(every) + 1.2, 3.2, paint, columns=len(every))
