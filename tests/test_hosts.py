"""Two processes on this machine, as two hosts: one run, with the result of a single process."""

import os
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest
from launching import REPORT, ROOT, SHORT, assert_same_bits, figures, leaves, run, summary

FLAGS = (
    "--config.batch_size=48",
    "--config.eval.batch_size=100",
    "--config.model.hidden=32",
    "--config.parallel.data=-1",
)
# The notice of a signal takes up to a second to reach the run: many seconds are left for it.
LONG = (
    "--config.steps=4000",
    "--config.steps_per_call=8",
    "--config.checkpoint.every=200",
    "--config.eval.every=1000",
    "--config.log.every=1000",
)


def free_port():
    with socket.socket() as listening:
        listening.bind(("localhost", 0))
        return listening.getsockname()[1]


def start(workdirs, *flags):
    """Two launchers of two devices each; standard error apart, as Gloo and JAX are talkative."""
    environment = {
        **os.environ,
        "XLA_FLAGS": "--xla_force_host_platform_device_count=2",
        "JAX_NUM_PROCESSES": "2",
        "JAX_COORDINATOR_ADDRESS": f"localhost:{free_port()}",
    }
    file = ROOT / "experiments" / "mlp.py"
    return [
        subprocess.Popen(
            [sys.executable, "-m", "jaxdl.launch", f"--config={file}", f"--workdir={folder}",
             *SHORT, *FLAGS, *flags],
            env={**environment, "JAX_PROCESS_ID": str(i)},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for i, folder in enumerate(workdirs)
    ]  # fmt: skip


def finish(processes):
    """The exit codes, standard outputs and errors of all."""
    ended = [process.communicate(timeout=240) for process in processes]
    return [p.returncode for p in processes], [out for out, _ in ended], [err for _, err in ended]


def test_two_processes_are_one_run_with_the_result_of_one(tmp_path):
    codes, outs, errors = finish(start([tmp_path / "two"] * 2, "--config.steps=20", REPORT))
    assert codes == [0, 0], errors
    assert "report" in outs[0]
    assert "step" not in outs[1]  # files and words come from process 0
    assert "workdir" not in outs[1]
    assert (
        run("mlp", tmp_path / "one", *FLAGS, "--config.steps=20", "--config.parallel.data=1") == 0
    )
    for a, b in zip(leaves(tmp_path / "one"), leaves(tmp_path / "two"), strict=True):
        # AdamW's first steps magnify rounding: they divide by the gradient's own size.
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
    one, two = (figures(tmp_path / name, "eval")[-1] for name in ("one", "two"))
    assert one["accuracy"] == two["accuracy"]
    assert summary(tmp_path / "two")["devices"] == 4


@pytest.mark.slow("jaxdl/parallel/", "jaxdl/train/")
def test_preempted_on_one_host_both_stop_at_one_step_and_go_on(tmp_path):
    folder = tmp_path / "run"
    processes = start([folder] * 2, *LONG)
    deadline = time.monotonic() + 120
    while not (folder / "checkpoints" / "200").is_dir():
        assert time.monotonic() < deadline
        assert all(p.poll() is None for p in processes), finish(processes)
        time.sleep(0.05)
    processes[1].send_signal(signal.SIGTERM)
    codes, _, errors = finish(processes)
    assert codes == [143, 143], errors
    said = [next(line for line in e.splitlines() if "stopped and saved" in line) for e in errors]
    assert said[0] == said[1]
    codes, _, errors = finish(start([folder] * 2, *LONG))
    assert codes == [0, 0], errors
    codes, _, errors = finish(start([tmp_path / "whole"] * 2, *LONG))
    assert codes == [0, 0], errors
    assert_same_bits(leaves(tmp_path / "whole"), leaves(folder))
    assert figures(tmp_path / "whole", "train") == figures(folder, "train")


def test_workdir_that_the_hosts_do_not_share_is_refused(tmp_path):
    codes, _, errors = finish(start([tmp_path / "a", tmp_path / "b"], "--config.steps=20"))
    assert codes == [2, 2], errors
    for error in errors:
        assert "is not the same folder on all 2 hosts" in error
        assert "Traceback" not in error
