import itertools
import json
import re

import numpy as np
import pytest
from etils import epath

from jaxdl import report
from jaxdl.report import draw_members
from jaxdl.report import population as population_report
from jaxdl.report.population import FAILED


def member(
    place, figure, settings=None, *, metric="accuracy", seed=0, ended="", steps=12, **others
):
    final = {"step": steps, metric: figure, **others}
    return {
        "member": place, "seed": seed, "settings": settings or {}, "final": final,
        "best": {} if figure is None else final, "steps": steps, "ended": ended,
    }  # fmt: skip


def population(sweeps, seeds, figures=None):
    """Members of a grid, seeds fastest; their accuracies are 0.01 a place if not given."""
    points = [dict(zip(sweeps, p, strict=True)) for p in itertools.product(*sweeps.values())]
    pairs = list(itertools.product(points, range(seeds)))
    figures = figures or [0.01 * (i + 1) for i in range(len(pairs))]
    return [member(i, figures[i], settings, seed=seed) for i, (settings, seed) in enumerate(pairs)]


def page_of(folder, members, *, lines=(), metric="accuracy", best=None):
    """The report.html of a run of such members."""
    summary = {
        "members": members, "best": best or {}, "final": {"step": 12}, "steps": 12,
        "examples_per_second": 1000.0, "train_seconds": 1.0, "platform": "cpu", "devices": 1,
        "precision": "float32", "jax": "0",
    }  # fmt: skip
    config = {
        "model.name": "mlp", "task.name": "classification", "data.name": "digits", "seed": 0,
        "eval.best": metric,
    }  # fmt: skip
    (folder / "summary.json").write_text(json.dumps(summary))
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    parameters = {"w": np.zeros((2, 5), np.float32)}
    return report.write(epath.Path(folder), "a title", {"Of the best": "text"}, parameters)


def rows(page, heading):
    """The cells of a section's table, without its head."""
    found = page.read_text().partition(f"<h2>{heading}</h2>")[2].partition("</table>")[0]
    body = [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in found.split("<tr>")]
    return [cells for cells in body if cells]


def pictures(page, heading):
    section = page.read_text().partition(f"<h2>{heading}</h2>")[2].partition("<h2>")[0]
    return section.count("<img")


# The numbers


def test_quantiles_are_those_of_the_members_that_are_there():
    values = np.random.default_rng(0).normal(size=(5, 7))
    values[1, [0, 3]] = values[3] = np.nan
    found = draw_members.quantiles(values)
    for share, row in zip(draw_members.SHARES, found, strict=True):
        for x, got in zip(values, row, strict=True):
            there = np.sort(x[~np.isnan(x)])
            place = share * (len(there) - 1)
            expected = np.interp(place, np.arange(len(there)), there) if len(there) else np.nan
            np.testing.assert_allclose(got, expected, rtol=1e-12)


def test_medians_are_over_the_seeds_of_a_setting():
    members = population({"optimizer.learning_rate": [0.1, 0.2]}, 3)
    values = np.random.default_rng(0).normal(size=(4, 6))
    values[2, 4] = np.nan
    found = population_report.groups(members)
    assert [dict(group.settings) for group in found] == [
        members[0]["settings"],
        members[3]["settings"],
    ]
    expected = np.stack([np.median(values[:, :3], 1), np.nanmedian(values[:, 3:], 1)], 1)
    np.testing.assert_allclose(population_report.medians(values, found), expected, rtol=1e-12)


def test_two_sweeps_make_a_table_with_the_first_along_x():
    members = population({"a": [1, 2, 3], "b": [0.0, 0.5]}, 1)
    found = population_report.groups(members)
    first, second, table = population_report.crossed(np.arange(6.0), found)
    assert (first, second) == ([1, 2, 3], [0.0, 0.5])
    np.testing.assert_array_equal(table, [[0, 2, 4], [1, 3, 5]])


@pytest.mark.parametrize(
    "values, answer",
    [
        (np.geomspace(1e-4, 1e-1, 8).round(6), True),
        ([0.001, 0.003, 0.01], True),
        ([16, 32, 64], True),
        ([0.001, 0.1], True),
        ([0.1, 0.2], False),
        (np.linspace(0.01, 1, 9), False),
        ([0.0, 0.01, 0.1], False),
        ([0.5], False),
    ],
)
def test_axis_is_logarithmic_where_values_are_spread_by_ratios(values, answer):
    assert population_report.is_geometric(list(values)) is answer


def test_best_members_come_first_and_those_without_a_figure_last():
    members = population({}, 5, [0.5, None, 0.9, float("nan"), 0.5])
    assert population_report.ranked(members, "accuracy") == [2, 0, 4, 1, 3]
    members = [member(i, x, metric="loss") for i, x in enumerate([0.5, None, 0.9, 0.1])]
    assert population_report.ranked(members, "loss") == [3, 0, 2, 1]


def test_cards_say_the_median_the_range_and_who_fell_out():
    members = population({}, 5, [0.5, None, 0.9, 0.6, 0.7])
    members[1]["ended"], members[3]["ended"] = FAILED, "early"
    summary = {"members": members, "best": {"member": 2, "accuracy": 0.95}, "steps": 12}
    cards = dict(population_report.cards(summary, {"eval.best": "accuracy"}))
    assert cards == {
        "best accuracy, member 2": "0.95", "median final accuracy": "0.65",
        "range of final accuracy": "0.5 – 0.9", "members": 5, "stopped early": 1, FAILED: 1,
        "steps": 12,
    }  # fmt: skip


def test_subtitle_counts_settings_and_seeds():
    assert population_report.seeds(population({"a": [1, 2]}, 3)) == "2 settings × 3 seeds from 0"
    assert population_report.seeds(population({}, 4)) == "4 seeds from 0"
    assert population_report.seeds(population({"a": [1, 2]}, 1)) == "2 settings × seed 0"


# The page


def test_one_sweep_is_drawn_as_lines_and_points_and_nulls_leave_gaps(tmp_path):
    members = population(
        {"optimizer.learning_rate": [1e-3, 1e-2, 1e-1]}, 2, [0.2, 0.4, 0.9, 0.7, None, 0.3]
    )
    members[4]["ended"] = members[5]["ended"] = FAILED
    lines = [
        {"step": 1, "split": "train", "loss": [2.0, 2, 2, 2, None, 2], "vector": [[1, 2]] * 6},
        {"step": 2, "split": "train", "loss": [1.0, 1, 1, 1, None, None]},
        {"step": 2, "split": "eval", "loss": [1.0, 1, 1, 1, None, 2]},
    ]
    best = {"member": 2, "seed": 0, "settings": members[2]["settings"], "step": 12, "accuracy": 0.9}
    page = page_of(tmp_path, members, lines=lines, best=best)
    text = page.read_text()
    assert "The best is member 2, at step 12: seed 0, optimizer.learning_rate 0.01." in text
    assert "3 settings × 2 seeds from 0" in text
    assert "Solid eval, dashed train." in text
    assert "left out of training" in text
    assert "Crosses ended" in text
    assert pictures(page, "Curves") == 1  # a vector a member is no curve
    assert pictures(page, "Final accuracy by setting") == 1
    over = rows(page, "Over the seeds")
    deviation = np.std([0.2, 0.4], ddof=1)
    assert over[0] == ["0.001", "accuracy", f"0.3 ± {deviation:.2g}", "0.3", "0.4", "2 of 2", ""]
    assert over[2] == ["0.1", "accuracy", "0.3", "0.3", "0.3", "1 of 2", "2"]
    table = rows(page, "Members")
    assert [row[0] for row in table] == ["2", "3", "1", "5", "0", "4"]
    assert table[0] == ["2", "0", "0.01", "0.9", "0.9", "12", "12", ""]
    assert table[-1] == ["4", "0", "0.1", "–", "–", "–", "12", FAILED]
    assert text.count("--config.member=i") == 1
    headings = re.findall("<h2>(.*?)</h2>", text)
    assert headings[-3:] == ["Of the best", "Parameters", "Settings"]


def test_seeds_without_a_sweep_are_bands_and_a_row_a_figure(tmp_path):
    members = [
        member(i, x, metric="loss", seed=i, mse=2 * x) for i, x in enumerate([0.3, 0.1, 0.5])
    ]
    lines = [{"step": s, "split": "train", "loss": [3.0 / s, 2.0 / s, 0.0]} for s in (1, 2)]
    page = page_of(tmp_path, members, lines=lines, metric="loss")
    assert "Median of 3 members" in page.read_text()
    assert "No member is the best" in page.read_text()
    assert "by setting" not in page.read_text()
    assert rows(page, "Over the seeds") == [
        ["loss", "0.3 ± 0.2", "0.3", "0.1", "3 of 3", ""],
        ["mse", "0.6 ± 0.4", "0.6", "0.2", "3 of 3", ""],
    ]
    assert [row[0] for row in rows(page, "Members")] == ["1", "0", "2"]


def test_two_sweeps_are_a_heat_map(tmp_path):
    members = population({"a": [1, 2], "b": [0.0, 0.1]}, 1, [0.1, None, 0.3, 0.4])
    members[0]["ended"] = FAILED
    page = page_of(tmp_path, members)
    assert pictures(page, "Final accuracy by setting") == 1
    assert "*: a seed ended" in page.read_text()
    assert "Over the seeds" not in page.read_text()
    assert rows(page, "Members")[0][:4] == ["3", "0", "2", "0.1"]


def test_three_sweeps_are_a_table(tmp_path):
    members = population({"a": [1, 2], "b": [0.0, 0.1], "c": [3, 4]}, 1)
    page = page_of(tmp_path, members)
    assert "<img" not in page.read_text()
    assert [row[0] for row in rows(page, "Members")] == list("76543210")


@pytest.mark.parametrize("sweeps, seeds", [({"a": [1, 2]}, 2), ({}, 4)])
def test_population_of_which_nothing_is_left_has_a_page(sweeps, seeds, tmp_path):
    members = population(sweeps, seeds, [None] * 4)
    lines = [{"step": 1, "split": "train", "loss": [None] * 4}]
    page = page_of(tmp_path, members, lines=lines)
    assert "by setting" not in page.read_text()
    assert pictures(page, "Curves") == 1
    table = rows(page, "Over the seeds")
    nothing = ["accuracy", "–", "–", "–", f"0 of {seeds}", ""]
    assert [row[-6:] for row in table] == [nothing] * (4 // seeds)
    assert [row[0] for row in rows(page, "Members")] == list("0123")


def test_many_settings_have_a_colour_bar_and_texts_no_line():
    x, y = np.arange(3), np.ones((3, 12))
    many = draw_members.families(
        "loss", {"train": (x, y), "eval": (x, y)}, [f"v{i}" for i in range(12)], unit="a",
        ordered=True,
    )  # fmt: skip
    assert many.caption == "Of eval alone."
    assert b"v11" in many.data
    assert b"v1<" not in many.data  # a few of the names
    names = ("one", "two")
    ends = np.array([False, True])
    shown = draw_members.against("t", np.arange(2), np.ones(2), ends, xlabel="a", names=names)
    assert all(name.encode() in shown.data for name in names)
