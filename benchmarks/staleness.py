"""What A3C's stale gradients cost on CartPole: mean return over updates, by how old they are.

    python -m benchmarks.staleness [--staleness=0,4,16,64] [--seeds=4] [--environment=cartpole]

Runs experiments/a2c.py as a population of seeds for each staleness, which is evaluated by 100
greedy episodes of every seed each 250 updates. Writes the file of this processor and this jax in
benchmarks/results/staleness/, the chart docs/staleness.svg, and the table in docs/control.md.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import machine, programs, records
from benchmarks.control.settings import TARGET
from benchmarks.page import renew
from benchmarks.workloads import ROOT
from jaxdl.report import draw, draw_members

RESULTS = records.RESULTS / "staleness"
PAGE, CHART = ROOT / "docs" / "control.md", ROOT / "docs" / "staleness.svg"
EVERY = 250
_TINY = ("--config.steps=4", "--config.batch_size=2", "--config.parallel.data=1")

# Of one staleness: "updates" (evaluations,), and "returns" (evaluations, seeds).
Curve = Mapping[str, Sequence[Any]]


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line."""
    options = _options(argv)
    measured = {str(age): measure(age, options) for age in options.staleness}
    if not options.tiny:
        results = {"about": machine.with_jax(), "workloads": {options.environment: measured}}
        records.keep(results, RESULTS)
        write()
    print(table(measured))
    return 0


def measure(staleness: int, options: argparse.Namespace) -> dict[str, Any]:
    """The `Curve` of a staleness, and "seconds", from command to exit."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable, "-m", "jaxdl.launch",
            f"--config=experiments/a2c.py:{options.environment}", f"--workdir={folder}/run",
            f"--config.task.staleness={staleness}", f"--config.population={options.seeds}",
            f"--config.eval.every={2 if options.tiny else EVERY}", "--config.log.report=false",
            *(_TINY if options.tiny else []),
        ]  # fmt: skip
        took = programs.run(command, {"JAX_PLATFORMS": "cpu"})
        return {**curve(Path(folder, "run", "metrics.jsonl")), "seconds": took.seconds}


def curve(metrics: Path) -> dict[str, Any]:
    """The `Curve` of a population's metrics.jsonl."""
    lines = [json.loads(line) for line in metrics.read_text().splitlines()]
    found = [line for line in lines if line["split"] == "eval"]
    return {
        "updates": [line["step"] for line in found],
        "returns": [line["mean_return"] for line in found],
    }


def write() -> None:
    """Makes the page's table and the chart anew from what is stored, of the newest jax."""
    renew(PAGE, "staleness", CHART, RESULTS, figures=figures, picture=chart)


def figures(stored: Sequence[Mapping[str, Any]]) -> str:
    """The page's Markdown: the chart and the table of the last of stored results."""
    if not stored:
        return "Not measured yet."
    (measured,) = stored[-1]["workloads"].values()
    told = "Mean return over updates, by how many updates old the gradients are"
    return f"![{told}]({CHART.name})\n\n{table(measured)}"


def chart(measured: Mapping[str, Curve]) -> draw.Picture:
    """Median return over updates, on bands of half and four fifths of the seeds."""
    lines = {
        f"{age} updates old" if int(age) else "newest (A2C)": (
            np.array(found["updates"]),
            np.array(found["returns"]),
        )
        for age, found in measured.items()
    }
    return draw_members.bands("mean return by the gradient's age", lines, xlabel="update")


def table(measured: Mapping[str, Curve]) -> str:
    """Markdown: from which update on the mean of the seeds stays at TARGET, and where it ends."""
    rows = [
        "| gradients are so many updates old | seeds | mean return stays at "
        f"{TARGET:g} from update | mean return in the end | its lowest seed |",
        "|---|---|---|---|---|",
    ]
    for age, found in measured.items():
        returns = np.array(found["returns"], np.float64)
        since = steady(found["updates"], returns.mean(axis=-1))
        shown = "never" if since is None else f"{since:,}"
        rows.append(
            f"| {age} | {returns.shape[-1]} | {shown} | {returns[-1].mean():.0f} | "
            f"{returns[-1].min():.0f} |"
        )
    return "\n".join(rows)


def steady(updates: Sequence[int], means: np.ndarray) -> int | None:
    """The first of ``updates`` (n,) from which all ``means`` (n,) are TARGET or more, or None."""
    below = np.flatnonzero(~(means >= TARGET))
    first = below[-1] + 1 if below.size else 0
    return updates[first] if first < len(updates) else None


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--staleness", default="0,4,16,64", help="whole numbers with commas")
    parser.add_argument("--seeds", type=int, default=4, help="members of a population")
    parser.add_argument("--environment", default="cartpole", choices=("cartpole", "acrobot"))
    parser.add_argument("--tiny", action="store_true", help="a few updates; nothing is kept")
    options = parser.parse_args(argv)
    try:
        options.staleness = [int(age) for age in options.staleness.split(",")]
    except ValueError:
        parser.error(f"--staleness is whole numbers with commas, not {options.staleness!r}")
    if min(options.staleness) < 0 or options.seeds < 2:
        parser.error("--staleness is at least 0, and --seeds at least 2")
    return options


if __name__ == "__main__":
    sys.exit(main())
