"""What "/" in a metric's name means: for the lines of metrics.jsonl, TensorBoard and the report."""

import json
import sys

import numpy as np
import pytest
from etils import epath

from jaxdl import report
from jaxdl.errors import UserError
from jaxdl.runs import logs

# Names as the norms of layers have them: "block" has a parameter of its own beside its parts'.
FIGURES = {
    "loss": 0.5,
    "layers/x": 1.0,
    "layers/gradient_norm/block": 2.0,
    "layers/gradient_norm/block/dense/inner": 3.0,
    "quantiles/median": 4.0,
    "train/accuracy": 5.0,
    "a/b/c/d": 6.0,
}
LINES = {
    "train": {"loss": 0.5, "accuracy": 5.0},
    "layers": {"x": 1.0, "gradient_norm": {"block": 2.0, "block/dense/inner": 3.0}},
    "quantiles": {"median": 4.0},
    "a": {"b": {"c/d": 6.0}},
}


def test_the_first_part_is_the_split_the_second_the_figure_or_its_group():
    assert logs.by_split(FIGURES) == LINES
    assert [*logs.by_split({"other/x": 1})] == ["train", "other"]


def test_flat_is_by_split_undone_without_the_split():
    names = {f"{split}/{n}": v for split, line in LINES.items() for n, v in logs.flat(line).items()}
    assert names == {n if "/" in n else f"train/{n}": v for n, v in FIGURES.items()}
    assert logs.flat({"step": 1, "split": "train", "loss": 2}) == {"loss": 2}


@pytest.mark.parametrize(
    "names, words",
    [
        (["/x"], "'/x' has an empty part"),
        (["x/"], "'x/' has an empty part"),
        (["a//b"], "'a//b' has an empty part"),
        (["a/b/"], "'a/b/' has an empty part"),
        (["step"], "'step' is taken"),
        (["layers/split"], "'split' is taken"),
        (["a/b", "a/b/c"], "'a/b/c' would be in the place of another: a/b is"),
        (["a/b/c", "a/b"], "'a/b' would be in the place of another: a/b is"),
        (["train/loss", "loss"], "'loss' would be in the place of another: train/loss is"),
    ],
)
def test_names_that_no_line_can_have_are_refused(names, words):
    with pytest.raises(UserError) as caught:
        logs.by_split(dict.fromkeys(names, 1.0))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_every_name_has_its_tag_on_tensorboard(tmp_path, monkeypatch):
    tags = {}

    class Events:
        add = staticmethod(lambda step, numbers: tags.update(numbers))
        flush = staticmethod(lambda: None)

    monkeypatch.setattr(logs, "_tensorboard", lambda workdir, resumed_at: Events)
    writer = logs.MetricWriter(epath.Path(tmp_path), 0)
    for split, line in logs.by_split({**FIGURES, "rates": [7.0, np.inf]}).items():
        writer.write(3, split, line)
    writer.flush()
    expected = {n if "/" in n else f"train/{n}": v for n, v in FIGURES.items()}
    assert tags == {**expected, "train/rates/0": 7.0}
    assert logs.flat(logs.read(tmp_path)[1]) == logs.flat(LINES["layers"])


def test_a_line_is_one_event_on_tensorboard(tmp_path):
    event_pb2 = pytest.importorskip("tensorboardX.proto.event_pb2")
    writer = logs.MetricWriter(epath.Path(tmp_path), 0)
    writer.write(3, "train", {"loss": 0.5, "accuracy": 1, "rates": [7.0, np.nan]})
    writer.write(3, "layers", {"norm": {"dense": 2.0}})
    writer.write(4, "eval", {"loss": np.inf})
    writer.flush()
    writer._events._writer.close()
    (file,) = (tmp_path / "events").iterdir()
    data, found = file.read_bytes(), []
    while data:  # of each record: its length, a checksum, the event, a checksum
        size = int.from_bytes(data[:8], "little")
        event = event_pb2.Event.FromString(data[12 : 12 + size])
        data = data[16 + size :]
        if event.summary.value:
            numbers = {value.tag: value.simple_value for value in event.summary.value}
            found.append((event.step, numbers))
    assert found == [
        (3, {"train/loss": 0.5, "train/accuracy": 1.0, "train/rates/0": 7.0}),
        (3, {"layers/norm/dense": 2.0}),
    ]


def test_without_tensorboardx_the_lines_are_all_there_is(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    writer = logs.MetricWriter(epath.Path(tmp_path), 0)
    writer.write(3, "train", {"loss": 0.5})
    writer.flush()
    assert not (tmp_path / "events").exists()
    assert logs.read(tmp_path) == [{"step": 3, "split": "train", "loss": 0.5}]


def test_the_report_has_a_chart_for_each_figure_and_rows_for_the_norms_of_layers(tmp_path):
    summary = {
        "best": {}, "final": {}, "steps": 2, "examples_per_second": 1.0, "train_seconds": 1.0,
        "platform": "cpu", "devices": 1, "precision": "float32", "jax": "0", "parameters": 2,
    }  # fmt: skip
    config = {"model.name": "mlp", "task.name": "t", "data.name": "digits", "seed": 0}
    (tmp_path / "summary.json").write_text(json.dumps(summary))
    (tmp_path / "config.json").write_text(json.dumps(config))

    def headings(figures):
        writer = logs.MetricWriter(epath.Path(tmp_path), 0)
        for step in (1, 2):
            for split, line in logs.by_split(figures).items():
                writer.write(step, split, line)
        writer.write(2, "evaluate", {"loss": 9.0})
        page = report.write(epath.Path(tmp_path), "t", {}, {"w": np.zeros(2)}).read_text()
        return {part.partition("</h2>")[0]: part.count("<img") for part in page.split("<h2>")[1:]}

    found = headings(FIGURES)
    # loss, accuracy, layers/x, quantiles/median and a/b/c/d
    assert found["Curves"] == 5
    assert found["Gradient flow"] == 1
    assert "Gradient flow" not in headings({"loss": 1.0, "layers/x": 2.0})
