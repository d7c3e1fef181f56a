"""The notebooks: plain, without outputs, of commands that the launcher takes; and they run."""

import ast
import json
import os
import re
import shlex

import pytest
from launching import ROOT

from jaxdl.launch import flags

FOLDER = ROOT / "notebooks"
# The experiments that each trains.
TRAINED = {"images": ("deep_cnn",), "text": ("gpt",), "control": ("ppo", "q_learning")}


def cells(name: str, kind: str = "code") -> list[str]:
    """The sources of a notebook's cells of one kind."""
    content = json.loads((FOLDER / f"{name}.ipynb").read_text())
    sources = ("".join(c["source"]) for c in content["cells"] if c["cell_type"] == kind)
    return [re.sub(r"\\\n\s*", "", source) for source in sources]  # a line that goes on is one


def commands(name: str) -> list[list[str]]:
    """The arguments of a notebook's calls of the launcher."""
    lines = [line for cell in cells(name) for line in cell.splitlines() if line.startswith("!")]
    assert all(line.startswith("!{sys.executable} -m jaxdl.launch ") for line in lines)
    experiments = str(ROOT / "experiments")
    return [shlex.split(line.replace("{EXPERIMENTS}", experiments))[3:] for line in lines]


def test_every_notebook_is_known():
    assert {file.stem for file in FOLDER.glob("*.ipynb")} == set(TRAINED)
    assert len({cells(name)[0] for name in TRAINED}) == 1  # the cell that installs


@pytest.mark.parametrize("name", TRAINED)
def test_notebook_is_plain(name):
    content = json.loads((FOLDER / f"{name}.ipynb").read_text())
    assert (content["nbformat"], content["nbformat_minor"]) == (4, 5)
    assert len({cell["id"] for cell in content["cells"]}) == len(content["cells"])
    for cell in content["cells"]:
        if cell["cell_type"] == "code":
            assert (cell["outputs"], cell["execution_count"]) == ([], None)
    for cell in cells(name):
        ast.parse("\n".join(line for line in cell.splitlines() if not line.startswith("!")))


@pytest.mark.parametrize("name", TRAINED)
def test_commands_are_such_as_the_launcher_takes(name):
    trained = set()
    for arguments in commands(name):
        given = flags.by_name(arguments)
        if "config" in given:
            flags.parse(arguments)
            trained.add(os.path.basename(given["config"]).partition(".py")[0])
        else:
            assert given["mode"] == "sample"
    assert trained == set(TRAINED[name])


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow(f"notebooks/{name}.ipynb", *trained))
        for name, trained in TRAINED.items()
    ],
)
def test_notebook_runs_from_top_to_bottom(name, tmp_path, monkeypatch):
    why = "the extra 'notebooks' is not installed: pip install -e '.[notebooks]'"
    nbformat = pytest.importorskip("nbformat", reason=why)
    nbclient = pytest.importorskip("nbclient", reason=why)
    pytest.importorskip("ipykernel", reason=why)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    for name_of_tests in ("XLA_FLAGS", "JAX_DISABLE_MOST_OPTIMIZATIONS"):
        monkeypatch.delenv(name_of_tests, raising=False)  # as for users, on one device
    notebook = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    nbformat.validate(notebook)
    settings = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(notebook, timeout=280, resources=settings).execute()
    for experiment in TRAINED[name]:
        assert (tmp_path / "runs" / experiment / "report.html").exists()
