"""The comparisons of language models as a table."""

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks import records
from benchmarks.page import memory_cells

_COLUMNS = (
    "what",
    "ours, s",
    "transformers, s: eager, compile",
    "theirs / ours",
    "of processor time",
    "first time, s: ours, theirs",
    "peak MB: ours, theirs",
    "ours / the leaner of theirs",
    "agreement",
)


def table(results: Mapping[str, Any]) -> str:
    """What was measured on one machine, in Markdown; a line of words on search behind it."""
    rows = dict(results["workloads"].get("float32", {}))
    search = rows.pop("search", None)
    lines = [f"Measured on {records.heading(results['about'])}"]
    lines[0] += f", transformers {results['about']['torch']['transformers']}:"
    if rows:
        lines += ["", _line(_COLUMNS), _line(["---"] * len(_COLUMNS))]
        lines += [_line(_cells(found)) for found in rows.values()]
    if search:
        lines += [
            "",
            f"Search: of {search['topics']} topics of Python's documentation, asked for by their "
            f"first sentences among what follows these, MiniLM finds {search['ours']:.3f} at the "
            f"first place, though it reads no more than 256 tokens of each; TF-IDF of all words "
            f"{search['tfidf']:.3f}.",
        ]
    return "\n".join(lines)


def figures(stored: Sequence[Mapping[str, Any]]) -> str:
    """All results, a table a machine; a line of words if there are none."""
    return "\n\n".join(map(table, stored)) or "None yet."


def told(found: Mapping[str, Any]) -> str:
    """One comparison in a line, as soon as it is done."""
    ratios = f"{_ratio(found)}, of processor time {_ratio(found['cpu'])}"
    return f"{ratios}; {_cells(found)[-1]}".replace("*", "")


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cells(found: Mapping[str, Any]) -> list[str]:
    seconds, first = found["seconds"], found["first"]
    of = lambda side: f"{seconds[side]['median']:.3f}" if side in seconds else "–"
    others = [of(side) for side in ("eager", "compile") if side in seconds]
    others += [f"{taken:.3f} ({side})" for side, taken in found["once"].items()]
    others += [_beside(side, told) for side, told in found.get("beside", {}).items()]
    others += [f"{side} failed" for side in found["without"]]
    better = found.get("better")
    return [
        found["title"],
        of("ours"),
        ", ".join(others),
        _ratio(found),
        _ratio(found["cpu"]),
        ", ".join(f"{first[s]:.1f}" for s in ("ours", better) if s in first),
        *memory_cells(found.get("memory"), ("eager", "compile")),
        ", ".join(found["agreement"].values()) + ("" if found["agrees"] else " (too far)"),
    ]


def _beside(side: str, told: Mapping[str, Any]) -> str:
    ratios = [told[of]["ratio"]["median"] for of in ("wall", "cpu")]
    return "{:.3f} ({}, {:.2f} of ours, {:.2f} of processor time)".format(
        told["wall"]["seconds"]["median"], side.replace("_", "-"), *ratios
    )


def _ratio(found: Mapping[str, Any]) -> str:
    if "ratio" not in found:
        return ""
    low, high = found["ratio"]["low"], found["ratio"]["high"]
    return f"**{found['ratio']['median']:.2f}** [{low:.2f}, {high:.2f}]"
