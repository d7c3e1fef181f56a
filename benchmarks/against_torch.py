"""jaxdl's training steps beside PyTorch's, eager and by torch.compile, in interleaved rounds.

    python -m benchmarks.against_torch [--workload=mlp,vit_ti] [--rounds=15] [--threads=2]
                                       [--torch-python=PATH]

Each side of a workload is a process of its own that stays alive and is stopped while others run.
First the losses of three updates from the same weights are compared; then every round times a
second or so of steps on each side in turn. Prints a table; writes benchmarks/results/cpu.json, and
from it docs/speed.md and docs/speed.png. Workloads that are not named keep their last figures.
"""

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from typing import Any

from benchmarks import machine, page, sides, statistics, workloads
from benchmarks.workloads import ROOT, Workload

RESULTS = ROOT / "benchmarks" / "results" / "cpu.json"

# How far the first losses may be apart, relative: float32 rounding through a deep network.
AGREEMENT = 1e-4


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; 1 if any two sides disagree on a loss, or ours fails."""
    options = _options(argv)
    sides.end_with_us()
    if (load := os.getloadavg()[0]) > 0.5:
        print(
            f"other programs are busy (load {load:.1f}): with several threads PyTorch then waits "
            "for itself, and ratios mean little; --threads=1 bears it better",
            file=sys.stderr,
        )
    results: dict[str, Any] = {"about": about(options), "workloads": {}}
    failed = False
    for name in options.names:
        began = time.perf_counter()
        try:
            if name in workloads.PROCESSES:
                found = processes(name, options.rounds, options)
            else:
                (workload,) = workloads.named(workloads.CPU, name)
                workload = workload._replace(fused=not options.default_optimizers)
                found = compare(workload.tiny() if options.tiny else workload, options)
        except sides.SideError as error:
            print(f"{name}: {error}", file=sys.stderr)
            failed = True
            continue
        results["workloads"][name] = found
        failed |= not found.get("agrees", True)
        _tell(name, found, time.perf_counter() - began)
        # At once: what follows takes minutes, and may be interrupted.
        if not (options.tiny or options.default_optimizers):
            page.write(page.merged(RESULTS, results), RESULTS)
    print(page.table(results))
    print(f"\nProcessor time, all threads together:\n\n{page.table(results, 'cpu')}")
    return int(failed)


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
    return options


def about(options: argparse.Namespace) -> dict[str, Any]:
    """Machine, versions and threads."""
    found: dict[str, Any] = {
        "processor": machine.processor(),
        "cores": min(options.threads or machine.cores(), machine.cores()),
    }
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


def compare(workload: Workload, options: argparse.Namespace) -> dict[str, Any]:
    """One workload's rounds.

    Returns:
      What `benchmarks.statistics.compare` does, and ``losses`` of the same updates by side,
      ``agrees``, ``cpu`` (the same of processor time, all threads together), ``per_call``, and
      ``without``: {side: why} for sides that could not run.
    """
    python = {"ours": sys.executable}
    result: dict[str, Any] = {"title": workload.title, "losses": {}, "without": {}}
    names = ["ours", *sides.PLAIN]
    if workload.convolutional:
        names += sides.CHANNELS_LAST
    with contextlib.ExitStack() as stack:
        running = {
            side: stack.enter_context(
                sides.Side(
                    side,
                    workload,
                    python.get(side, options.torch_python),
                    threads=options.threads,
                    device="cpu",
                )
            )
            for side in names
        }

        def ask(side: str, do: str, **details: Any) -> dict[str, Any] | None:
            """Its answer; a side of theirs that fails is left out from then on."""
            try:
                return running[side].ask(do, **details)
            except sides.SideError as error:
                if side == "ours":
                    raise
                result["without"][side] = str(error)
                del running[side]
                return None

        folder = stack.enter_context(tempfile.TemporaryDirectory())
        for side in ("ours", "eager"):
            answer = ask(side, "agree", file=os.path.join(folder, "weights.npz"))
            if answer is not None:
                result["losses"][side] = answer["losses"]
        result["agrees"] = agree(result["losses"])

        steps = {}
        for side in list(running):
            # The second answer, with nothing left to compile, says how many steps a round has.
            answer = ask(side, "run", steps=1) and ask(side, "run", steps=1)
            if answer is not None and answer["wall"] / answer["steps"] < options.seconds / 10:
                answer = ask(side, "run", steps=10)
            if answer is not None:
                each = answer["wall"] / answer["steps"]
                steps[side] = max(1, round(options.seconds / each))
                if side == "ours":
                    result["per_call"] = answer["per_call"]
        wall: dict[str, list[float]] = {side: [] for side in running}
        cpu: dict[str, list[float]] = {side: [] for side in running}
        for i in range(options.rounds):
            order = list(running)
            for side in order[i % len(order) :] + order[: i % len(order)]:
                answer = running[side].ask("run", steps=steps[side])
                wall[side].append(answer["wall"] / answer["steps"])
                cpu[side].append(answer["cpu"] / answer["steps"])
    result |= statistics.compare(wall, sides.PLAIN)
    result["cpu"] = statistics.compare(cpu, sides.PLAIN)
    return result


def agree(losses: dict[str, list[float]], limit: float = AGREEMENT) -> bool:
    """Whether the first updates' losses are the same, as far as there are two sides to compare."""
    if len(losses) < 2:
        return True
    ours, theirs = losses.values()
    return abs(ours[0] - theirs[0]) <= limit * abs(ours[0])


def processes(name: str, rounds: int, options: argparse.Namespace) -> dict[str, Any]:
    """Whole programs, command to exit, the second start and later ones: compiled code is kept."""
    torch = [options.torch_python, "-m", "benchmarks.course.theirs"]
    result: dict[str, Any] = {"title": workloads.PROCESSES[name], "without": {}}
    with tempfile.TemporaryDirectory() as folder:
        ours = [sys.executable, "-m", "benchmarks.course.ours"]
        if name == "deep_cnn_launch":
            ours = [sys.executable, "-m", "jaxdl.launch"]
            ours += ["--config=benchmarks/course/launched.py", f"--workdir={folder}/run"]
        commands = {"ours": ours, "eager": torch, "compile": [*torch, "--compile"]}
        kept = {
            "JAXDL_CACHE": f"{folder}/jaxdl",
            "TORCHINDUCTOR_CACHE_DIR": f"{folder}/inductor",
            "JAX_PLATFORMS": "cpu",
        }

        def once(command: Sequence[str]) -> float:
            subprocess.run(["rm", "-rf", f"{folder}/run"], check=True)
            began = time.perf_counter()
            done = subprocess.run(
                command,
                cwd=ROOT,
                env=os.environ | kept,
                capture_output=True,
                text=True,
                preexec_fn=_limited(options.threads),
            )
            if done.returncode:
                raise sides.SideError((done.stderr.strip() or "no word").splitlines()[-1])
            return time.perf_counter() - began

        wall: dict[str, list[float]] = {}
        for side, command in commands.items():
            try:
                once(command)
                once(command)
                wall[side] = []
            except sides.SideError as error:
                if side == "ours":
                    raise
                result["without"][side] = f"{side}: {error}"
        for _ in range(rounds):
            for side, times in wall.items():
                times.append(once(commands[side]))
    return {**result, **statistics.compare(wall)}


def _limited(threads: int) -> Any:
    """For the new process, before it starts its program."""
    from benchmarks import worker

    return (lambda: worker.limit_threads(threads)) if threads else None


if __name__ == "__main__":
    sys.exit(main())
