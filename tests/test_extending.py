"""docs/extending.md: every file that it shows is written where it says and run as it stands."""

import importlib.util
import re
import sys

import jax
import numpy as np
import pytest
from launching import ROOT, figures, run, summary

from jaxdl import data, envs, keys, metrics, models, tasks
from jaxdl.envs import vectorised

PAGE = (ROOT / "docs" / "extending.md").read_text()
FILES = {
    re.match(r"# (\S+)\n", code)[1]: code for code in re.findall(r"```python\n(.*?)```", PAGE, re.S)
}
REGISTRIES = (data, envs, models, tasks)
HERE = ("--config.parallel.data=1", "--config.log.every=50")


@pytest.fixture(scope="module", autouse=True)
def installed(tmp_path_factory):
    """The page's files as modules of jaxdl; gone again behind these tests."""
    folder = tmp_path_factory.mktemp("extending")
    for registry in REGISTRIES:
        registry.names()
    before = [dict(registry._registry._entries) for registry in REGISTRIES]
    names = []
    for name, code in FILES.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(code)
    # A metric is read by the task, so it comes first.
    for name in sorted((n for n in FILES if n.startswith("jaxdl/")), key=lambda n: "tasks" in n):
        dotted = name.removesuffix(".py").replace("/", ".")
        spec = importlib.util.spec_from_file_location(dotted, folder / name)
        sys.modules[dotted] = module = importlib.util.module_from_spec(spec)
        names.append(dotted)
        spec.loader.exec_module(module)
    yield folder
    for registry, entries in zip(REGISTRIES, before, strict=True):
        registry._registry._entries.clear()
        registry._registry._entries.update(entries)
    for dotted in names:
        del sys.modules[dotted]


@pytest.fixture(scope="module")
def finished(installed):
    workdir = installed / "runs"
    config = str(installed / "experiments" / "waves.py")
    flags = ("--config.steps=600", "--config.batch_size=32", "--config.eval.every=600")
    told = ("--config.log.report=true", "--config.log.layers=true")
    assert run(config, workdir, *flags, *HERE, *told) == 0
    return workdir


def test_the_page_shows_one_file_of_each_kind():
    assert list(FILES) == [
        "jaxdl/data/waves.py",
        "jaxdl/models/sines.py",
        "jaxdl/metrics/explained.py",
        "jaxdl/tasks/regression.py",
        "experiments/waves.py",
        "tests/test_waves.py",
        "jaxdl/envs/corridor.py",
    ]
    body = FILES["jaxdl/tasks/regression.py"].partition("@register")[2]
    assert len(body.splitlines()) <= 66
    assert max(len(line) for code in FILES.values() for line in code.splitlines()) <= 100


def test_the_regression_learns_is_judged_by_its_own_metric_and_shows_its_picture(finished):
    found = summary(finished)
    assert found["best"]["explained_variance"] > 0.9
    assert found["directions"] == {"explained_variance": metrics.HIGH}
    assert "<h2>Fit</h2>" in (finished / "report.html").read_text()
    assert "gradient_norm" in figures(finished, "layers")[0]


def test_it_is_swept_and_split_over_devices(installed, tmp_path):
    config = str(installed / "experiments" / "waves.py")
    few = ("--config.steps=4", "--config.batch_size=32", "--config.eval.every=4")
    swept = ("--config.sweep=task.shrink=0,1", "--config.log.every=4")
    assert run(config, tmp_path / "swept", *few, *swept, "--config.parallel.data=1") == 0
    first, second = (m["final"]["loss"] for m in summary(tmp_path / "swept")["members"])
    assert first != second
    assert run(config, tmp_path / "one", *few, *HERE) == 0
    assert run(config, tmp_path / "many", *few, "--config.parallel.data=8") == 0
    one, many = (summary(tmp_path / name)["final"]["loss"] for name in ("one", "many"))
    np.testing.assert_allclose(one, many, rtol=1e-5)


def test_its_test_passes(installed, tmp_path, monkeypatch):
    monkeypatch.setattr("launching.ROOT", installed)
    names: dict = {}
    exec(compile(FILES["tests/test_waves.py"], "test_waves.py", "exec"), names)
    names["test_it_learns_the_wave"](tmp_path)


@pytest.mark.parametrize(
    "flag, says",
    [
        ("--config.data.noise=-1", "data.noise=-1.0 must be at least 0"),
        ("--config.task.shrink=-1", "config.task.shrink=-1.0 must be at least 0"),
        ("--config.augment.flip=true", "task 'regression' uses nothing of config.augment"),
        ("--config.eval.best=explained", "did you mean 'explained_variance'"),
    ],
)
def test_what_cannot_be_is_one_line(installed, tmp_path, capsys, flag, says):
    config = str(installed / "experiments" / "waves.py")
    assert run(config, tmp_path / "run", "--config.steps=2", flag) == 2
    message = capsys.readouterr().err
    assert says in message
    assert message.count("\n") == 1


def test_the_corridor_ends_at_its_end():
    env = envs.create("corridor")
    right = lambda observation: jax.numpy.ones(observation.shape[0], "int32")
    found = vectorised.play(env, right, keys.root(0), 8).total
    # From places 0 to 2, so in 4 to 6 steps, the last of which is rewarded.
    assert set(np.asarray(found, np.float64).round(2)) <= {0.97, 0.96, 0.95}
