"""Parts of benchmarks/graphs.py: neighbours that are drawn, and how time and memory grow."""

import json
import math
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks import graph_growth, machine

PARTS = ("sampling", "opening", "epoch", "growth")
_SEEDS, _FAN_OUT = 512, (10, 10)
# Of a node; and which of them are learned from in a pass.
_EDGES_PER_NODE, _KNOWN = 10, 0.1
_SECONDS = 5


def sampling(most: int, keep: bool = False) -> None:
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


def opening(most: int, keep: bool = False) -> None:
    """Prints what it takes to read own files, and to open what was kept of them."""
    with tempfile.TemporaryDirectory() as folder:
        arrays = written(Path(folder), most)
        for what in ("read from text", "opened again"):
            ran = subprocess.run(
                [sys.executable, "-c", _OPEN, folder],
                check=True,
                capture_output=True,
                text=True,
                env={**os.environ, "JAXDL_CACHE": f"{folder}/cache"},
            )
            found = json.loads(ran.stdout)
            print(
                f"opening: {most:.0e} edges {what} in {found['seconds']:.2f} s "
                f"({found['processor']:.2f} s of processor time), {found['memory'] / 1e6:.0f} MB "
                f"more at most; the arrays have {arrays / 1e6:.0f} MB",
                flush=True,
            )


def written(folder: Path, edges: int) -> int:
    """Writes files as of data set "edge_list"; returns the bytes of the arrays that they become.

    Args:
      folder: that is there.
      edges: rows of the table of them.
    """
    from jaxdl.data import block_model

    nodes, rng = edges // _EDGES_PER_NODE, np.random.default_rng(0)
    labels = rng.permutation(np.arange(nodes, dtype=np.int32) % 5)
    pairs = block_model.draw_pairs(labels, 5, edges, 0.5, rng)
    with (folder / "edges.csv").open("w") as file:
        file.writelines(f"{a},{b}\n" for a, b in pairs.T.tolist())
    np.savez(folder / "features.npz", features=rng.standard_normal((nodes, 16), np.float32))
    np.savez(folder / "labels.npz", labels=labels)
    return 8 * (nodes + 1) + 4 * 2 * edges + 4 * nodes * (16 + 1)


def opened(folder: str) -> dict[str, float]:
    """Opens the graph: ``seconds``, ``processor`` seconds, and ``memory``, bytes more at most."""
    from jaxdl.data import edge_list

    before = machine.peak_memory()
    began, used = time.perf_counter(), time.process_time()
    edge_list.edge_list(folder, labels_per_class=1)
    took = {"seconds": time.perf_counter() - began, "processor": time.process_time() - used}
    return took | {"memory": machine.peak_memory() - before}


def one_pass(edges: int) -> dict[str, float]:
    """A pass of GraphSAGE of two layers over a tenth of the nodes, by the launcher.

    Args:
      edges: of the graph, undirected.

    Returns:
      Seconds of the ``pass`` and of the whole ``command``, in which the graph is drawn, the
      program compiled and all nodes named; its ``processor`` seconds, and its ``memory`` at most.
    """
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
    processor, memory = ran.stdout.split()[-2:]
    took = {"pass": 5 * known / found["examples_per_second"], "command": seconds}
    return took | {"processor": float(processor), "memory": int(memory)}


# The launcher, its seconds of processor time, and what it had in memory at most.
_LAUNCH = """
import sys, time
from jaxdl import launch
from benchmarks import machine
code = launch.main(sys.argv[1:])
print(time.process_time(), machine.peak_memory())
sys.exit(code)
"""


_OPEN = """
import json, sys
from benchmarks import large_graphs
print(json.dumps(large_graphs.opened(sys.argv[1])))
"""


def epoch(most: int, keep: bool) -> None:
    """Prints what a pass takes on the largest graph."""
    _tell(most, one_pass(most))


def growth(most: int, keep: bool) -> None:
    """Prints a pass on graphs of 1e4 edges and more, and the slopes over their number."""
    found = {}
    for power in range(4, round(math.log10(most)) + 1):
        found[10**power] = one_pass(10**power)
        _tell(10**power, found[10**power])
    for what in ("pass", "processor", "memory"):
        slope = graph_growth.slope(found, what)
        print(f"{what}: grows with the edges to the power of {slope:.2f}")
    if keep:
        graph_growth.keep(found)


def _tell(edges: int, one: dict[str, float]) -> None:
    print(
        f"{edges:.0e} edges: a pass {one['pass']:.2f} s, {one['command']:.0f} s from command to "
        f"exit, {one['processor']:.0f} s of processor time, {one['memory'] / 1e9:.2f} GB at most; "
        f"{machine.cores()} cores",
        flush=True,
    )
