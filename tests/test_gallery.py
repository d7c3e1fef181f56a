"""docs/gallery.md: what is taken of runs, the pictures made of it, and the page."""

import json
import subprocess
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from launching import ROOT

from benchmarks.gallery import __main__ as command
from benchmarks.gallery import page, pictures, runs, systems
from benchmarks.page import with_figures
from jaxdl.launch import flags
from jaxdl.report import draw
from jaxdl.report import page as html_page

SVG = "{http://www.w3.org/2000/svg}"
MOST_BYTES = 120_000
MLP, TRANSFER = systems.every()["mlp"], systems.every()["transfer"]
SUMMARY = {
    "final": {"step": 12, "accuracy": 0.5}, "steps": 12, "parameters": 10, "platform": "cpu",
    "devices": 1, "precision": "float32", "jax": "0.12.0.1",
}  # fmt: skip


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """A run's folder with a report like any."""
    folder = tmp_path_factory.mktemp("run")
    steps = np.arange(10)
    curves = draw.curves("accuracy", {"eval": (steps, 0.9 + steps / 90)})
    other = draw.curves("accuracy 0db", {"eval": (steps, 1 - steps / 10)})
    grid = draw.image_grid(np.random.default_rng(0).random((12, 8, 8, 1)), [""] * 12)
    parts = [
        html_page.section("Curves", html_page.image(other), html_page.image(curves)),
        html_page.section("samples over the run", html_page.show("first"), html_page.show("last")),
        html_page.section("Drawn", html_page.image(grid), html_page.image(curves)),
        html_page.section("Said", html_page.show(f"a < b & {'long ' * 40}\n\n\x1b[0m" * 30)),
    ]
    (folder / "report.html").write_text(html_page.document("A run", parts))
    return folder


def test_a_report_is_read_as_it_was_written(report):
    found = pictures.of_report(report / "report.html")
    assert found["samples over the run"] == ["first", "last"]
    assert [item.kind for item in found["Drawn"]] == ["png", "svg+xml"]
    assert pictures.titled(found["Curves"], "accuracy") == found["Curves"][1]
    with pytest.raises(KeyError, match="loss"):
        pictures.titled(found["Curves"], "loss")


@pytest.mark.parametrize("heading", ["Drawn", "Said", "samples over the run"])
def test_a_picture_is_a_curve_and_what_stands_beside_it(report, heading):
    made = pictures.of_run(report, "accuracy", ("not there", heading))
    assert len(made) < MOST_BYTES
    top = ET.fromstring(made)  # so it is XML
    curve, beside = top.findall(f"{SVG}svg")
    words = lambda panel: [text.text for text in panel.iter(f"{SVG}text")]
    assert "accuracy" in words(curve)
    assert "0.92" in words(curve)  # numbers are not cut
    assert ("last" in words(beside)) == (heading == "samples over the run")
    assert (next(beside.iter(f"{SVG}image"), None) is not None) == (heading == "Drawn")
    ids = [element.get("id") for element in top.iter() if element.get("id")]
    assert len(ids) == len(set(ids))
    width, height = float(top.get("width")), float(top.get("height"))
    for panel in (curve, beside):
        assert 0 <= float(panel.get("x", 0)) <= width - float(panel.get("width")) + 1
        assert float(panel.get("height")) <= height + 1


def test_what_a_report_lacks_is_told(report):
    with pytest.raises(KeyError, match="Drawn"):
        pictures.of_run(report, "accuracy", ("Painted",))


def test_every_place_in_the_gallery_leads_somewhere():
    headings = [one.name for one in systems.every().values()]
    assert len({page.anchor(name) for name in [*headings, *systems.SYSTEMS]}) == len(
        headings
    ) + len(systems.SYSTEMS)
    for one in systems.every().values():
        assert (ROOT / one.file).exists(), one.file
        first = [one.before] if one.first else []
        for each in [*first, one]:
            argv = runs.command(each, "runs").split()
            assert argv[:3] == ["python", "-m", "jaxdl.launch"]
            flags.parse([word.replace("=experiments", f"={ROOT}/experiments") for word in argv[3:]])


def test_the_page_is_what_the_stored_figures_make_it():
    found = page.stored()
    assert found
    text = page.PAGE.read_text()
    assert with_figures(text, "\n".join(page.entries(found)).strip()) == text
    for name, result in found.items():
        one = systems.every()[name]
        assert np.isfinite(result["final"][one.figure])
        assert result["processor_seconds"] > 0
        assert result["about"]["processor"]
        assert result["about"]["jax"]["jax"]
        assert page.picture_of(one).stat().st_size < MOST_BYTES
        ET.parse(page.picture_of(one))


def test_what_has_not_run_is_said_to_have_not():
    lines = "\n".join(page.entry(TRANSFER, None))
    assert "Not run for this page yet" in lines
    assert "![" not in lines
    assert "--config=experiments/transfer.py:pretrain --workdir=runs/transfer-pretrain" in lines


@pytest.mark.parametrize(
    "value, shown",
    [(0.9972, ".997"), (1.0, "1.000"), (-22.21, "-22.21"), (500.0, "500"), (4e-6, "4e-06"),
     (69.9001, "69.9"), (-0.25, "-.250"), (0.0, ".000")],
)  # fmt: skip
def test_figures_are_written_as_everywhere(value, shown):
    assert page.number(value) == shown


def test_runs_are_made_once_with_the_one_before_them(tmp_path, monkeypatch):
    asked = []

    def trained(argv, **options):
        asked.append(argv)
        folder = tmp_path / next(w for w in argv if w.startswith("--workdir=")).rpartition("/")[2]
        assert not folder.exists()  # what a stopped run has left is gone
        folder.mkdir()
        (folder / "summary.json").write_text(json.dumps(SUMMARY))
        (folder / "config.json").write_text('{"seed": 0}')
        return subprocess.CompletedProcess(argv, 0)

    monkeypatch.setattr(subprocess, "run", trained)
    (tmp_path / "transfer").mkdir()  # of a run that was stopped
    for _ in range(2):
        assert runs.run(TRANSFER, tmp_path) == 0
    assert len(asked) == 2
    assert f"--config.pretrained.source={tmp_path}/transfer-pretrain" in asked[1]
    found = runs.told(TRANSFER, tmp_path)
    assert (found["final"]["accuracy"], found["about"]["jax"]["jax"]) == (0.5, "0.12.0.1")


def test_a_run_that_fails_is_told_and_leaves_no_figures(tmp_path, monkeypatch):
    monkeypatch.setattr(subprocess, "run", lambda argv, **_: subprocess.CompletedProcess(argv, 3))
    assert runs.run(MLP, tmp_path) == 3
    assert not runs.is_done(MLP, tmp_path)


def test_an_unknown_system_is_one_line(capsys):
    assert command.main(["--only=mpl"]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "unknown system 'mpl'" in told
    assert "mlp" in told
