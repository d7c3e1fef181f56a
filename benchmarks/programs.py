"""Whole programs, from the command to its exit: time and memory."""

import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from benchmarks import machine
from benchmarks.sides import SideError
from benchmarks.workloads import ROOT


class Run(NamedTuple):
    """One run of a program.

    Attributes:
      seconds: from the command to its exit.
      memory: bytes that it had in memory at once at most; the largest of the process and of those
        that it started and waited for, not their sum. On Linux no less than the process that calls
        `run` has had itself, which should therefore import little.
      output: what it printed on stdout.
    """

    seconds: float
    memory: int
    output: str


def run(
    command: Sequence[str],
    env: Mapping[str, str] | None = None,
    before: Callable[[], None] | None = None,
) -> Run:
    """Runs ``command`` in the project's folder.

    Args:
      command: program and arguments.
      env: further environment variables.
      before: called in the new process before its program starts.

    Raises:
      SideError: it did not start, or failed; the message is the last line that it said.
    """
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        began = time.perf_counter()
        try:
            process = subprocess.Popen(
                command, cwd=ROOT, env=os.environ | dict(env or {}), stdin=subprocess.DEVNULL,
                stdout=out, stderr=err, preexec_fn=before,
            )  # fmt: skip
        except OSError as error:
            raise SideError(f"{command[0]} does not start: {error.strerror}") from None
        try:
            # Of this one child: the sums that subprocess could give are of all there were.
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            process.kill()
            raise
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        if process.returncode:
            raise SideError((err.read().strip() or "no word").splitlines()[-1])
        return Run(seconds, machine.resident(usage.ru_maxrss), out.read())


def jax_caches(folder: str) -> dict[str, str]:
    """Environment variables by which jaxdl, and jax by itself, keep compiled programs there."""
    return {
        "JAXDL_CACHE": f"{folder}/jaxdl",
        "JAX_COMPILATION_CACHE_DIR": f"{folder}/jax",
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        "JAX_PLATFORMS": "cpu",
    }


def torch_caches(folder: str) -> dict[str, str]:
    """Environment variables by which torch.compile keeps its code there."""
    return {"TORCHINDUCTOR_CACHE_DIR": f"{folder}/inductor"}
