"""report.html: one self-contained page that shows what a run did."""

import base64
import html
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from etils import epath

from jaxdl import draw, logs, samples

_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;color:#1f2933;max-width:1080px;margin:2rem auto;
padding:0 1rem}
h1{margin:0 0 .2rem;font-size:1.7rem} h2{margin:2.4rem 0 .6rem;font-size:1.2rem}
.sub{color:#64707d;margin:0 0 1.2rem} pre{background:#f1f4f7;padding:.6em 1em;border-radius:6px}
.cards{display:flex;flex-wrap:wrap;gap:.8rem} .card{border:1px solid #d9dee4;border-radius:8px;
padding:.6rem 1rem;min-width:6rem} .card b{display:block;font-size:1.35rem}
.card span{color:#64707d}
.row{display:flex;flex-wrap:wrap;gap:1rem;align-items:flex-start} figure{margin:0;max-width:100%}
figure img{max-width:100%;height:auto} figcaption{color:#64707d;font-size:.87rem}
table{border-collapse:collapse;font-size:.87rem} td,th{padding:.15rem .8rem .15rem 0;
text-align:left;border-bottom:1px solid #eef1f4}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}
details{margin:.4rem 0} summary{cursor:pointer;font-weight:600}
"""


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
    lines = logs.read(workdir)
    body = [
        f"<h1>{html.escape(title)}</h1>",
        f"<p class=sub>{html.escape(_subtitle(summary, config))}</p>",
        _cards(summary),
        _section("Curves", *[_image(p) for p in _curves(lines)]),
        *[_section(f"{n} over the run", *_steps(i)) for n, i in samples.over_time(workdir).items()],
        *[_section(name, _show(item)) for name, item in artifacts.items()],
        _gradient_flow([line for line in lines if line["split"] == "layers"], list(parameters)),
        _section("Parameters", _parameter_table(parameters)),
        _section("Settings", _table(("key", "value"), [(k, repr(v)) for k, v in config.items()])),
    ]
    page = workdir / "report.html"
    page.write_text(
        "<!doctype html><html lang=en><meta charset=utf-8>"
        "<meta name=viewport content='width=device-width,initial-scale=1'>"
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style>{''.join(body)}</html>\n"
    )
    return page


def _subtitle(summary: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    return (
        f"{config['model.name'] or config['task.name']} on {_data(config)}, seed "
        f"{config['seed']} · "
        f"{summary['platform']} × {summary['devices']}, {summary['precision']}, "
        f"jax {summary['jax']}"
    )


def _data(config: Mapping[str, Any]) -> str:
    """The data set, or the environment of those that make their own data."""
    return config.get("task.env", config["data.name"])


def _number(value: Any) -> str:
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.4g}" if isinstance(value, float) else html.escape(str(value))


def _cards(summary: Mapping[str, Any]) -> str:
    cards = [(name, value) for name, value in summary["final"].items() if isinstance(value, float)]
    best = summary["best"].get("step")
    cards += [
        ("steps", summary["steps"]),
        ("best at step", best if best is not None else "–"),
        ("parameters", summary["parameters"]),
        ("examples/s", round(summary["examples_per_second"] or 0)),
        ("seconds", round(summary.get("seconds", summary["train_seconds"]), 1)),
    ]
    shown = "".join(f"<div class=card><b>{_number(v)}</b><span>{n}</span></div>" for n, v in cards)
    return f"<div class=cards>{shown}</div>"


def _section(heading: str, *parts: str) -> str:
    return f"<h2>{html.escape(heading)}</h2><div class=row>{''.join(parts)}</div>"


def _image(picture: draw.Picture) -> str:
    data = base64.b64encode(picture.data).decode()
    caption = f"<figcaption>{html.escape(picture.caption)}</figcaption>" if picture.caption else ""
    return f"<figure><img alt='' src='data:image/{picture.kind};base64,{data}'>{caption}</figure>"


def _steps(items: Mapping[int, draw.Picture | str]) -> list[str]:
    """One after the other, each with the step that it is of."""
    labelled = lambda step, item: (
        item._replace(caption=f"step {step}")
        if isinstance(item, draw.Picture)
        else f"step {step}\n{item}"
    )
    return [_show(labelled(step, item)) for step, item in items.items()]


def _show(item: draw.Picture | str) -> str:
    return _image(item) if isinstance(item, draw.Picture) else f"<pre>{html.escape(item)}</pre>"


def _table(head: Sequence[str], rows: Sequence[Sequence[Any]], numeric: Sequence[int] = ()) -> str:
    def cells(tag: str, values: Sequence[Any]) -> str:
        classes = (" class=n" if i in numeric else "" for i in range(len(values)))
        return "".join(
            f"<{tag}{c}>{html.escape(str(v))}</{tag}>" for c, v in zip(classes, values, strict=True)
        )

    body = "".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    return f"<table><tr>{cells('th', head)}</tr>{body}</table>"


def _curves(lines: Sequence[Mapping[str, Any]]) -> list[draw.Picture]:
    """One picture for each figure that was logged, training and evaluation together."""
    series: dict[str, dict[str, tuple[list, list]]] = {}
    for line in lines:
        if line["split"] not in ("train", "eval"):
            continue
        for name, value in line.items():
            if name in ("step", "split") or not isinstance(value, int | float | None):
                continue
            x, y = series.setdefault(name, {}).setdefault(line["split"], ([], []))
            x.append(line["step"])
            y.append(np.nan if value is None else value)
    log = {"loss", "gradient_norm", "update_norm"}
    return [
        draw.curves(name.replace("_", " "), lines_of, log=name in log and _positive(lines_of))
        for name, lines_of in series.items()
    ]


def _positive(lines_of: Mapping[str, tuple[list, list]]) -> bool:
    return all(min(y, default=1) > 0 for _, y in lines_of.values())


def _gradient_flow(lines: Sequence[Mapping[str, Any]], parameters: Sequence[str]) -> str:
    """Norms of every layer over time: fading towards the input they vanish, glowing explode."""
    if not lines:
        return ""
    steps = [line["step"] for line in lines]
    parts = []
    for group in ("gradient_norm", "update_norm"):
        layers = sorted(lines[0][group], key=lambda name: _place(name, parameters))
        norms = np.array([[_or_nan(line[group].get(layer)) for line in lines] for layer in layers])
        with np.errstate(divide="ignore"):
            values = np.log10(norms)
        values[~np.isfinite(values)] = np.nan
        title = f"{group.replace('_', ' ')} a layer"
        parts.append(_image(draw.heatmap(title, values, layers, steps, unit="log10 of the norm")))
        parts.append(
            f"<p>{html.escape(_flow_verdict(layers, norms))}</p>" if group[0] == "g" else ""
        )
    return _section("Gradient flow", *parts)


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
    table = _table(("name", "shape", "dtype", "parameters", "share"), rows, numeric=(3, 4))
    return (
        f"<details open><summary>{total:,} in {len(parameters)} arrays</summary>{table}</details>"
    )
