"""Snippets of README and docs/research.md run as shown; README's commands are those really used."""

import re

import jax
import numpy as np
import optax
import pytest
from launching import ROOT, run, summary

from jaxdl import launch

README = (ROOT / "README.md").read_text()
RESEARCH = (ROOT / "docs" / "research.md").read_text()
SNIPPETS = re.findall(r"```python\n(.*?)```", README + RESEARCH, re.S)
(CURVATURE,) = (code for code in SNIPPETS if "power_step" in code)
SHORT_SNIPPETS = [
    code for code in SNIPPETS if "def get_config" not in code and code is not CURVATURE
]
(CUSTOM,) = (code for code in SNIPPETS if "def get_config" in code)


def test_there_are_eight_snippets():
    assert len(SNIPPETS) == 8


@pytest.mark.parametrize("code", SHORT_SNIPPETS, ids=lambda code: code.splitlines()[-1][:40])
def test_snippet_runs_as_shown(code):
    names: dict = {}
    exec(compile(code, "snippet", "exec"), names)
    if "update" in names:  # the step really took one
        assert float(names["metrics"]["update_norm"].total) > 0
    if "per_example" in names:
        assert names["per_example"].tolist() == pytest.approx([1e4, 0.31326166])


def test_curvature_is_that_of_differences_of_the_gradient(tmp_path, monkeypatch):
    (tmp_path / "experiments").symlink_to(ROOT / "experiments")
    monkeypatch.chdir(tmp_path)
    assert run("mlp", tmp_path / "runs" / "mlp") == 0
    names: dict = {}
    exec(compile(CURVATURE, "docs/research.md", "exec"), names)
    loss, params = names["loss"], names["state"].params
    found, v = np.asarray(names["eigenvalues"]), names["direction"]
    v = optax.tree.scale(1 / optax.tree.norm(v), v)
    moved = lambda h: jax.jit(jax.grad(loss))(optax.tree.add_scale(params, h, v))
    slope = optax.tree.scale(1 / 2e-3, optax.tree.sub(moved(1e-3), moved(-1e-3)))
    assert found[-1] == pytest.approx(float(optax.tree.vdot(v, slope)), rel=1e-2)
    assert found[-1] == pytest.approx(found[-2], rel=1e-3)
    assert found[-1] >= found[:-1].max() * (1 - 1e-5)  # power iteration climbs


def test_custom_experiment_is_short_and_learns(tmp_path):
    assert len(CUSTOM.splitlines()) <= 40
    file = tmp_path / "spirals.py"
    file.write_text(CUSTOM)
    assert (
        launch.main(
            [f"--config={file}", f"--workdir={tmp_path / 'run'}", "--config.parallel.data=1"]
        )
        == 0
    )
    assert summary(tmp_path / "run")["final"]["accuracy"] > 0.9


def test_commands_are_those_that_ci_runs():
    test, run = (
        "pip install -e '.[test]' && pytest\n",
        "pip install -e . && python -m jaxdl.launch --config=experiments/vit.py --workdir=runs/vit",
    )
    assert test in README
    assert run in README
    assert test in (ROOT / ".ci" / "run").read_text()
