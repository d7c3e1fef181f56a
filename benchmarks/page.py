"""Training steps' results as tables, a chart, and the figures inside docs/speed.md.

python -m benchmarks.page    makes docs/speed.md and docs/speed.png anew from what is stored
"""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import records, sides, workloads
from benchmarks.workloads import ROOT

if TYPE_CHECKING:
    from jaxdl.report.draw import Picture

PAGE = ROOT / "docs" / "speed.md"
CHART = ROOT / "docs" / "speed.png"

_COLUMNS = (
    "workload",
    "ours",
    "torch eager",
    "torch.compile",
    "better of the two / ours",
    "channels_last: eager, compile",
    "best of the four / ours",
    "peak MB: ours, eager, compile",
    "ours / the leaner of the two",
)


def write() -> None:
    """Makes the page and the chart of all stored results."""
    from benchmarks.control import page as control
    from benchmarks.language import page as language

    text, stored = PAGE.read_text(), records.stored(records.TRAINING)
    text = with_figures(text, figures(stored))
    text = with_figures(text, control.figures(records.stored(records.CONTROL)), "control")
    text = with_figures(text, language.figures(records.stored(records.LANGUAGE)), "language")
    PAGE.write_text(text)
    CHART.write_bytes(chart(stored))


def marks(name: str) -> tuple[str, str]:
    """What stands in a page before and after the figures called ``name``."""
    return f"<!-- {name}: begin -->", f"<!-- {name}: end -->"


# Of a page's only figures.
BEGIN, END = marks("figures")


def with_figures(text: str, figures: str, name: str = "figures") -> str:
    """``text`` with what stands between the two marks of ``name`` made anew.

    Raises:
      ValueError: there are none.
    """
    begin, end = marks(name)
    pattern = re.compile(f"{re.escape(begin)}.*{re.escape(end)}", re.S)
    if not pattern.search(text):
        raise ValueError(f"no {begin} … {end} to put the figures in")
    return pattern.sub(lambda _: f"{begin}\n\n{figures}\n\n{end}", text)


def renew(
    page: Path,
    name: str,
    chart: Path,
    results: Path,
    *,
    figures: Callable[[Sequence[Mapping[str, Any]]], str],
    picture: Callable[[Mapping[str, Any]], "Picture"],
) -> None:
    """Makes one comparison's part of a page and its chart anew, from what a folder holds.

    Args:
      page: with marks of ``name``.
      name: see there.
      chart: the file of the picture.
      results: the folder, of `benchmarks.records`; something was measured.
      figures: what stands between the marks, of all that is stored.
      picture: of the workloads of the last of it, which is the newest jax's.
    """
    stored = records.stored(results)
    page.write_text(with_figures(page.read_text(), figures(stored), name))
    (measured,) = stored[-1]["workloads"].values()
    chart.write_bytes(picture(measured).data)


def figures(stored: Sequence[Mapping[str, Any]]) -> str:
    """A part for each of the results: what was measured on what, and the tables."""
    lines = [
        "Milliseconds a step (seconds for whole programs), median; the ratio's quartiles are in "
        "brackets."
    ]
    for results in stored:
        about = results["about"]
        lines += [f"### {records.heading(about)}"]
        lines += [about["note"]] if about.get("note") else []
        lines += [tables(results), _disagreements(results)]
    return "\n\n".join(filter(None, lines))


def tables(results: Mapping[str, Any], of: str = "") -> str:
    """A table a precision: of wall time, or of processor time if ``of="cpu"``."""
    found = results["workloads"]
    parts = [
        f"In {precision}:\n\n{table(found[precision], of)}"
        for precision in ("float32", "bf16")
        if precision in found
    ]
    return "\n\n".join(parts)


def table(found: Mapping[str, Any], of: str = "") -> str:
    """A Markdown table, one row a workload, of {name: figures}."""
    columns = _COLUMNS[:-2] if of or not any("memory" in x for x in found.values()) else _COLUMNS
    rows = [f"| {' | '.join(columns)} |", "|" + "---|" * len(columns)]
    for name, row in _ordered(found):
        title, memory = row["title"], row.get("memory")
        if of:
            row = row.get(of)
            if row is None:
                continue
        whole = name in workloads.PROCESSES
        times = {side: _time(row["seconds"].get(side), whole) for side in sides.SIDES}
        cells = [title, *(times[side] for side in ("ours", *sides.PLAIN)), _ratio(row)]
        if "tuned" in row:
            last = ", ".join(times[side] for side in sides.CHANNELS_LAST)
            cells += [last, _ratio(row["tuned"])]
        else:
            cells += ["", ""]
        cells += memory_cells(memory) if columns is _COLUMNS else []
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def _ordered(found: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    names = [w.name for w in workloads.CPU] + list(workloads.PROCESSES)
    return [(name, found[name]) for name in names if name in found]


def _ratio(found: Mapping[str, Any]) -> str:
    if "ratio" not in found:
        return "–"
    ratio = found["ratio"]
    return f"**{ratio['median']:.2f}** [{ratio['low']:.2f}, {ratio['high']:.2f}]"


def _time(spread: Mapping[str, float] | None, whole: bool) -> str:
    if spread is None:
        return "–"
    if whole:
        return f"{spread['median']:.2f} s"
    return f"{1e3 * spread['median']:.3g}"


def memory_cells(
    memory: Mapping[str, float | None] | None, others: Sequence[str] = sides.PLAIN
) -> list[str]:
    """Megabytes of ours and of ``others``, and ours by the least of theirs; of {side: bytes}."""
    bytes_of = {side: (memory or {}).get(side) for side in ("ours", *others)}
    if not any(bytes_of.values()):
        return ["", ""]
    shown = ", ".join(f"{size / 1e6:,.0f}" if size else "–" for size in bytes_of.values())
    theirs = [bytes_of[side] for side in others if bytes_of[side]]
    if not (bytes_of["ours"] and theirs):
        return [shown, "–"]
    return [shown, f"**{bytes_of['ours'] / min(theirs):.2f}**"]


def _disagreements(results: Mapping[str, Any]) -> str:
    """A sentence on how well the losses of the same updates agreed."""
    first, later = {}, []
    for precision, found in results["workloads"].items():
        both = [row["losses"].values() for row in found.values() if len(row.get("losses", {})) == 2]
        apart = [[abs(a / b - 1) for a, b in zip(*losses, strict=True)] for losses in both]
        if apart:
            first[precision] = max(each[0] for each in apart)
            later += [f"{max(max(each) for each in apart):.0e} in {precision}"]
    if not first:
        return ""
    words = " and ".join(f"{most:.0e} in {precision}" for precision, most in first.items())
    return (
        "From the same weights the two libraries' losses differ, relative to themselves, by at "
        f"most {words} in the first update, and {' and '.join(later)} in the first three."
    )


def chart(stored: Sequence[Mapping[str, Any]]) -> bytes:
    """A PNG of the ratios with their quartiles: a row a workload, in it a mark for each results."""
    from jaxdl.report import draw

    series = [
        (f"{records.short(results['about'])}, {precision}", precision, color, found)
        for results, color in zip(stored, draw.COLORS * 9, strict=False)
        for precision, found in results["workloads"].items()
    ]
    present = {name: None for _, _, _, found in series for name, row in _ordered(found)
               if "ratio" in row}  # fmt: skip
    names = [name for name in [w.name for w in workloads.CPU] + list(workloads.PROCESSES)
             if name in present]  # fmt: skip

    def paint(axes: Any) -> None:
        axes.axvline(1, color=draw.INK, linewidth=1)
        for i, (label, precision, color, found) in enumerate(series):
            shown = [(y, found[name]["ratio"]) for y, name in enumerate(names)
                     if "ratio" in found.get(name, {})]  # fmt: skip
            shift = 0.6 * ((i + 0.5) / len(series) - 0.5)
            middle = [ratio["median"] for _, ratio in shown]
            error = [
                [ratio["median"] - ratio["low"] for _, ratio in shown],
                [ratio["high"] - ratio["median"] for _, ratio in shown],
            ]
            axes.errorbar(middle, [y + shift for y, _ in shown], xerr=error, label=label,
                          color=color, linestyle="none", linewidth=1, markersize=5,
                          marker="o" if precision == "float32" else "s",
                          markerfacecolor=color if precision == "float32" else "white")  # fmt: skip
        axes.set_yticks(range(len(names)), names)
        axes.set_ylim(len(names) - 0.5, -0.5)
        # 2 and 1/2 are as far from 1 as each other; a side may be a dozen times slower.
        reach = [row["ratio"][end] for _, _, _, found in series for _, row in _ordered(found)
                 if "ratio" in row for end in ("low", "high")]  # fmt: skip
        ticks = [2.0**i for i in range(-5, 8)]
        axes.set_xscale("log")
        axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        axes.minorticks_off()
        axes.set_xlim(0.9 * min([0.5, *reach]), 1.1 * max([2.0, *reach]))
        axes.grid(axis="y", visible=False)
        axes.set_xlabel("how many times faster than the better of torch's eager and compile")
        axes.set_title("A training step, jaxdl against PyTorch", loc="left")
        axes.figure.legend(loc="outside lower left", fontsize=7)

    height = 1.2 + (0.25 + 0.07 * len(series)) * len(names) + 0.15 * len(series)
    return draw.figure(7.0, height, paint, kind="png").data


if __name__ == "__main__":
    write()
