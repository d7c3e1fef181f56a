"""report.html: one self-contained page that shows what a run did."""

import html
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from etils import epath

from jaxdl.report import draw, page, population, samples
from jaxdl.runs import logs

# The groups of norms that a run logs of its layers.
_FLOW = ("gradient_norm", "update_norm")

# Figures that have no curve: scores of one checkpoint, and what is drawn as gradient flow.
_ELSEWHERE = ("evaluate/", *(f"layers/{group}/" for group in _FLOW))


def write(
    workdir: epath.Path,
    title: str,
    artifacts: Mapping[str, draw.Picture | str],
    parameters: Mapping[str, Any],
) -> epath.Path:
    """Writes ``workdir/report.html`` from the run's own files.

    Args:
      workdir: has config.json, metrics.jsonl and summary.json.
      title: of the page.
      artifacts: the task's pictures and texts, by heading.
      parameters: {name: array}, for the table; its order is that of the layers everywhere.

    Returns:
      The page's path.
    """
    summary = json.loads((workdir / "summary.json").read_text())
    config = json.loads((workdir / "config.json").read_text())
    lines, members = logs.read(workdir), summary.get("members")
    charts = _charts(lines, len(members) if members else None)
    if members:
        cards = population.cards(summary, config)
        sections = population.sections(summary, config, charts)
    else:
        cards = _cards(summary)
        drawn = draw.Charts()
        curves = [drawn.draw(chart.title, chart.lines, log=chart.log) for chart in charts]
        sections = [page.section("Curves", *map(page.image, curves))]
    sampled = samples.over_time(workdir)
    settings = page.table(("key", "value"), [(k, repr(v)) for k, v in config.items()])
    parts = [
        page.title(title, _subtitle(summary, config)),
        page.cards([*cards, *_pace(summary)]),
        *sections,
        *[page.section(f"{n} over the run", *_steps(items)) for n, items in sampled.items()],
        *[page.section(name, page.show(item)) for name, item in artifacts.items()],
        _gradient_flow([line for line in lines if line["split"] == "layers"], list(parameters)),
        page.section("Parameters", _parameter_table(parameters)),
        page.section("Settings", settings),
    ]
    file = workdir / "report.html"
    file.write_text(page.document(title, parts))
    return file


def _subtitle(summary: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    members = summary.get("members")
    seeds = population.seeds(members) if members else f"seed {config['seed']}"
    return (
        f"{config['model.name'] or config['task.name']} on {_data(config)}, {seeds} · "
        f"{summary['platform']} × {summary['devices']}, {summary['precision']}, "
        f"jax {summary['jax']}"
    )


def _data(config: Mapping[str, Any]) -> str:
    """The data set, or the environment of those that make their own data."""
    return config.get("task.env", config["data.name"])


def _cards(summary: Mapping[str, Any]) -> list[tuple[str, Any]]:
    best = summary["best"].get("step")
    return [
        *((name, value) for name, value in summary["final"].items() if isinstance(value, float)),
        ("steps", summary["steps"]),
        ("best at step", best if best is not None else "–"),
        ("parameters", summary["parameters"]),
    ]


def _pace(summary: Mapping[str, Any]) -> list[tuple[str, Any]]:
    rate = summary["examples_per_second"]  # None of a run that had ended
    return [
        ("examples/s", round(rate) if rate else "–"),
        ("seconds", round(summary.get("seconds", summary["train_seconds"]), 1)),
    ]


def _steps(items: Mapping[int, draw.Picture | str]) -> list[str]:
    """One after the other, each with the step that it is of."""
    labelled = lambda step, item: (
        item._replace(caption=f"step {step}")
        if isinstance(item, draw.Picture)
        else f"step {step}\n{item}"
    )
    return [page.show(labelled(step, item)) for step, item in items.items()]


def _charts(lines: Sequence[Mapping[str, Any]], members: int | None) -> list[draw.Chart]:
    """One for each figure that was logged, training and evaluation together.

    Those of other splits of training have their split's name in front; the norms of layers have a
    section of their own.

    Args:
      lines: of metrics.jsonl.
      members: of a population, whose figures are lists of as many numbers; None for one run.
    """
    series: dict[str, dict[str, tuple[list, list]]] = {}
    for line in lines:
        for name, value in logs.flat(line).items():
            if line["split"] not in ("train", "eval"):
                name = f"{line['split']}/{name}"
            if name.startswith(_ELSEWHERE) or not _is_figure(value, members):
                continue
            x, y = series.setdefault(name, {}).setdefault(line["split"], ([], []))
            x.append(line["step"])
            y.append(value)
    charts = []
    for name, found in series.items():
        # None becomes NaN.
        arrays = {k: (np.array(x), np.array(y, np.float64)) for k, (x, y) in found.items()}
        there = np.concatenate([y[~np.isnan(y)] for _, y in arrays.values()])
        positive = there.size > 0 and bool((there > 0).all())
        log = name in ("loss", "gradient_norm", "update_norm") and positive
        charts.append(draw.Chart(name, arrays, log))
    return charts


def _is_figure(value: Any, members: int | None) -> bool:
    is_number = lambda x: isinstance(x, int | float | None)
    if members is None:
        return is_number(value)
    return isinstance(value, list) and len(value) == members and all(map(is_number, value))


def _gradient_flow(lines: Sequence[Mapping[str, Any]], parameters: Sequence[str]) -> str:
    """Norms of every layer over time: fading towards the input they vanish, glowing explode."""
    parts = []
    for group in _FLOW:
        there = [line for line in lines if group in line]
        if not there:
            continue
        steps = [line["step"] for line in there]
        layers = sorted(there[0][group], key=lambda name: _place(name, parameters))
        norms = np.array([[_or_nan(line[group].get(layer)) for line in there] for layer in layers])
        with np.errstate(divide="ignore"):
            values = np.log10(norms)
        values[~np.isfinite(values)] = np.nan
        title = f"{group.replace('_', ' ')} a layer"
        picture = draw.heatmap(title, values, layers, steps, unit="log10 of the norm")
        parts.append(page.image(picture))
        parts.append(
            f"<p>{html.escape(_flow_verdict(layers, norms))}</p>" if group[0] == "g" else ""
        )
    return page.section("Gradient flow", *parts) if parts else ""


def _place(layer: str, parameters: Sequence[str]) -> int:
    """The index of a layer's first parameter."""
    of_layer = (
        i for i, name in enumerate(parameters) if name == layer or name.startswith(f"{layer}/")
    )
    return next(of_layer, len(parameters))


def _or_nan(value: float | None) -> float:
    return np.nan if value is None else value


def _flow_verdict(layers: Sequence[str], norms: np.ndarray) -> str:
    """What the numbers say in words: the layers with the smallest and the largest mean gradient."""
    mean = np.nanmean(norms, axis=1)
    low, high = int(np.nanargmin(mean)), int(np.nanargmax(mean))
    ratio = mean[high] / max(mean[low], 1e-30)
    return (
        f"Mean gradient norm over the run: from {mean[low]:.2g} ({layers[low]}) to "
        f"{mean[high]:.2g} ({layers[high]}), a ratio of {ratio:.0f}."
    )


def _parameter_table(parameters: Mapping[str, Any]) -> str:
    total = sum(array.size for array in parameters.values())
    rows = [
        (
            name,
            "×".join(map(str, a.shape)) or "scalar",
            a.dtype,
            f"{a.size:,}",
            f"{a.size / total:.1%}",
        )
        for name, a in parameters.items()
    ]
    rows.append(("all", "", "", f"{total:,}", "100.0%"))
    table = page.table(("name", "shape", "dtype", "parameters", "share"), rows, numeric=(3, 4))
    return page.folded(f"{total:,} in {len(parameters)} arrays", table, open=True)
