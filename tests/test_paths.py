"""Paths that begin with ``~``, wherever they are given."""

import ast
import os

import jax
import numpy as np
import pytest
from launching import ROOT
from PIL import Image

from jaxdl import config as settings
from jaxdl import data, experiment, models, paths, pretrained, process
from jaxdl.errors import UserError
from jaxdl.launch import flags
from jaxdl.runs import checkpoint

MLP = str(ROOT / "experiments" / "mlp.py")


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home folder of one's own, and another folder to be in."""
    (tmp_path / "home").mkdir()
    (tmp_path / "here").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "home"


@pytest.mark.parametrize(
    "given, right",
    [
        ("~", "HOME"),
        ("~/a b/~c", "HOME/a b/~c"),
        ("./~", "./~"),
        ("a/~/b", "a/~/b"),
        ("gs://bucket/~/b", "gs://bucket/~/b"),
        ("", ""),
    ],
)
def test_a_home_folder_is_what_a_shell_makes_of_it(given, right, home):
    assert paths.expanded(given) == right.replace("HOME", str(home))


def test_a_name_that_is_nobodys_is_a_file_that_is_there_or_an_error(home):
    with pytest.raises(UserError, match=r"nobody here is called 'no-such-user'.*\./~no-such-user"):
        paths.expanded("~no-such-user/runs")
    (home.parent / "here" / "~draft.png").write_text("")
    assert paths.expanded("~draft.png") == "~draft.png"
    assert paths.expanded("~root/x") == os.path.expanduser("~root/x")


def test_flags_and_settings_lead_home(home):
    (home / "mlp.py").write_text((ROOT / "experiments" / "mlp.py").read_text())
    given = [
        *("--config=~/mlp.py", "--workdir=~/runs/a", "--config.pretrained.source=~/w.pth"),
        *("--config.data.name=text", "--config.data.path=~/texts"),
        "--config.data.tokenizer=~/t/tokenizer.json",
    ]
    options = flags.parse(given)
    assert options.workdir == f"{home}/runs/a"
    flat = settings.flatten(options.config)
    assert flat["data.path"] == f"{home}/texts"
    assert flat["data.tokenizer"] == f"{home}/t/tokenizer.json"
    assert flat["pretrained.source"] == f"{home}/w.pth"
    assert flags.parse(["--mode=predict", "--input=~/*.jpg"]).input == f"{home}/*.jpg"
    # What is no path stays: a class may be called so.
    given = [f"--config={MLP}", "--config.data.anomaly=~/x", "--config.data.classes=~/x,b"]
    flat = settings.flatten(flags.parse(given).config)
    assert (flat["data.anomaly"], flat["data.classes"]) == ("~/x", ["~/x", "b"])


def test_an_experiment_files_own_paths_lead_home(home):
    config = flags.parse([f"--config={MLP}"]).config
    np.savez(home / "a.npz", x=np.zeros((80, 8, 8, 1), np.uint8), y=np.arange(80) % 2)
    config.data.update(name="npz", path="~/a.npz")
    made = experiment.create(config)
    assert len(made.run.data.class_names) == 2
    assert config.data.path == f"{home}/a.npz"


def test_what_research_code_calls_leads_home(home):
    for name in ("a", "b"):
        (home / "pictures" / name).mkdir(parents=True)
        for i in range(4):
            Image.new("RGB", (4, 4)).save(home / "pictures" / name / f"{i}.png")
    given = settings.default().data.to_dict() | {"name": "folder", "path": "~/pictures"}
    assert data.load(given).class_names == ("a", "b")
    module = models.create("lenet", num_classes=2)
    variables = jax.eval_shape(module.init, jax.random.key(0), np.zeros((1, 32, 32, 1), np.float32))
    variables = jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), variables)
    pretrained.save(module, variables, "~/lenet.safetensors")
    assert (home / "lenet.safetensors").is_file()
    assert pretrained.tensors.locate("~/lenet.safetensors") == home / "lenet.safetensors"
    with pytest.raises(UserError, match="no checkpoint"):
        checkpoint.restore("~/run")
    assert not list((home.parent / "here").iterdir())


@pytest.mark.parametrize(
    "name, value, right",
    [
        ("JAXDL_CACHE", "~/kept", "HOME/kept/xla"),
        ("XDG_CACHE_HOME", "~/kept", "HOME/kept/jaxdl/xla"),
        ("", "", "HOME/.cache/jaxdl/xla"),
        ("JAX", "~/xla", "HOME/xla"),
    ],
)
def test_compiled_programs_lie_at_home(name, value, right, home, monkeypatch):
    before = jax.config.jax_compilation_cache_dir
    for variable in ("JAXDL_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(variable, raising=False)
    if name not in ("", "JAX"):
        monkeypatch.setenv(name, value)
    try:
        # What JAX_COMPILATION_CACHE_DIR says is there when jax is imported.
        jax.config.update("jax_compilation_cache_dir", value if name == "JAX" else None)
        process.use_compilation_cache()
        assert jax.config.jax_compilation_cache_dir == right.replace("HOME", str(home))
    finally:
        jax.config.update("jax_compilation_cache_dir", before)


def test_there_is_no_second_place():
    found = {
        str(file.relative_to(ROOT))
        for file in (ROOT / "jaxdl").rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Attribute) and node.attr in ("expanduser", "home")
    }
    assert found == {"jaxdl/paths.py"}
