"""Bad input: one line that names the culprit and what is right, exit code 2, nothing written."""

import os
import subprocess
import sys

import numpy as np
import pytest
from etils import epath
from launching import ROOT, run

from jaxdl import config, data
from jaxdl.errors import UserError
from jaxdl.runs import workdir as folders

BAD = {
    "--config.epoch=3": "did you mean 'epochs'",
    "--config.model.hiden=3": "did you mean 'hidden'",
    "--config.optimizer.learning_rat=1": "did you mean 'learning_rate'",
    "--config.batch_size=abc": "must be a whole number",
    "--config.optimizer.learning_rate=fast": "must be a number",
    "--config.optimizer.learning_rate=-1": "above 0",
    "--config.augment.flip=maybe": "must be true or false",
    "--config.model.name=mpl": "did you mean 'mlp'",
    "--config.model.dropout=1.5": "dropout=1.5 must be at least 0 and at most 1",
    "--config.model.activation=geluu": "did you mean 'gelu'",
    "--config.optimizer.name=adamv": "did you mean 'adam'",
    "--config.optimizer.schedule=cosin": "did you mean 'cosine'",
    "--config.optimizer.momentum=.9": "optimizer 'adamw' has no 'momentum'",
    "--config.optimizer.groups=hed=0": "matches no parameter: did you mean 'head",
    "--config.optimizer.warmup=300": "the run has only",
    "--config.data.name=digit": "did you mean 'digits'",
    "--config.data.path=here": "takes none",
    "--config.task.name=clasification": "did you mean 'classification'",
    "--config.precision=fp16": "did you mean 'bf16'",
    "--config.batch_size=5000": "larger than the training data: 1437 examples",
    "--config.accumulate=3": "does not divide",
    "--config.epochs=2": "both set",
    "--config.steps=none": "how long is the run",
    "--config.eval.best=acuracy": "did you mean 'accuracy'",
    "--config.parallel.data=64": "there are",
    "--config.seed": "must be a whole number",
    "--config.optimizer=adam": "is a group",
    "--mode=trian": "did you mean 'train'",
    "--wrokdir=x": "did you mean 'workdir'",
}


def assert_refused(code, capsys, says, workdir):
    message = capsys.readouterr().err
    assert code == 2
    assert message.startswith("error: ")
    assert message.count("\n") == 1
    assert "Traceback" not in message
    assert says in message
    assert not workdir.exists()


@pytest.mark.parametrize("argument", BAD)
def test_bad_setting_is_one_clear_line_and_writes_nothing(argument, tmp_path, capsys):
    workdir = tmp_path / "run"
    assert_refused(run("mlp", workdir, argument), capsys, BAD[argument], workdir)


def test_unknown_variant_names_the_variants(tmp_path, capsys):
    workdir = tmp_path / "run"
    assert_refused(run("vit:B/61", workdir), capsys, "did you mean 'B/16'", workdir)


def test_variant_of_an_experiment_without_any(tmp_path, capsys):
    workdir = tmp_path / "run"
    assert_refused(run("lenet:B/16", workdir), capsys, "has no variants", workdir)


def test_missing_experiment_names_the_nearest_file(tmp_path, capsys):
    workdir = tmp_path / "run"
    assert_refused(run("vits", workdir), capsys, "vit.py", workdir)


def test_width_that_does_not_divide_into_heads(tmp_path, capsys):
    workdir = tmp_path / "run"
    code = run("vit", workdir, "--config.model.heads=5")
    assert_refused(code, capsys, "64 does not divide into 5 heads", workdir)


def test_patches_that_do_not_fit_the_image(tmp_path, capsys):
    workdir = tmp_path / "run"
    code = run("vit", workdir, "--config.model.patch_size=3")
    assert_refused(code, capsys, "8x8 pixels do not divide into patches of 3x3", workdir)


def test_a_folder_that_cannot_be_is_refused_before_anything_is_loaded(
    tmp_path, capsys, monkeypatch
):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(data, "load", lambda settings: pytest.fail("loaded data"))
    for place, says in (
        (tmp_path / "file", "is a file: name a folder"),
        (tmp_path / "file" / "a" / "run", f"would be in {tmp_path / 'file'}, which is a file"),
    ):
        assert run("mlp", place) == 2
        message = capsys.readouterr().err
        assert says in message
        assert message.count("\n") == 1
    # What the system says of a folder that is not this user's, whoever runs the tests.
    monkeypatch.setattr(os, "access", lambda path, mode: epath.Path(path) != tmp_path)
    for mode in ("train", "evaluate", "sample", "lr_find", "plan"):
        place = tmp_path / "a" / "run"
        code = run("mlp", place, f"--mode={mode}")
        assert_refused(code, capsys, f"no permission to write in {tmp_path}", place)


@pytest.mark.skipif(not os.path.exists("/proc/self"), reason="a folder that nobody can write to")
def test_a_folder_that_the_system_refuses_to_make_is_one_line():
    with (
        pytest.raises(UserError, match=r"^--workdir=/proc/x/run cannot be used: [^\n]*$"),
        folders.claimed(epath.Path("/proc/x/run"), config.default()),
    ):
        pass


@pytest.mark.parametrize("label", [-1, 7])
def test_label_out_of_range_is_named(label, tmp_path, capsys):
    labels = np.arange(64) % 4
    bad = labels[:16].copy()
    bad[5] = label
    images = np.zeros((64, 8, 8), np.uint8)
    file = tmp_path / "data.npz"
    np.savez(file, x_train=images, y_train=labels, x_test=images[:16], y_test=bad)
    workdir = tmp_path / "run"
    code = run("mlp", workdir, "--config.data.name=npz", f"--config.data.path={file}")
    assert_refused(code, capsys, f"label {label} of test example 5", workdir)


def test_another_runs_workdir_is_refused_with_the_keys_that_differ(tmp_path, capsys):
    workdir = tmp_path / "run"
    run("mlp", workdir)
    capsys.readouterr()
    files = {p: p.stat().st_mtime_ns for p in workdir.rglob("*")}
    assert run("mlp", workdir, "--config.optimizer.learning_rate=.5", "--config.seed=3") == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert "optimizer.learning_rate: 0.002 → 0.5" in message
    assert "seed: 0 → 3" in message
    assert "--accept_changes" in message
    assert {p: p.stat().st_mtime_ns for p in workdir.rglob("*")} == files


def test_settings_that_change_no_number_may_differ_and_others_be_accepted(tmp_path):
    workdir = tmp_path / "run"
    run("mlp", workdir)
    assert run("mlp", workdir, "--config.log.every=3") == 0
    assert run("mlp", workdir, "--config.steps=14", "--accept_changes") == 0


def test_debug_shows_the_traceback(tmp_path, capsys):
    assert run("mlp", tmp_path / "run", "--config.model.name=mpl", "--debug") == 2
    assert "Traceback" in capsys.readouterr().err


def test_help_lists_and_refusals_import_no_jax():
    """What takes a tenth of a second must not wait for what takes one."""
    said = """
import sys
from jaxdl.launch import main
vit = "--config=experiments/vit.py"
assert main(["--help"]) == main(["--list"]) == main(["--list=vit"]) == 0
for wrong in (["--confg=a"], ["--list=vti"],
              [vit, "--mode=trian"], [vit, "--config.optimizer.learning_rte=1"],
              [vit, "--config.batch_size=0"], [vit, "--config.epochs=ten"], ["--config=no.py"]):
    assert main(wrong) == 2, wrong
found = {"jax", "flax", "optax", "matplotlib", "sklearn"} & {*sys.modules}
assert not found, found
"""
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", said], env=env, cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr[-2000:]
