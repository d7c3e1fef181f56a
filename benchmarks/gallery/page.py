"""The entries of docs/gallery.md, of what is kept of the runs; the rest of it is by hand."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks import records
from benchmarks.gallery import runs
from benchmarks.gallery.systems import SYSTEMS, System, every
from benchmarks.page import with_figures
from benchmarks.workloads import ROOT
from jaxdl.launch import listing

PAGE = ROOT / "docs" / "gallery.md"
PICTURES = ROOT / "docs" / "gallery"
RESULTS = records.RESULTS / "gallery"


def write() -> None:
    """Makes the entries anew; trains nothing."""
    lines = "\n".join(entries(stored())).strip()
    PAGE.write_text(with_figures(PAGE.read_text(), lines))


def keep(one: System, folder: Path) -> None:
    """Stores what the page needs of a run that ended well: figures and a picture.

    Args:
      one: which system.
      folder: that of all runs.
    """
    from benchmarks.gallery import pictures

    picture = pictures.of_run(runs.folder_of(one.experiment, folder), one.chart, one.shows)
    for where in (PICTURES, RESULTS):
        where.mkdir(parents=True, exist_ok=True)
    picture_of(one).write_bytes(picture)
    text = json.dumps(runs.told(one, folder), indent=1, ensure_ascii=False)
    result_of(one).write_text(f"{text}\n")


def picture_of(one: System) -> Path:
    """Where a system's picture is."""
    return runs.folder_of(one.experiment, PICTURES).with_suffix(".svg")


def result_of(one: System) -> Path:
    """Where a system's figures are."""
    return runs.folder_of(one.experiment, RESULTS).with_suffix(".json")


def stored() -> dict[str, dict[str, Any]]:
    """{experiment: what `runs.told` told}, of the systems that have run."""
    return {
        name: json.loads(result_of(one).read_text())
        for name, one in every().items()
        if result_of(one).exists() and picture_of(one).exists()
    }


def anchor(heading: str) -> str:
    """What GitHub and MkDocs call a heading in links."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def entries(found: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """The page's lines for what is `stored`."""
    for family, systems in SYSTEMS.items():
        yield from (f"## {family}", "")
        for one in systems:
            yield from entry(one, found.get(one.experiment))


def entry(one: System, result: Mapping[str, Any] | None) -> Iterator[str]:
    """One system's lines; ``result`` is None if it was not run."""
    name = one.experiment.partition(":")[0]
    yield from (f"### {one.name}", "", one.does, "")
    if result is None:
        said = listing.entry(ROOT / "experiments" / f"{name}.py").facts.get("Result", "nothing.")
        yield "Not run for this page yet, so no picture and no figure of its own:"
        yield f"`python -m benchmarks.gallery --only={one.experiment}` makes both."
        yield f"The experiment's file reports: {said}"
    else:
        yield f"![{one.name}: its curve, and what it does](gallery/{picture_of(one).name})"
        yield ""
        yield f"**{number(result['final'][one.figure])}** {one.unit} · {told(result)}"
    file, paper = one.file, one.paper
    yield from (
        "",
        f"{paper} · [{file}](../{file}) · [experiments/{name}.py](../experiments/{name}.py)",
    )
    yield from ("", "```bash")
    if one.first:
        yield runs.command(one.before, "runs")
    yield runs.command(one, "runs")
    yield from ("```", "")


def told(result: Mapping[str, Any]) -> str:
    """How long a run took, and on what."""
    return (
        f"{result['processor_seconds']:,.0f} s of processor time, seed {result['seed']} "
        f"({records.short(result['about'])})"
    )


def number(value: float) -> str:
    """As the project writes figures: .997, 1.000, 69.9, 500."""
    if abs(value) < 0.0005 and value:
        return f"{value:.1g}"
    if abs(value) <= 1:
        return re.sub(r"^(-?)0\.", r"\1.", f"{value:.3f}")
    return f"{value:.4g}"
