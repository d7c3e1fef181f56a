"""Results as a file, a table, a chart, and the figures inside docs/speed.md."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks import sides, workloads
from benchmarks.workloads import ROOT

PAGE = ROOT / "docs" / "speed.md"
CHART = ROOT / "docs" / "speed.png"
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"


def merged(file: Path, results: Mapping[str, Any]) -> dict[str, Any]:
    """``results`` with the workloads of ``file`` that they do not hold.

    Only if both are of the same machine, versions and threads; else the old ones are dropped.
    """
    old = json.loads(file.read_text()) if file.exists() else {"about": None}
    if old["about"] != results["about"]:
        return dict(results)
    return {**results, "workloads": {**old["workloads"], **results["workloads"]}}


def write(results: Mapping[str, Any], file: Path) -> None:
    """Writes the results' JSON, and the page and chart that are made of it."""
    file.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    PAGE.write_text(with_figures(PAGE.read_text(), results))
    CHART.write_bytes(chart(results))


def with_figures(text: str, results: Mapping[str, Any]) -> str:
    """``text`` with what stands between the two marks made anew."""
    pattern = re.compile(f"{re.escape(BEGIN)}.*{re.escape(END)}", re.S)
    if not pattern.search(text):
        raise ValueError(f"no {BEGIN} … {END} to put the figures in")
    return pattern.sub(lambda _: f"{BEGIN}\n\n{figures(results)}\n\n{END}", text)


def figures(results: Mapping[str, Any]) -> str:
    """What was measured on what, and the table."""
    about = results["about"]
    torch, ours = about["torch"], about["jax"]
    lines = [f"{about['processor']}, {about['cores']} cores used; jax {(ours or {}).get('jax')}"]
    if torch:
        lines[0] += f", torch {torch['torch']} with {torch['threads']} threads"
    lines[0] += ". Milliseconds a step (seconds for whole programs), median; the ratio's quartiles "
    lines[0] += "are in brackets."
    return "\n\n".join([*lines, table(results), _disagreements(results)]).strip()


def table(results: Mapping[str, Any], of: str = "") -> str:
    """A Markdown table, one row a workload: of wall time, or of processor time if ``of="cpu"``."""
    rows = ["| workload | ours | torch eager | torch.compile | better of the two / ours "]
    rows[0] += "| channels_last: eager, compile | best of the four / ours |"
    rows += ["|---|---|---|---|---|---|---|"]
    for name, found in _ordered(results):
        title = found["title"]
        if of:
            found = found.get(of)
            if found is None:
                continue
        seconds = found["seconds"]
        whole = name in workloads.PROCESSES
        times = {side: _time(seconds.get(side), whole) for side in sides.SIDES}
        cells = [times[side] for side in ("ours", *sides.PLAIN)] + [_ratio(found)]
        if "tuned" in found:
            last = ", ".join(times[side] for side in sides.CHANNELS_LAST)
            cells += [last, _ratio(found["tuned"])]
        else:
            cells += ["", ""]
        rows.append(f"| {title} | {' | '.join(cells)} |")
    return "\n".join(rows)


def _ordered(results: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    names = [w.name for w in workloads.CPU] + list(workloads.PROCESSES)
    found = results["workloads"]
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


def _disagreements(results: Mapping[str, Any]) -> str:
    """A sentence on how well the losses of the same updates agreed."""
    apart = [
        abs(a / b - 1)
        for _, found in _ordered(results)
        if len(found.get("losses", {})) == 2
        for a, b in zip(*found["losses"].values(), strict=True)
    ]
    if not apart:
        return ""
    return (
        "From the same weights the losses of the first three updates differ by at most "
        f"{max(apart):.0e} of themselves between the two libraries."
    )


def chart(results: Mapping[str, Any]) -> bytes:
    """A PNG of the ratios, with their quartiles."""
    from jaxdl.report import draw

    rows = [(name, found["ratio"]) for name, found in _ordered(results) if "ratio" in found]
    names = [name for name, _ in rows]
    middle = [ratio["median"] for _, ratio in rows]
    error = [
        [ratio["median"] - ratio["low"] for _, ratio in rows],
        [ratio["high"] - ratio["median"] for _, ratio in rows],
    ]

    def paint(axes: Any) -> None:
        colors = [draw.COLORS[0] if m >= 1 else draw.COLORS[1] for m in middle]
        axes.barh(names, middle, xerr=error, color=colors, ecolor=draw.INK, height=0.6)
        axes.axvline(1, color=draw.INK, linewidth=1)
        for i, m in enumerate(middle):
            axes.annotate(f"{m:.2f}", (0, i), xytext=(4, -3), textcoords="offset points",
                          color="white", fontsize=8)  # fmt: skip
        axes.invert_yaxis()
        axes.grid(axis="y", visible=False)
        axes.set_xlabel("how many times faster than the better of torch's eager and compile")
        axes.set_title("A training step, jaxdl against PyTorch", loc="left")

    return draw.figure(7.0, 0.9 + 0.34 * len(rows), paint, kind="png").data
