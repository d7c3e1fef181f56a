"""How a pass over a graph's known nodes grows with its edges: what is kept, a table and a chart.

`benchmarks.graphs growth --keep` writes the file of this processor and this jax in
benchmarks/results/graphs/, the chart docs/graphs.svg, and the table in docs/speed.md.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks import machine, records
from benchmarks.page import renew
from benchmarks.workloads import ROOT

RESULTS = records.RESULTS / "graphs"
PAGE, CHART = ROOT / "docs" / "speed.md", ROOT / "docs" / "graphs.svg"
NAME = "graphs"

# Of one number of edges: "pass", "command" and "processor" (seconds), and "memory" (bytes).
Found = Mapping[str, float]


def keep(found: Mapping[int, Found]) -> None:
    """Writes what was measured, {edges: figures}, and the page's table and chart of it."""
    own = {str(edges): dict(figures) for edges, figures in found.items()}
    records.keep({"about": machine.with_jax(), "workloads": {"float32": own}}, RESULTS)
    picture = lambda own: chart(_by_edges(own))
    renew(PAGE, NAME, CHART, RESULTS, figures=figures, picture=picture)


def figures(stored: Sequence[Mapping[str, Any]]) -> str:
    """The page's Markdown: the chart and the table of the last of stored results."""
    if not stored:
        return "Not measured yet."
    told = "Seconds of a pass and memory over the edges of a graph, both logarithmic"
    heading = records.heading(stored[-1]["about"])
    (measured,) = stored[-1]["workloads"].values()
    return f"![{told}]({CHART.name})\n\n{heading}:\n\n{table(_by_edges(measured))}"


def chart(found: Mapping[int, Found]) -> Any:
    """A picture of seconds and memory over edges, both logarithmic."""
    from jaxdl.report import draw  # not where PyTorch Geometric's side imports this

    powers = np.log10(list(found))
    column = lambda name, unit: np.array([one[name] / unit for one in found.values()])
    lines = {
        "a pass, s": (powers, column("pass", 1)),
        "command, s of processor time": (powers, column("processor", 1)),
        "memory, GB": (powers, column("memory", 1e9)),
    }
    title = "GraphSAGE on drawn neighbours"
    return draw.curves(title, lines, xlabel="edges, power of ten", log=True)


def table(found: Mapping[int, Found]) -> str:
    """Markdown: a row a number of edges, and the slopes."""
    rows = [
        "| edges | a pass over a tenth of the nodes, s | command to exit, s of processor time | "
        "memory at most, GB |",
        "|---|---|---|---|",
    ]
    for edges, one in found.items():
        rows.append(
            f"| {edges:,} | {one['pass']:.2f} | {one['processor']:.0f} | "
            f"{one['memory'] / 1e9:.2f} |"
        )
    slopes = [f"{slope(found, name):.2f}" for name in ("pass", "processor", "memory")]
    return "\n".join([*rows, f"| grows with the edges to the power of | {' | '.join(slopes)} |"])


def slope(found: Mapping[int, Found], name: str) -> float:
    """Of the logarithm of what was measured over that of the edges, by least squares."""
    values = [one[name] for one in found.values()]
    return float(np.polyfit(np.log(list(found)), np.log(values), 1)[0])


def _by_edges(measured: Mapping[str, Found]) -> dict[int, Found]:
    return dict(sorted((int(edges), found) for edges, found in measured.items()))
