"""Graphs in the Open Graph Benchmark's folders."""

import graph_files
import numpy as np
import pytest

from jaxdl.data import ogb
from jaxdl.errors import UserError

FILES = {
    "raw/edge": "0,1\n1,2\n3,0\n2,3\n4,0\n5,1\n",
    "raw/node-feat": "\n".join(f"{i},{i % 2}.5" for i in range(7)),
    "raw/node-label": "0\n1\n0\n1\n0.0\nnan\n1\n",
    "split/time/train": "0\n1\n",
    "split/time/valid": "2\n",
    "split/time/test": "3\n4\n5\n",
}
READ = dict(seeds=2, fan_out=(2,))


pytestmark = pytest.mark.usefixtures("own_cache")


def laid(folder, **changed):
    files = {f"{name}.csv": text for name, text in {**FILES, **changed}.items()}
    return graph_files.laid(folder, files, packed=True)


@pytest.mark.parametrize("part, scored", [("test", [3, 4]), ("validation", [2])])
def test_the_division_is_the_benchmarks(part, scored, tmp_path):
    path = laid(tmp_path / "g")
    for whole in (False, True):
        made = ogb.ogb(path, eval_on=part, whole=whole, **READ)
        graph = made.whole
        known, measured = (graph.train, graph.test) if whole else (graph.known, graph.scored)
        assert np.flatnonzero(known).tolist() == [0, 1]
        assert np.flatnonzero(measured).tolist() == scored
        assert graph.labels.tolist() == [0, 1, 0, 1, 0, -1, 1]
        assert len(graph.edges if whole else graph.indices) == (6 if whole else 12)
    assert len(ogb.ogb(path, directed=True, **READ).whole.indices) == 6


BAD = {
    "an edge to nowhere": ({"raw/edge": "0,1\n1,7\n"}, "edge.csv.gz, row 2: node 7 is missing"),
    "a label too few": ({"raw/node-label": "0\n1\n"}, "node-label.csv.gz: 2 rows for 7 nodes"),
    "half a class": (
        {"raw/node-label": "0\n1\n.5\n0\n0\n0\n0\n"},
        "node-label.csv.gz, row 3: 0.5 is no class",
    ),
    "several labels": ({"raw/node-label": "0,1\n" * 7}, "one class are wanted, not 2 columns"),
    "no feature": (
        {"raw/node-feat": FILES["raw/node-feat"].replace("3,", "nan,")},
        "node-feat.csv.gz, row 4: features must be finite numbers",
    ),
    "a part of others": ({"split/time/valid": "2\n9\n"}, "valid.csv.gz, row 2: node 9 is missing"),
    "no test part": ({"split/time/test": None}, "there is no file split/time/test.csv.gz"),
    "no labels": ({"raw/node-label": None}, "there is no file raw/node-label.csv.gz"),
    "two divisions": ({"split/size/train": "0\n"}, "split/'s folders is wanted: size, time"),
}


@pytest.mark.parametrize("case", BAD)
def test_files_that_cannot_be_are_told_in_one_line(case, tmp_path):
    changed, message = BAD[case]
    path = laid(tmp_path / "g", **changed)
    with pytest.raises(UserError, match=message) as caught:
        ogb.ogb(path, **READ)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "settings, message",
    [
        (dict(division="size"), "data.division='size': one of split/'s folders is wanted: time"),
        (dict(eval_on="both"), "data.eval_on='both' must be 'test' or 'validation'"),
        (dict(whole=True, directed=True), "data.directed=True is for what is drawn"),
    ],
)
def test_settings_that_cannot_be(settings, message, tmp_path):
    with pytest.raises(UserError, match=message):
        ogb.ogb(laid(tmp_path / "g"), **settings, **READ)


def test_no_folder():
    with pytest.raises(UserError, match="is no folder of a data set of OGB: it has no raw/"):
        ogb.ogb("/nowhere")
