"""jaxdl's training steps beside PyTorch's, eager and by torch.compile, in interleaved rounds.

    python -m benchmarks.against_torch [--workload=mlp,vit_ti] [--precision=float32,bf16]
                                       [--rounds=15] [--threads=2] [--torch-python=PATH]

Each side of a workload is a process of its own that stays alive and is stopped while others run.
First the losses of three updates from the same weights are compared; then every round times a
second or so of steps on each side in turn. Prints tables; writes the file of this processor and
this jax in benchmarks/results/training/, and from all that are there docs/speed.md and
docs/speed.png. What is not named keeps its last figures.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks import comparison, machine, page, programs, records, sides, statistics, workloads

PRECISIONS = tuple(comparison.AGREEMENT)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; 1 if any two sides disagree on a loss, or ours fails."""
    options = _options(argv)
    sides.end_with_us()
    machine.say_if_busy()
    with tempfile.TemporaryDirectory() as folder:
        return _measure(options, programs.jax_caches(folder) | programs.torch_caches(folder))


def _measure(options: argparse.Namespace, env: Mapping[str, str]) -> int:
    """All workloads, one after the other, with compiled code kept as ``env`` says."""
    results: dict[str, Any] = {"about": about(options), "workloads": {}}
    failed = False
    for precision, name in options.turns:
        began = time.perf_counter()
        try:
            found = _measured(name, precision, options, env)
        except sides.SideError as error:
            print(f"{name}, {precision}: {error}", file=sys.stderr)
            failed = True
            continue
        results["workloads"].setdefault(precision, {})[name] = found
        for side in _unrounded(results, name):
            found["agrees"] = False
            print(f"{name}: {side} has in bf16 the losses of float32", file=sys.stderr)
        failed |= not found.get("agrees", True)
        _tell(f"{name}, {precision}", found, time.perf_counter() - began)
        # At once: what follows takes minutes, and may be interrupted.
        if not (options.tiny or options.default_optimizers):
            records.keep(results, records.TRAINING)
            _make_page()
    print(page.tables(results))
    print(f"\nProcessor time, all threads together:\n\n{page.tables(results, 'cpu')}")
    return int(failed)


def _measured(
    name: str, precision: str, options: argparse.Namespace, env: Mapping[str, str]
) -> dict[str, Any]:
    if name in workloads.PROCESSES:
        return processes(name, options.rounds, options, env)
    (workload,) = workloads.named(workloads.CPU, name)
    workload = workload._replace(fused=not options.default_optimizers)
    workload = workload.tiny() if options.tiny else workload
    return comparison.compare(workload, precision, options, env)


def _unrounded(results: dict[str, Any], name: str) -> list[str]:
    both = [results["workloads"].get(precision, {}).get(name, {}) for precision in PRECISIONS]
    return comparison.unrounded(*(found.get("losses", {}) for found in both))


def _make_page() -> None:
    """In a process of its own: this one stays small, since what it starts begins with its size."""
    programs.run([sys.executable, "-m", "benchmarks.page"])


def _tell(name: str, found: dict[str, Any], seconds: float) -> None:
    """A line on stderr as soon as a workload is done, and what went wrong in it."""
    ratio = f"{found['ratio']['median']:.2f}" if "ratio" in found else "nothing to compare with"
    print(f"{name}: {ratio} ({seconds:.0f} s)", file=sys.stderr, flush=True)
    for words in found.get("without", {}).values():
        print(f"{name}, left out: {words}", file=sys.stderr)
    if not found.get("agrees", True):
        print(f"{name}: different losses {found['losses']}", file=sys.stderr)


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    names = [w.name for w in workloads.CPU] + list(workloads.PROCESSES)
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workload", default="", help=f"any of {','.join(names)}; all if empty")
    parser.add_argument("--precision", default=",".join(PRECISIONS), help="one of them, or both")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each side's turn in a round")
    parser.add_argument("--threads", type=int, default=0, help="cores for every side; 0 is all")
    parser.add_argument("--torch-python", default=sys.executable, help="an interpreter with torch")
    parser.add_argument(
        "--default-optimizers",
        action="store_true",
        help="PyTorch's optimizers without fused=True; writes nothing",
    )
    parser.add_argument("--tiny", action="store_true", help="small sizes; writes nothing")
    options = parser.parse_args(argv)
    options.names = [name for name in options.workload.split(",") if name] or names
    for name in options.names:
        if name not in names:
            parser.error(f"no workload {name!r}: there are {', '.join(names)}")
    precisions = [name for name in options.precision.split(",") if name] or list(PRECISIONS)
    for name in precisions:
        if name not in PRECISIONS:
            parser.error(f"no precision {name!r}: there are {', '.join(PRECISIONS)}")
    # Whole programs choose their precision by themselves: on a CPU float32.
    options.turns = [
        (precision, name)
        for name in options.names
        for precision in PRECISIONS
        if precision in precisions and (precision == "float32" or name not in workloads.PROCESSES)
    ]
    if not options.turns:
        parser.error(f"whole programs ({', '.join(workloads.PROCESSES)}) run in float32 alone")
    return options


def about(options: argparse.Namespace) -> dict[str, Any]:
    """Machine, versions and threads."""
    found = machine.about()
    found["cores"] = min(options.threads or found["cores"], found["cores"])
    workload = workloads.CPU[0]
    for name, side, python in (
        ("jax", "ours", sys.executable),
        ("torch", "eager", options.torch_python),
    ):
        try:
            with sides.Side(
                side, workload, python, threads=options.threads, device="cpu"
            ) as process:
                found[name] = process.ask("about")
        except sides.SideError as error:
            print(f"{side}: {error}", file=sys.stderr)
            found[name] = None
    return found


def processes(
    name: str, rounds: int, options: argparse.Namespace, env: Mapping[str, str]
) -> dict[str, Any]:
    """Whole programs, command to exit, the second start and later ones: compiled code is kept.

    Returns:
      What `benchmarks.statistics.compare` does, and ``memory``: {side: bytes, the median of its
      starts}.
    """
    torch = [options.torch_python, "-m", "benchmarks.course.theirs"]
    result: dict[str, Any] = {"title": workloads.PROCESSES[name], "without": {}}
    ours = [sys.executable, "-m", "benchmarks.course.ours"]
    if name == "deep_cnn_launch":
        ours = [sys.executable, "-m", "jaxdl.launch", "--config=benchmarks/course/launched.py"]
    commands = {"ours": ours, "eager": torch, "compile": [*torch, "--compile"]}

    def once(command: list[str]) -> programs.Run:
        with tempfile.TemporaryDirectory() as folder:
            if "jaxdl.launch" in command:
                command = [*command, f"--workdir={folder}/run"]
            return programs.run(command, env, _limited(options.threads))

    runs: dict[str, list[programs.Run]] = {}
    for side, command in commands.items():
        try:
            once(command)
            once(command)
            runs[side] = []
        except sides.SideError as error:
            if side == "ours":
                raise
            result["without"][side] = f"{side}: {error}"
    for _ in range(rounds):
        for side, found in runs.items():
            found.append(once(commands[side]))
    result["memory"] = {
        side: statistics.spread([run.memory for run in found])["median"]
        for side, found in runs.items()
    }
    wall = {side: [run.seconds for run in found] for side, found in runs.items()}
    return {**result, **statistics.compare(wall)}


def _limited(threads: int) -> Any:
    """For the new process, before it starts its program."""
    from benchmarks import worker

    return (lambda: worker.limit_threads(threads)) if threads else None


if __name__ == "__main__":
    sys.exit(main())
