"""The processes that are compared: each waits, stopped, until it is its turn."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Self

from benchmarks.workloads import ROOT, Workload

# PyTorch's as one writes it, and with its images and convolutions in the format channels_last.
PLAIN, CHANNELS_LAST = ("eager", "compile"), ("eager_nhwc", "compile_nhwc")
SIDES = ("ours", *PLAIN, *CHANNELS_LAST)


def end_with_us() -> None:
    """Makes SIGTERM, and a closed terminal, an exit like any other: no stopped process stays."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: sys.exit(128 + number))


class SideError(Exception):
    """A side that could not do what it was asked; the message is its own last word."""


class Process:
    """A worker process that answers orders, a JSON object a line each.

    It is stopped by a signal while it is not asked anything, so that no thread of it that spins or
    polls takes time from the others.

    Args:
      name: of messages.
      command: program and arguments.
      env: further environment variables.
    """

    def __init__(self, name: str, command: Sequence[str], env: Mapping[str, str] | None = None):
        self.name = name
        # In a session of its own: helpers that it starts stop and end with it.
        self._process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=os.environ | dict(env or {}),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if not os.environ.get("BENCHMARK_VERBOSE") else None,
            text=True,
            start_new_session=True,
        )
        self._signal(signal.SIGSTOP)

    def ask(self, do: str, **details: Any) -> dict[str, Any]:
        """Lets the process run until it has answered.

        Raises:
          SideError: it failed, or ended.
        """
        assert self._process.stdin
        assert self._process.stdout
        self._signal(signal.SIGCONT)
        try:
            self._process.stdin.write(json.dumps({"do": do, **details}) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise SideError(f"{self.name} ended: {self._last_words()}")
        self._signal(signal.SIGSTOP)
        answer = json.loads(line)
        if "error" in answer:
            raise SideError(f"{self.name}: {answer['error']}")
        return answer

    def _last_words(self) -> str:
        if self._process.stderr is None:
            return "see above"
        text = self._process.stderr.read().strip()
        return text.splitlines()[-1] if text else f"exit code {self._process.wait()}"

    def _signal(self, number: int) -> None:
        if self._process.poll() is None:
            os.killpg(self._process.pid, number)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: Any) -> None:
        self._signal(signal.SIGKILL)
        self._process.communicate()


class Side(Process):
    """One side of one workload (benchmarks/worker.py).

    Args:
      side: one of SIDES.
      workload: what it trains.
      python: its interpreter.
      env: further environment variables.
      **flags: further ones of benchmarks/worker.py.
    """

    def __init__(
        self,
        side: str,
        workload: Workload,
        python: str = sys.executable,
        env: Mapping[str, str] | None = None,
        **flags: Any,
    ):
        command = [python, "-m", "benchmarks.worker", f"--side={side}"]
        command += [f"--workload={workload.to_json()}"]
        command += [f"--{name}={value}" for name, value in flags.items()]
        super().__init__(side, command, env)
