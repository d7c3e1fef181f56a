"""Parts of benchmarks/graphs.py: neighbours that are drawn, and how time and memory grow."""

import json
import math
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks import machine

PARTS = ("sampling", "epoch", "growth")
_SEEDS, _FAN_OUT = 512, (10, 10)
# Of a node; and which of them are learned from in a pass.
_EDGES_PER_NODE, _KNOWN = 10, 0.1
_SECONDS = 5


def sampling(most: int) -> None:
    """Prints edges a second of drawn neighbourhoods, on one core, by one thread."""
    from jaxdl.data import block_model, csr, neighbours

    if hasattr(os, "sched_setaffinity"):
        every = os.sched_getaffinity(0)
        os.sched_setaffinity(0, sorted(every)[:1])
    nodes, rng = most // _EDGES_PER_NODE, np.random.default_rng(0)
    labels = rng.permutation(np.arange(nodes, dtype=np.int32) % 5)
    pairs = block_model.draw_pairs(labels, 5, most, 0.5, rng)
    draw = neighbours.Sampler(csr.create(*pairs, nodes, "blocks"), _FAN_OUT)
    edges, seconds = 0, 0.0
    while seconds < _SECONDS:
        seeds = rng.choice(nodes, min(_SEEDS, nodes), replace=False)
        began = time.perf_counter()
        edges += draw(seeds, rng).drawn[-1]
        seconds += time.perf_counter() - began
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, every)
    print(f"sampling: {edges / seconds / 1e6:.2f} million edges a second on one core")


class Pass(NamedTuple):
    """What a pass over a graph's known nodes took.

    Attributes:
      edges: of the graph, undirected.
      seconds: of the pass.
      command: seconds of the whole command: the graph drawn, compiled, a pass, all nodes named.
      memory: bytes of the process at most.
    """

    edges: int
    seconds: float
    command: float
    memory: int


def one_pass(edges: int) -> Pass:
    """A pass of GraphSAGE of two layers over a tenth of the nodes, by the launcher."""
    nodes = edges // _EDGES_PER_NODE
    known = max(1, int(nodes * _KNOWN) // 5)
    seeds = min(_SEEDS, 5 * known // 4)
    with tempfile.TemporaryDirectory() as folder:
        flags = dict(nodes=nodes, edges=edges, seeds=seeds, labels_per_class=known)
        command = [sys.executable, "-c", _LAUNCH, "--config=experiments/graphsage.py:blocks"]
        command += [f"--config.data.{name}={value}" for name, value in flags.items()]
        command += ["--config.data.fan_out=(10,10)", "--config.model.hidden=(32,)"]
        command += ["--config.model.pooled=False", "--config.model.jump=", "--config.batch_size=1"]
        command += ["--config.model.norm=", "--config.model.residual=False"]
        command += ["--config.steps=none", "--config.epochs=1.0", "--config.log.report=false"]
        began = time.perf_counter()
        ran = subprocess.run(
            [*command, f"--workdir={folder}"], check=True, capture_output=True, text=True
        )
        seconds = time.perf_counter() - began
        found = json.loads((Path(folder) / "summary.json").read_text())
    memory = int(ran.stdout.split()[-1])
    return Pass(edges, 5 * known / found["examples_per_second"], seconds, memory)


# The launcher, and what it had in memory at most.
_LAUNCH = """
import sys
from jaxdl import launch
from benchmarks import machine
code = launch.main(sys.argv[1:])
print(machine.peak_memory())
sys.exit(code)
"""


def epoch(most: int) -> None:
    """Prints what a pass takes on the largest graph."""
    _tell(one_pass(most))


def growth(most: int) -> None:
    """Prints a pass on graphs of 1e4 edges and more, and the slope of both over their number."""
    sizes = [10**power for power in range(4, round(math.log10(most)) + 1)]
    found = [one_pass(size) for size in sizes]
    for each in found:
        _tell(each)
    for what in ("seconds", "memory"):
        print(f"{what} grow with the edges to the power of {slope(found, what):.2f}")


def slope(found: list[Pass], what: str) -> float:
    """Of the logarithm of what passes took over that of their edges, by least squares."""
    edges = np.log([each.edges for each in found])
    return float(np.polyfit(edges, np.log([getattr(each, what) for each in found]), 1)[0])


def _tell(one: Pass) -> None:
    print(
        f"{one.edges:.0e} edges: a pass {one.seconds:.2f} s, {one.command:.0f} s from command to "
        f"exit, {one.memory / 1e9:.2f} GB at most; {machine.cores()} cores"
    )
