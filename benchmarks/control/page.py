"""Control's results as tables of docs/speed.md."""

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks import records, statistics
from benchmarks.control import settings

COLUMNS = (
    "",
    "cold, s: median (each seed)",
    "over ours",
    "warm, s: median (each seed)",
    "over ours",
    "environment steps, median",
    "mean return afterwards (each seed)",
    "peak MB, cold",
)
# Behind the seconds of a run.
NOT_HELD, NOT_REACHED = "†", "‡"


def figures(stored: Sequence[Mapping[str, Any]]) -> str:
    """A part for each of the results: what was measured on what, and the table."""
    if not stored:
        return "Not measured yet."
    lines = []
    for results in stored:
        measured = results["workloads"]["cartpole"]
        versions = "; ".join(
            f"{settings.TITLES[side]}: {_versions(found['versions'])}"
            for side, found in _sides(measured)
            if side not in settings.OURS
        )
        lines += [f"### {records.heading(results['about'])}", versions, table(measured)]
    return "\n\n".join(filter(None, lines))


def table(measured: Mapping[str, Any]) -> str:
    """A Markdown table, one row a side, and below it what the marks in it mean."""
    rows = [f"| {' | '.join(COLUMNS)} |", "|" + "---|" * len(COLUMNS)]
    ours = measured.get("ours", {})
    for side, found in _sides(measured):
        cells = [settings.TITLES[side]]
        for kind in ("cold", "warm"):
            runs, own = _runs(found, kind), ours.get(kind, ())
            cells += [_seconds(runs), "" if side == "ours" else _over(runs, own)]
        runs = found["cold"] or found["warm"]
        cells += [
            f"{_median(runs, 'steps'):,.0f}" if runs else "–",
            ", ".join(_number(run["held"]) for run in runs) or "–",
            f"{_median(runs, 'memory') / 1e6:,.0f}" if runs else "–",
        ]
        rows.append(f"| {' | '.join(cells)} |")
    text = "\n".join(rows)
    notes = {
        NOT_HELD: f"stopped, but the episodes afterwards have less than {settings.TARGET:g}",
        NOT_REACHED: f"never had {settings.TARGET:g} in an evaluation, and took all its steps",
    }
    shown = [f"{mark} {words}." for mark, words in notes.items() if mark in text]
    return "\n\n".join([text, *shown])


def mark(run: Mapping[str, Any]) -> str:
    """NOT_REACHED, NOT_HELD or nothing."""
    if not run["stopped"]:
        return NOT_REACHED
    held = run["held"] if run["held"] is not None else run.get("own")
    return NOT_HELD if held is None or held < settings.TARGET else ""


def _sides(measured: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    return [(side, measured[side]) for side in settings.SIDES if side in measured]


def _runs(found: Mapping[str, Any], kind: str) -> Sequence[Mapping[str, Any]]:
    """Without warm runs (nothing is compiled) the cold ones."""
    return found[kind] or found["cold"]


def _seconds(runs: Sequence[Mapping[str, Any]]) -> str:
    if not runs:
        return "–"
    each = ", ".join(f"{run['seconds']:.1f}{mark(run)}" for run in runs)
    return f"{_median(runs, 'seconds'):.1f} ({each})"


def _over(runs: Sequence[Mapping[str, Any]], ours: Sequence[Mapping[str, Any]]) -> str:
    if not (runs and ours):
        return "–"
    return f"**{_median(runs, 'seconds') / _median(ours, 'seconds'):.2f}**"


def _median(runs: Sequence[Mapping[str, Any]], name: str) -> float:
    return statistics.spread([run[name] for run in runs])["median"]


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.0f}"


def _versions(versions: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items())
