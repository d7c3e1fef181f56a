"""Models that the comparison needs and `jaxdl.models` does not have yet, from jaxdl.layers."""

import importlib

from benchmarks.workloads import Workload

_FILES = {
    "benchmark_gpt": "gpt",
    "benchmark_lstm": "lstm",
}


def register(workload: Workload) -> None:
    """Makes the workload's model known to `jaxdl.models`."""
    if workload.model in _FILES:
        importlib.import_module(f"benchmarks.models.{_FILES[workload.model]}")
