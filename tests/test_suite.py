"""The tests' own machinery: which slow tests a change calls for, and what tests may cost."""

import contextlib
import subprocess
import time

import pytest
import seconds
import seldom
import selection
import tiny
from launching import ROOT

from jaxdl.launch import flags

FILES = {
    "vit": {"experiments/vit.py", "jaxdl/models/vit.py", "jaxdl/tasks/classification.py"},
    "gcn": {"experiments/gcn.py", "jaxdl/models/gcn.py"},
    "killed": {"jaxdl/runs/"},
    **{f"other_{i}": {f"experiments/other_{i}.py"} for i in range(9)},
}


@pytest.mark.parametrize(
    "changed, called",
    [
        ([], set()),
        (["README.md", "jaxdl/models/vit_large.py"], set()),
        (["jaxdl/models/vit.py"], {"vit"}),
        (["jaxdl/runs/checkpoint.py", "experiments/gcn.py"], {"gcn", "killed"}),
    ],
)
def test_what_changed_is_called_for_and_the_rest_takes_turns(changed, called):
    turns = [set(selection.chosen(FILES, changed, turn)) - called for turn in range(4)]
    assert set().union(*turns) == set(FILES) - called
    assert sum(map(len, turns)) == len(FILES) - len(called)  # each has one turn
    for turn in range(4):
        assert called <= set(selection.chosen(FILES, changed, turn))
        assert selection.chosen(FILES, changed, turn) == selection.chosen(FILES, changed, turn + 4)


def test_an_experiments_files_are_those_that_it_is_made_of():
    assert selection.files_of_experiment("gcn:digits") == {
        *("experiments/gcn.py", "jaxdl/models/gcn.py"),
        *("jaxdl/tasks/node_classification.py", "jaxdl/data/digits_graph.py"),
    }
    assert "jaxdl/models/vit.py" in selection.files_of_experiment("vit:B/16")


def test_changes_are_read_from_history(tmp_path, monkeypatch):
    git = lambda *words: subprocess.run(
        ["git", "-c", "user.name=n", "-c", "user.email=e", *words],
        cwd=tmp_path, check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    monkeypatch.setattr(selection, "ROOT", tmp_path)
    assert selection.changed("HEAD") == []  # no history: no failure
    git("init", "-q")
    for name in ("a", "b"):
        (tmp_path / name).write_text(name)
        git("add", "-A")
        git("commit", "-qm", name)
    (tmp_path / "c").write_text("c")
    assert selection.changed("HEAD~1") == ["b", "c"]
    assert selection.changed("HEAD") == ["c"]
    assert selection.changed("tomorrow") == ["c"]
    assert selection.turn() == 2


RECORDED = {"a.py": 100.0, "b.py": 40.0, "c.py": 10.0, "d.py": 1.0}


@pytest.mark.parametrize(
    "found, speed, over",
    [
        (RECORDED, 1.0, set()),
        ({**RECORDED, "a.py": 160.0}, 1.0, {"a.py"}),
        ({**RECORDED, "b.py": 70.0, "d.py": 6.0}, 1.0, {"b.py"}),
        # A machine half as fast: nothing has grown, or one file has.
        ({f: 2.2 * s for f, s in RECORDED.items()}, 1.0, set()),
        ({f: 2 * s for f, s in RECORDED.items()} | {"b.py": 160.0}, 2.0, {"b.py"}),
        # Programs were there already, and one file compiles none.
        ({**{f: 0.2 * s for f, s in RECORDED.items()}, "a.py": 100.0}, 1.0, set()),
        ({**RECORDED, "new.py": 14.0}, 1.0, set()),
        ({**RECORDED, "new.py": 16.0}, 1.0, {"new.py"}),
        ({**RECORDED, "new.py": 16.0}, 2.0, set()),
    ],
)
def test_a_file_that_grows_by_half_is_told(found, speed, over):
    assert seconds.grown(found, RECORDED, speed).keys() == over


def test_every_experiment_has_its_smallest_size_and_every_variant_named_there_exists():
    files = {path.stem for path in (ROOT / "experiments").glob("*.py")}
    assert files == {name.partition(":")[0] for name in tiny.FLAGS}
    assert tiny.FINISHED.keys() <= tiny.FLAGS.keys()
    for name in tiny.FLAGS:
        stem, colon, variant = name.partition(":")
        flags.parse(
            [f"--config={ROOT / 'experiments' / stem}.py{colon}{variant}", *tiny.FLAGS[name]]
        )


@pytest.mark.parametrize(
    "slow, minutes, since, skipped",
    [(True, 2.0, 121, True), (True, 2.0, 119, False), (False, 2.0, 121, False),
     (True, None, 1e9, False)],
)  # fmt: skip
def test_slow_tests_do_not_begin_when_their_minutes_are_over(slow, minutes, since, skipped):
    class Item:
        config = type("Config", (), {"getoption": staticmethod(lambda name: minutes)})
        get_closest_marker = staticmethod(lambda name: slow or None)

    began = time.monotonic() - since
    with pytest.raises(pytest.skip.Exception) if skipped else contextlib.nullcontext():
        selection.stop_in_time(Item(), began)


@pytest.mark.parametrize("file", seldom.SELDOM)
def test_what_runs_seldom_is_there_and_its_files_are(file):
    text = (ROOT / "tests" / file).read_text()
    for beginning, files in seldom.SELDOM[file].items():
        assert f"def {beginning.partition('[')[0]}" in text
        for name in files:
            file_of = name if selection.is_path(name) else f"experiments/{name}.py"
            assert (ROOT / file_of).exists(), name
    assert seldom.files_of(file, beginning) == files
    assert seldom.files_of(file, "test_of_every_day") is None
