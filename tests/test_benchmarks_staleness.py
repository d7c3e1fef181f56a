"""The chart of stale gradients: what it is made of, and that the page holds what is stored."""

import argparse
import json

import numpy as np
import pytest

from benchmarks import records, staleness
from benchmarks.page import with_figures


def test_a_mean_return_is_steady_from_where_it_stays():
    updates = [250, 500, 750, 1000]
    assert staleness.steady(updates, np.array([475, 480, 474, 500])) == 1000
    assert staleness.steady(updates, np.array([475, 480, 480, 500])) == 250
    assert staleness.steady(updates, np.array([500, 500, 500, np.nan])) is None


def test_curves_become_a_table_and_a_chart(tmp_path):
    lines = [{"step": 250 * i, "split": "eval", "mean_return": [240 * i, 250 * i]} for i in (1, 2)]
    file = tmp_path / "metrics.jsonl"
    file.write_text("\n".join(map(json.dumps, [{"step": 9, "split": "train"}, *lines])))
    found = staleness.curve(file)
    assert found == {"updates": [250, 500], "returns": [[240, 250], [480, 500]]}
    row = staleness.table({"0": found, "16": {**found, "returns": [[9, 9], [8, 10]]}}).splitlines()
    assert row[2] == "| 0 | 2 | 500 | 490 | 480 |"
    assert row[3] == "| 16 | 2 | never | 9 | 8 |"
    picture = staleness.chart({"0": found, "16": found}).data.decode()
    assert "newest (A2C)" in picture
    assert "16 updates old" in picture


def test_the_page_holds_what_is_stored():
    stored = records.stored(staleness.RESULTS)
    assert with_figures(page := staleness.PAGE.read_text(), staleness.figures(stored),
                        "staleness") == page  # fmt: skip
    assert staleness.CHART.exists() == bool(stored)


@pytest.mark.slow("benchmarks/staleness.py", "jaxdl/tasks/policy_gradient.py")
def test_it_measures_a_population():
    options = argparse.Namespace(tiny=True, seeds=2, environment="cartpole", staleness=[0])
    found = staleness.measure(1, options)
    assert found["updates"] == [2, 4]
    assert np.shape(found["returns"]) == (2, 2)


@pytest.mark.parametrize("flags", [["--staleness=a"], ["--staleness=-1"], ["--seeds=1"]])
def test_bad_options_are_refused(flags):
    with pytest.raises(SystemExit) as caught:
        staleness.main(flags)
    assert caught.value.code == 2
