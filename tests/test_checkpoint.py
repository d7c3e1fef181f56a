"""Nothing is lost: killed, damaged, stopped and full disks, and what the run then does."""

import gc
import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from types import SimpleNamespace
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from etils import epath
from launching import ROOT, SHORT, assert_same_bits, figures, leaves, run, summary
from ml_collections import ConfigDict

from jaxdl import experiment, keys, trees
from jaxdl.errors import DamagedError, UserError
from jaxdl.launch import flags
from jaxdl.runs import checkpoint, checksum, complaints, lock

FLAGS = ("--config.eval.every=4", "--config.log.every=1", "--config.model.hidden=16")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run of 12 steps with checkpoints at 8 and 12 (and maybe an earlier best)."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    assert run("mlp", folder, *FLAGS) == 0
    return folder


def files_of(folder, step):
    return sorted(p for p in (folder / "checkpoints" / str(step)).rglob("*") if p.is_file())


def flip(file):
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 0x10
    file.write_bytes(bytes(data))


def truncate(file):
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def delete(file):
    file.unlink()


DAMAGE = {"flipped": flip, "truncated": truncate, "deleted": delete}


@pytest.fixture(scope="module")
def made():
    """The experiment of `finished`, which knows what a checkpoint of it holds."""
    file = ROOT / "experiments" / "mlp.py"
    return experiment.create(flags.parse([f"--config={file}", *SHORT, *FLAGS]).config)


def restored(made, folder):
    """(the checkpoint that a run in the folder would go on from, what it says of the others)."""
    wanted, told = {"state": made.abstract_state, "window": made.abstract_window}, []
    with checkpoint.Checkpoints(folder, made.config, told.append) as checkpoints:
        return checkpoints.restore(wanted), told


def by_name(state):
    return dict(zip(trees.leaf_names(state), jax.tree.leaves(state), strict=True))


def test_a_run_that_begins_makes_no_folder_before_it_saves(tmp_path):
    config = ConfigDict({"checkpoint": {"keep": 2}})
    tree = {"state": {"w": jnp.ones(3, jnp.float32)}}
    with checkpoint.Checkpoints(tmp_path, config) as checkpoints:
        assert checkpoints.restore(tree) is None
        assert checkpoints.latest_step() is checkpoints.best_step() is None
        assert not (tmp_path / "checkpoints").exists()
        checkpoints.save(5, tree, {}, rank=1.0)
        checkpoints.wait()
        assert checkpoints.latest_step() == checkpoints.best_step() == 5
    np.testing.assert_array_equal(checkpoint.restore(tmp_path)["w"], 1)


@pytest.mark.parametrize("how", DAMAGE)
def test_any_damaged_file_of_the_newest_step_is_noticed_or_does_no_harm(
    how, finished, made, tmp_path
):
    names = [p.relative_to(finished) for p in files_of(finished, 12)]
    assert len(names) > 8
    sound = {step: by_name(checkpoint.restore(finished, step)) for step in (8, 12)}
    fell_back = 0
    for i, name in enumerate(names):
        folder = tmp_path / str(i)
        shutil.copytree(finished, folder)
        if (folder / name).stat().st_size == 0 and how != "deleted":
            continue
        DAMAGE[how](folder / name)
        found, told = restored(made, folder)
        if found.step != 12:
            fell_back += 1
            (line,) = told
            assert "checkpoint 12 is damaged" in line
            assert "set aside, 8 is used" in line
            assert (folder / "damaged" / "12").is_dir()
        else:
            assert told == []
        state = by_name(found.tree["state"])
        assert state.keys() == sound[found.step].keys()
        for leaf, value in state.items():
            np.testing.assert_array_equal(value, sound[found.step][leaf])
    # Files that hold no part of the state may be harmed without harm; those that do are noticed.
    assert fell_back >= 5


def test_a_damaged_newest_checkpoint_leaves_the_result_as_it_was(finished, tmp_path, capsys):
    folder = tmp_path / "run"
    shutil.copytree(finished, folder)
    for file in files_of(folder, 12):
        if "state" in file.parts and "d" in file.parts:
            flip(file)
    assert run("mlp", folder, *FLAGS) == 0
    assert "checkpoint 12 is damaged" in capsys.readouterr().out
    assert_same_bits(leaves(finished), leaves(folder))
    assert figures(folder, "train") == figures(finished, "train")


def test_a_run_that_is_at_work_may_be_evaluated_and_neither_trained_nor_touched(
    finished, tmp_path, capsys
):
    folder = tmp_path / "run"
    shutil.copytree(finished, folder)
    (folder / "checkpoints" / "99").mkdir()  # as one that is just being written
    with lock.Lock(epath.Path(folder / "lock.json"), "it") as own:
        for _ in own.rounds():
            pass
        there = {p: p.stat().st_mtime_ns for p in folder.rglob("*") if "events" not in str(p)}
        assert run("mlp", folder, *FLAGS) == 2
        message = capsys.readouterr().err
        assert message.startswith(f"error: --workdir={folder} is in use by process {os.getpid()} ")
        assert message.count("\n") == 1
        before = (folder / "metrics.jsonl").read_text()
        assert run("mlp", folder, *FLAGS, "--mode=evaluate") == 0
        lines = (folder / "metrics.jsonl").read_text()
        assert lines.startswith(before)
        assert lines.count("\n") == before.count("\n") + 1
        after = {p: p.stat().st_mtime_ns for p in folder.rglob("*") if "events" not in str(p)}
        assert {p for p in there | after if there.get(p) != after.get(p)} <= {
            folder / "metrics.jsonl", folder
        }  # fmt: skip
    assert not (folder / "lock.json").exists()


def test_empty_step_folder_is_set_aside(finished, made, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(finished, folder)
    (folder / "checkpoints" / "99").mkdir()
    found, (line,) = restored(made, folder)
    assert "checkpoint 99 is damaged (an empty folder)" in line
    assert found.step == 12


def test_without_a_sound_checkpoint_the_run_stops_and_touches_nothing(finished, tmp_path, capsys):
    folder = tmp_path / "run"
    shutil.copytree(finished, folder)
    steps = [int(p.name) for p in (folder / "checkpoints").iterdir()]
    for step in steps:
        for file in files_of(folder, step):
            if "/d/" in str(file):
                flip(file)
    before = {
        p: p.read_bytes() for p in folder.rglob("*") if p.is_file() and "events" not in p.parts
    }
    assert run("mlp", folder, *FLAGS) == 4
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert "no checkpoint" in message
    after = {
        p: p.read_bytes() for p in folder.rglob("*") if p.is_file() and "events" not in p.parts
    }
    assert before == after


def test_restore_for_research_code_notices_damage(finished, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(finished, folder)
    for file in files_of(folder, 12):
        if "state" in file.parts and "d" in file.parts:
            flip(file)
    with pytest.raises(DamagedError, match="checkpoint 12 is damaged"):
        checkpoint.restore(folder)
    assert checkpoint.restore(folder, 8)["params"]["head"]["kernel"].shape == (16, 10)


# What a checkpoint of three arrays is made of, by the place of a file: {pattern: what is told of a
# file that is cut short, and of one that is gone}.
TOLD = {
    "manifest/metadata": ("its manifest is not what was written", "its manifest is missing"),
    "state/_METADATA": ("state/_METADATA is not what was written", "state/_METADATA is missing"),
    "state/manifest.ocdbt": (
        "state/manifest.ocdbt is not what was written", "state/manifest.ocdbt is missing"
    ),
    "state/d/*": (r"state/d/\w+ is cut short", r"state/d/\w+ is missing"),
    "state/ocdbt.process_0/d/*": (
        r"state/[abc] cannot be read: its file is cut short",
        r"state/[abc] cannot be read: its file is missing or not what was written",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def three_arrays(tmp_path_factory):
    """A folder with one checkpoint, of arrays too large to lie beside their index; and its tree."""
    folder = tmp_path_factory.mktemp("three")
    draw = np.random.default_rng(0).normal
    tree = {"state": {name: jnp.asarray(draw(size=2000), jnp.float32) for name in "abc"}}
    with checkpoint.Checkpoints(folder, ConfigDict({"checkpoint": {"keep": 1}})) as checkpoints:
        checkpoints.save(1, tree, {}, None)
    return folder, tree


@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("pattern", TOLD)
@pytest.mark.parametrize("how", ["truncated", "deleted"])
def test_what_is_wrong_with_a_checkpoint_is_told_in_our_words_and_by_nobody_else(
    how, pattern, three_arrays, tmp_path, capfd
):
    base, tree = three_arrays
    names = [p.relative_to(base) for p in (base / "checkpoints" / "1").glob(pattern)]
    here = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    wanted = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=here), tree)
    reasons = []
    for i, name in enumerate(names):
        folder = tmp_path / str(i)
        shutil.copytree(base, folder)
        DAMAGE[how](folder / name)
        try:
            with checkpoint.Checkpoints(
                folder, ConfigDict({"checkpoint": {"keep": 1}})
            ) as checkpoints:
                checkpoints.restore(wanted)
        except DamagedError as error:
            reasons.append(str(error))
        try:
            checkpoint.restore(folder)
        except DamagedError as error:
            reasons.append(str(error))
    expected = TOLD[pattern][how == "deleted"]
    # Of the files behind the arrays not all are in use: there are former versions of the index.
    assert len(reasons) >= 2
    for reason in reasons:
        assert re.search(rf"(\(1: |is damaged: ){expected}(\); nothing was changed)?$", reason), (
            reason
        )
    time.sleep(0.05)  # for threads that are late
    gc.collect()
    assert capfd.readouterr() == ("", "")


def test_only_what_orbax_left_behind_is_kept_quiet(monkeypatch):
    heard = []
    monkeypatch.setattr(sys, "unraisablehook", heard.append)
    complaints.keep_quiet()
    hook = sys.unraisablehook
    complaints.keep_quiet()
    assert sys.unraisablehook is hook
    told = [SimpleNamespace(object=o, exc_value=RuntimeError(text)) for o, text in (
        (None, "Event loop is closed"), (None, "another"), (heard, "Event loop is closed")
    )]  # fmt: skip
    for caught in told:
        hook(caught)
    assert heard == told[1:]


CHANGES = {
    "another width": (
        "--config.model.hidden=8",
        "has state/params/dense_0/bias as float32[16], not float32[8]",
    ),
    "another optimizer": ("--config.optimizer.name=sgd", "which this model and optimizer have not"),
    "an average": ("--config.ema=.9", "lacks state/average"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_checkpoint_of_something_else_is_one_line_that_names_the_leaf(name, finished, tmp_path):
    flag, says = CHANGES[name]
    file = ROOT / "experiments" / "mlp.py"
    other = experiment.create(flags.parse([f"--config={file}", *SHORT, *FLAGS, flag]).config)
    folder = tmp_path / "run"
    shutil.copytree(finished, folder)
    with pytest.raises(UserError) as caught:
        restored(other, folder)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def rewrite_manifest(folder, step, change):
    """Changes a manifest and its own checksum with it, as another version would have written it."""
    (file,) = (f for f in files_of(folder, step) if "manifest" in f.parts and f.name == "metadata")
    stored = json.loads(file.read_text())
    change(stored["content"])
    stored["crc"] = checkpoint._crc(stored["content"])
    file.write_text(json.dumps(stored))


def test_an_array_that_is_not_what_was_saved_is_damaged(tmp_path):
    tree = {"state": {"a": jnp.arange(4.0), "b": jnp.ones(3)}}
    like = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding), tree)

    def other(content):
        leaves = content["leaves"]
        leaves["state/a"]["sum"], leaves["state/b"]["sum"] = (
            leaves["state/b"]["sum"], leaves["state/a"]["sum"],
        )  # fmt: skip

    with checkpoint.Checkpoints(tmp_path, ConfigDict({"checkpoint": {"keep": 1}})) as checkpoints:
        checkpoints.save(7, tree, {}, None)
        checkpoints.wait()
        rewrite_manifest(tmp_path, 7, other)
        with pytest.raises(checkpoint.DamagedError, match="state/a and 1 more is wrong"):
            checkpoints.restore(like)
    with pytest.raises(checkpoint.DamagedError, match="7 is damaged: checksum of state/a"):
        checkpoint.restore(tmp_path)


class Earlier(NamedTuple):
    rows: jax.Array
    gone: None = None


class Later(NamedTuple):
    new: None
    rows: jax.Array
    more: tuple = ()


def test_what_holds_no_array_may_come_and_go_with_versions(tmp_path):
    config, rows = ConfigDict({"checkpoint": {"keep": 1}}), jnp.arange(3.0)
    like = jax.ShapeDtypeStruct(rows.shape, rows.dtype, sharding=rows.sharding)
    with checkpoint.Checkpoints(tmp_path, config) as checkpoints:
        checkpoints.save(7, {"state": {"known": Earlier(rows), "run": (None, rows)}}, {}, None)
        checkpoints.wait()
        wanted = {"state": {"known": Later(None, like), "run": ({}, like)}}
        found = checkpoints.restore(wanted).tree
    assert jax.tree.structure(found) == jax.tree.structure(wanted)
    for leaf in jax.tree.leaves(found):
        np.testing.assert_array_equal(leaf, rows)


@pytest.mark.parametrize("root", [keys.root, jax.random.key], ids=["jaxdl", "jax"])
def test_keys_in_a_state_come_back(root, tmp_path):
    key = jnp.stack([root(3), root(4)])
    tree = {"state": {"key": key, "more": [jnp.ones(2), root(5)]}}
    config = ConfigDict({"checkpoint": {"keep": 1}})
    like = lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding)
    with checkpoint.Checkpoints(tmp_path, config) as checkpoints:
        checkpoints.save(7, tree, {}, None)
        checkpoints.wait()
        found = checkpoints.restore(jax.tree.map(like, tree)).tree
    for state in (found["state"], checkpoint.restore(tmp_path)):
        assert state["key"].dtype == key.dtype
        assert (state["key"] == key).all()
        assert state["more"][1] == root(5)


def test_newer_format_and_wrong_dtype_are_told(finished, made, tmp_path, capsys):
    folder = tmp_path / "run"
    shutil.copytree(finished, folder)
    rewrite_manifest(folder, 12, lambda content: content.update(format=99))
    assert run("mlp", folder, *FLAGS) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert "checkpoint 12 has format 99" in message

    def halve(content):
        content["format"] = 1
        content["leaves"]["state/params/head/bias"]["dtype"] = "bfloat16"

    rewrite_manifest(folder, 12, halve)
    with pytest.raises(UserError, match=r"params/head/bias as bfloat16\[10\], not float32\[10\]"):
        restored(made, folder)


FULL = """
import resource, sys
from jaxdl import launch
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))  # as if the disk held no more
sys.exit(launch.main(sys.argv[1:]))
"""


def test_failed_write_ends_the_run_and_names_the_step(tmp_path):
    argv = [f"--config={ROOT}/experiments/mlp.py", f"--workdir={tmp_path / 'run'}", *SHORT, *FLAGS]
    run = subprocess.run(
        [sys.executable, "-c", FULL, *argv, "--config.model.hidden=512,512"],
        capture_output=True,
        text=True,
        env={**os.environ, "JAX_ENABLE_COMPILATION_CACHE": "0"},  # whose files are large too
    )
    assert run.returncode == 5, run.stderr
    (message,) = [line for line in run.stderr.splitlines() if line.startswith("error: ")]
    assert message.startswith("error: checkpoint 4 could not be written: ")
    assert "File too large" in message
    # Nothing half-written passes for a checkpoint.
    assert not [f for f in (tmp_path / "run" / "checkpoints").iterdir() if f.name.isdigit()]


# Checksums


TREE = {
    "f": jnp.arange(12.0).reshape(3, 4),
    "h": jnp.arange(5, dtype=jnp.bfloat16),
    "i": jnp.arange(7),
    "b": jnp.array([True, False]),
    "u": jnp.arange(9, dtype=jnp.uint8),
    "k": jax.random.key(3),
    "s": jnp.float32(2.5),
}


def test_every_flipped_bit_changes_the_checksum_of_its_leaf():
    sums = checksum.checksums(TREE)
    assert checksum.damaged(TREE, sums) == []
    for name in ("f", "h", "i", "u", "s"):
        raw = np.asarray(TREE[name])
        for byte, bit in itertools.product(range(raw.nbytes), range(8)):
            changed = bytearray(raw.tobytes())
            changed[byte] ^= 1 << bit
            leaf = np.frombuffer(bytes(changed), raw.dtype).reshape(raw.shape)
            assert checksum.checksums({name: leaf})[name] != sums[name]


def test_swapped_elements_and_lost_leaves_are_noticed():
    sums = checksum.checksums(TREE)
    assert checksum.damaged({**TREE, "f": TREE["f"][::-1]}, sums) == ["f"]
    without = {k: v for k, v in TREE.items() if k != "u"}
    assert checksum.damaged(without, sums) == ["u"]


def test_checksum_is_the_same_on_the_host():
    tree = {**TREE, "c": jnp.array([1 + 2j, 3 - 4j]), "empty": jnp.zeros((0, 3))}
    on_host = jax.tree.map(lambda x: x if x is TREE["k"] else np.asarray(x), tree)
    assert checksum.checksums_on_host(on_host) == checksum.checksums(tree)
    wide = {"d": np.linspace(0, 1, 5), "l": np.arange(5)}
    with jax.enable_x64(True):
        assert checksum.checksums_on_host(wide) == checksum.checksums(jax.tree.map(jnp.array, wide))


def test_what_was_written_in_64_bits_is_not_called_damaged_in_32(tmp_path):
    config, shape = ConfigDict({"checkpoint": {"keep": 1}}), jax.ShapeDtypeStruct((3,), "float32")
    here = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    with jax.enable_x64(True):
        tree = {"state": {"x": jnp.array([1.0, 1 / 3, 2e-9])}}
        with checkpoint.Checkpoints(tmp_path, config) as checkpoints:
            checkpoints.save(3, tree, {}, None)
        assert checkpoint.restore(tmp_path)["x"].dtype == "float64"
    with pytest.raises(UserError, match=r"state/x as float64.*set JAX_ENABLE_X64=1"):
        checkpoint.restore(tmp_path)
    abstract = {"state": {"x": shape.update(sharding=here)}}
    with (
        checkpoint.Checkpoints(tmp_path, config) as checkpoints,
        pytest.raises(UserError, match=r"state/x as float64.*set JAX_ENABLE_X64=1"),
    ):
        checkpoints.restore(abstract)


def test_checksum_does_not_depend_on_the_devices():
    mesh = jax.make_mesh((4,), ("x",), axis_types=(jax.sharding.AxisType.Auto,))
    x = jnp.arange(64.0).reshape(8, 8)
    split = jax.device_put(x, jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("x")))
    assert checksum.checksums({"x": split}) == checksum.checksums({"x": x})


# Signals


def command(folder, *flags):
    file = ROOT / "experiments" / "mlp.py"
    return [sys.executable, "-m", "jaxdl.launch", f"--config={file}", f"--workdir={folder}",
            *SHORT, *LONG, *flags]  # fmt: skip


# Some seconds of steps, so that a signal finds the run at work.
LONG = ("--config.steps=3000", "--config.checkpoint.every=100", "--config.eval.every=500",
        "--config.model.hidden=16", "--config.log.every=250")  # fmt: skip


def start(folder, *flags):
    return subprocess.Popen(
        command(folder, *flags), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def wait_for_checkpoint(folder, process, seconds=120):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.poll() is None:
        steps = folder / "checkpoints"
        if steps.is_dir() and any(p.name.isdigit() for p in steps.iterdir()):
            return
        time.sleep(0.05)
    raise AssertionError(f"no checkpoint came: {process.communicate()[0]}")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    assert run("mlp", folder, *LONG) == 0
    return folder


@pytest.mark.parametrize(
    "number, code",
    [
        (signal.SIGTERM, 143),
        pytest.param(signal.SIGINT, 130, marks=pytest.mark.slow("jaxdl/runs/", "jaxdl/train/")),
    ],
)
def test_signal_saves_and_the_same_command_goes_on(number, code, undisturbed, tmp_path):
    folder = tmp_path / "run"
    process = start(folder)
    wait_for_checkpoint(folder, process)
    process.send_signal(number)
    out, _ = process.communicate(timeout=120)
    assert process.returncode == code, out
    assert "stopped and saved at step" in out
    assert run("mlp", folder, *LONG) == 0
    assert_same_bits(leaves(undisturbed), leaves(folder))
    for split in ("train", "eval"):
        assert figures(undisturbed, split) == figures(folder, split)
    assert summary(folder)["best"] == summary(undisturbed)["best"]


@pytest.mark.slow("jaxdl/runs/", "jaxdl/train/")
def test_killed_at_ten_random_moments_the_run_ends_as_if_undisturbed(undisturbed, tmp_path):
    folder = tmp_path / "run"
    rng = np.random.default_rng(0)
    kills = 0
    while kills < 10:
        process = start(folder)
        time.sleep(float(rng.uniform(3.0, 7.0)))  # start-up, steps, and the middle of saves
        if process.poll() is not None:
            # It came to its end between two kills: begin anew, for as many kills as promised.
            assert process.returncode == 0, process.communicate()[0]
            assert_same_bits(leaves(undisturbed), leaves(folder))
            shutil.rmtree(folder)
            continue
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        kills += 1
    assert run("mlp", folder, *LONG) == 0
    assert_same_bits(leaves(undisturbed), leaves(folder))
    assert figures(undisturbed, "train") == figures(folder, "train")
