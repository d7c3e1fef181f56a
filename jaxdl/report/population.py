"""What the report of a population shows: its members beside one another."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxdl import metrics
from jaxdl.report import draw, draw_members, page

FAILED = "not finite"


class Group(NamedTuple):
    """The members that share their settings, and differ in the seed.

    Attributes:
      settings: {key: value}.
      members: their places among all.
    """

    settings: Mapping[str, Any]
    members: np.ndarray


def cards(
    summary: Mapping[str, Any], config: Mapping[str, Any]
) -> list[tuple[str, str | int | float]]:
    """(name, value) of what a population came to.

    Args:
      summary: summary.json, with "members".
      config: config.json.
    """
    members, best = summary["members"], summary["best"] or {}
    metric = config["eval.best"]
    low, median, high = draw_members.quantiles(finals(members, metric), (0.0, 0.5, 1.0))
    ended = [member["ended"] for member in members]
    counts = [("stopped early", ended.count("early")), ("not finite", ended.count(FAILED))]
    return [
        (f"best {metric}, member {best.get('member', '–')}", _shown(best.get(metric))),
        (f"median final {metric}", _shown(median)),
        (f"range of final {metric}", f"{_shown(low)} – {_shown(high)}"),
        ("members", len(members)),
        *((name, count) for name, count in counts if count),
        ("steps", summary["steps"]),
    ]


def sections(
    summary: Mapping[str, Any], config: Mapping[str, Any], charts: Sequence[draw.Chart]
) -> list[str]:
    """The page's sections, as HTML, down to those of the best member.

    Args:
      summary: summary.json, with "members".
      config: config.json.
      charts: the figures of metrics.jsonl, each of shape (points, members).
    """
    members = summary["members"]
    metric, found = config["eval.best"], groups(members)
    directions = summary.get("directions", {})
    log = any(chart.log for chart in charts if chart.name == metric)
    curves = [page.image(_curves(chart, found)) for chart in charts]
    return [
        page.note(_best(summary["best"] or {})),
        page.section("Curves", *curves, _about_ended(members)),
        *_over_settings(members, found, metric, log),
        page.section("Over the seeds", _seed_table(members, found, metric, directions))
        if len(members) > len(found)
        else "",
        page.section("Members", _member_table(members, metric, directions)),
    ]


def seeds(members: Sequence[Mapping[str, Any]]) -> str:
    """How many settings and seeds there are: "8 settings × 4 seeds from 0"."""
    numbers = sorted({member["seed"] for member in members})
    many = len(groups(members))
    settings = f"{many} settings × " if many > 1 else ""
    return settings + (
        f"{len(numbers)} seeds from {numbers[0]}" if len(numbers) > 1 else f"seed {numbers[0]}"
    )


# The numbers that the pictures and tables show


def names(members: Sequence[Mapping[str, Any]]) -> list[str]:
    """The figures that are one number a member."""
    return list(
        dict.fromkeys(
            name
            for member in members
            for name, value in (member["final"] or {}).items()
            if name != "step" and isinstance(value, int | float)
        )
    )


def finals(members: Sequence[Mapping[str, Any]], metric: str) -> np.ndarray:
    """The figure of each member's last evaluation, (members,) float64; NaN where it has none."""
    return np.array([_number(member["final"], metric) for member in members])


def ranked(
    members: Sequence[Mapping[str, Any]], metric: str, directions: Mapping[str, str] | None = None
) -> list[int]:
    """Places of the members, best final figure first; equals in order, those without one last.

    Args:
      members: of summary.json.
      metric: whose figures count; where nobody says which way it is good, the order stays.
      directions: of the task's metrics, beside `jaxdl.metrics.DIRECTIONS`.
    """
    values, way = finals(members, metric), metrics.direction(metric, directions)
    if way is None:
        return list(range(len(members)))
    return sorted(range(len(members)), key=lambda i: -metrics.rank(values[i], way))


def groups(members: Sequence[Mapping[str, Any]]) -> list[Group]:
    """The members by their settings, in the order in which these first occur."""
    found: dict[str, list[int]] = {}
    for i, member in enumerate(members):
        found.setdefault(repr(member["settings"]), []).append(i)
    return [Group(members[places[0]]["settings"], np.array(places)) for places in found.values()]


def medians(values: np.ndarray, found: Sequence[Group]) -> np.ndarray:
    """The median over the members of each group: (…, members) to (…, groups)."""
    over = [draw_members.quantiles(values[..., group.members], (0.5,))[0] for group in found]
    return np.stack(over, axis=-1)


def crossed(values: np.ndarray, found: Sequence[Group]) -> tuple[list[Any], list[Any], np.ndarray]:
    """What the groups of two sweeps came to, as a table.

    Args:
      values: (groups,).
      found: groups that differ in two settings.

    Returns:
      The values of the first setting, those of the second, and the table (second, first); NaN where
      no group has both.
    """
    pairs = [tuple(group.settings.values()) for group in found]
    first, second = (list(dict.fromkeys(column)) for column in zip(*pairs, strict=True))
    table = np.full((len(second), len(first)), np.nan)
    for (x, y), value in zip(pairs, values, strict=True):
        table[second.index(y), first.index(x)] = value
    return first, second, table


def is_geometric(values: Sequence[Any]) -> bool:
    """Whether numbers are spread rather by ratios than by differences, as a sweep by :log is."""
    numbers = np.unique(np.array(values, np.float64))
    if len(numbers) < 2 or numbers[0] <= 0:
        return False
    ratios, differences = np.diff(np.log(numbers)), np.diff(numbers)
    if len(numbers) == 2:
        return bool(numbers[1] >= 10 * numbers[0])
    unevenness = lambda steps: steps.std() / steps.mean()
    return bool(unevenness(ratios) < unevenness(differences))


# Sections


def _best(best: Mapping[str, Any]) -> str:
    if "member" not in best:
        return "No member is the best: none has a figure to compare."
    settings = "".join(f", {key} {_label(value)}" for key, value in best["settings"].items())
    return (
        f"The best is member {best['member']}, at step {best['step']:,}: seed {best['seed']}"
        f"{settings}. Pictures and parameters on this page are its own."
    )


def _about_ended(members: Sequence[Mapping[str, Any]]) -> str:
    if not any(member["ended"] for member in members):
        return ""
    return page.note(
        "A member that ended before the run is left out of training's figures from there on, and "
        "keeps its last ones in evaluation's."
    )


def _curves(chart: draw.Chart, found: Sequence[Group]) -> draw.Picture:
    """A line a setting if there is one sweep, else bands over all members."""
    # Evaluation, where there is any, comes last, in the foreground.
    lines = {name: chart.lines[name] for name in sorted(chart.lines, reverse=True)}
    members = sum(len(group.members) for group in found)
    if len(found[0].settings) == 1 and len(found) > 1:
        key, values = _sweep(found)
        of_settings = {name: (x, medians(y, found)) for name, (x, y) in lines.items()}
        each = members // len(found)
        return draw_members.families(
            chart.title, of_settings, _labels(values), unit=key,
            ordered=_are_numbers(values), log=chart.log,
            caption=f"Medians over {each} seeds." if each > 1 else "",
        )  # fmt: skip
    caption = f"Median of {members} members, with the middle 50% and 80%."
    return draw_members.bands(chart.title, lines, log=chart.log, caption=caption)


def _over_settings(
    members: Sequence[Mapping[str, Any]], found: Sequence[Group], metric: str, log: bool
) -> list[str]:
    """The chosen figure against one setting, or two; nothing for none and for more."""
    values = finals(members, metric)
    if len(found) < 2 or np.isnan(values).all():
        return []
    failed = np.array([member["ended"] == FAILED for member in members])
    heading = f"Final {metric.replace('_', ' ')} by setting"
    if len(found[0].settings) == 1:
        return [page.section(heading, page.image(_against(values, failed, found, metric, log)))]
    if len(found[0].settings) == 2:
        return [page.section(heading, page.image(_grid(values, failed, found, metric, log)))]
    return []


def _against(
    values: np.ndarray, failed: np.ndarray, found: Sequence[Group], metric: str, log: bool
) -> draw.Picture:
    key, settings = _sweep(found)
    are_numbers = _are_numbers(settings)
    x = np.empty(len(values))
    for i, group in enumerate(found):
        x[group.members] = settings[i] if are_numbers else i
    crosses = (
        " Crosses ended with a number that is not finite."
        if (failed & ~np.isnan(values)).any()
        else ""
    )
    return draw_members.against(
        f"final {metric.replace('_', ' ')}", x, values, failed, xlabel=key,
        logs=(are_numbers and is_geometric(settings), log),
        names=None if are_numbers else _labels(settings),
        caption=f"A point a member, the line through medians over seeds.{crosses}",
    )  # fmt: skip


def _grid(
    values: np.ndarray, failed: np.ndarray, found: Sequence[Group], metric: str, log: bool
) -> draw.Picture:
    first, second, table = crossed(medians(values, found), found)
    starred = crossed([failed[group.members].any() for group in found], found)[2] == 1
    stars = " *: a seed ended with a number that is not finite." if starred.any() else ""
    labels = tuple(found[0].settings)
    return draw_members.grid(
        f"final {metric.replace('_', ' ')}", table, _labels(second), _labels(first),
        labels=labels, log=log, starred=starred, caption=f"Medians over seeds.{stars}",
    )  # fmt: skip


def _seed_table(
    members: Sequence[Mapping[str, Any]],
    found: Sequence[Group],
    metric: str,
    directions: Mapping[str, str],
) -> str:
    """A row a setting, or, without a sweep, a row a figure."""
    keys = list(found[0].settings)
    shown = [metric] if len(found) > 1 else names(members) or [metric]
    rows = []
    for group in found:
        for name in shown:
            values = finals(members, name)[group.members]
            there = values[~np.isnan(values)]
            way = metrics.direction(name, directions)
            rank = functools.partial(metrics.rank, direction=way)
            best = max(there, key=rank, default=None) if way else None
            ended = [members[i]["ended"] for i in group.members]
            rows.append(
                [
                    *(_label(value) for value in group.settings.values()),
                    name,
                    _mean(there),
                    _shown(np.median(there) if len(there) else None),
                    _shown(best),
                    f"{len(there)} of {len(values)}",
                    ended.count(FAILED) or "",
                ]
            )
    head = [*keys, "final", "mean ± sd", "median", "best", "seeds", FAILED]
    numeric = range(len(keys) + 1, len(head))
    table = page.table(head, rows, numeric=numeric)
    about = "Over the last evaluation of each seed; sd is the sample's standard deviation."
    return page.folded(f"{len(rows)} rows", table + page.note(about), open=len(rows) <= 64)


def _mean(values: np.ndarray) -> str:
    if not len(values):
        return "–"
    spread = f" ± {values.std(ddof=1):.2g}" if len(values) > 1 else ""
    return f"{values.mean():.4g}{spread}"


def _member_table(
    members: Sequence[Mapping[str, Any]], metric: str, directions: Mapping[str, str]
) -> str:
    keys = list(members[0]["settings"])
    others = [name for name in names(members) if name != metric]
    rest = [f"final {name}" for name in others]
    head = ["member", "seed", *keys, f"final {metric}", f"best {metric}", "at step", *rest]
    rows = []
    for i in ranked(members, metric, directions):
        member = members[i]
        final, best = member["final"] or {}, member["best"] or {}
        figures = [final.get(metric), best.get(metric), best.get("step"), *map(final.get, others)]
        settings = map(_label, member["settings"].values())
        row = [member["member"], member["seed"], *settings, *map(_shown, figures)]
        rows.append([*row, _shown(member["steps"]), member["ended"]])
    head += ["steps", "ended"]
    texts = [2 + i for i, key in enumerate(keys) if not _are_numbers([members[0]["settings"][key]])]
    numeric = [i for i in range(len(head) - 1) if i not in texts]
    about = (
        f"Best final {metric} first. --config.member=i, added to the command of this run, chooses "
        "member i."
    )
    table = page.table(head, rows, numeric=numeric)
    return page.folded(f"{len(members)} members", table + page.note(about), open=len(members) <= 64)


# Values


def _sweep(found: Sequence[Group]) -> tuple[str, list[Any]]:
    """The key and the values of a single sweep."""
    (key,) = found[0].settings
    return key, [group.settings[key] for group in found]


def _are_numbers(values: Sequence[Any]) -> bool:
    return all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)


def _number(figures: Mapping[str, Any] | None, name: str) -> float:
    value = (figures or {}).get(name)
    return float(value) if isinstance(value, int | float) else np.nan


def _label(value: Any, digits: int = 6) -> str:
    return f"{value:.{digits}g}" if isinstance(value, float) else str(value)


def _labels(values: Sequence[Any]) -> list[str]:
    """Names for an axis: three digits, or six where three do not tell them apart."""
    short = [_label(value, 3) for value in values]
    return short if len(set(short)) == len(short) else [_label(value) for value in values]


def _shown(value: Any) -> str:
    """A figure, or a dash where there is none."""
    return "–" if value is None or value != value else page.number(value)
