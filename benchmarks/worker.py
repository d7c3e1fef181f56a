"""One side of a comparison as a process: takes orders as JSON lines, answers each with one.

    python -m benchmarks.worker --side=ours|eager|compile|… --workload=JSON [--device=cpu]

Orders: {"do": "run", "steps": n}, {"do": "about"}, {"do": "agree", "file": path}. What a library
prints goes to stderr, so that stdout holds answers only.
"""

import argparse
import json
import os
import sys
import time
import traceback
from typing import Any

from benchmarks import machine
from benchmarks.sides import SIDES
from benchmarks.workloads import Workload


def main() -> None:
    """Serves until stdin ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--side", choices=SIDES)
    parser.add_argument("--workload")
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--device", default="", help="cpu, or the accelerator at hand")
    parser.add_argument("--threads", type=int, default=0)
    options = parser.parse_args()
    if options.side == "ours":  # as the launcher begins
        from jaxdl import process

        process.use_huge_pages()
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    if options.threads:
        limit_threads(options.threads)
    library = _library(options)
    workload, stepper = Workload.from_json(options.workload), None
    for line in sys.stdin:
        order = json.loads(line)
        try:
            if order["do"] == "about":
                answer = library.about()
            elif order["do"] == "agree":
                answer = {"losses": library.agreement(workload, order["file"], options.precision)}
            else:
                if stepper is None:
                    began = time.perf_counter()
                    stepper = _stepper(library, workload, options)
                    stepper.run(1)
                    ready = time.perf_counter() - began
                answer = {**timed(stepper, order["steps"]), "ready_seconds": ready}
                answer |= {"loss": stepper.loss, "memory": library.memory()}
                answer["resident"] = machine.peak_memory()
                if options.side == "ours":
                    answer["per_call"] = stepper.per_call
                    if order.get("flops"):
                        answer["model_flops"] = stepper.model_flops
        except Exception as error:  # the other sides go on without this one
            traceback.print_exc()
            answer = {"error": f"{type(error).__name__}: {error}".splitlines()[0][:300]}
        print(json.dumps(answer), file=answers, flush=True)


def timed(stepper: Any, steps: int) -> dict[str, float]:
    """{"steps", "wall", "cpu"}: how many were taken, and the seconds of all of them together.

    One before them is not counted: while the others ran, this side has lost what caches held, and
    on virtual machines whose host takes back what is not in use the memory of its temporaries too.
    """
    stepper.run(1)
    wall, cpu = time.perf_counter(), time.process_time()
    taken = stepper.run(steps)
    return {
        "steps": taken,
        "wall": time.perf_counter() - wall,
        "cpu": time.process_time() - cpu,
    }


def limit_threads(count: int) -> None:
    """Keeps the process to ``count`` cores; both libraries then start as many threads."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:count])


def _library(options: argparse.Namespace) -> Any:
    if options.side != "ours":
        from benchmarks import theirs

        return theirs
    # The allocator first, then jax.
    from jaxdl import process

    process.tune()
    if options.device == "cpu":
        os.environ["JAX_PLATFORMS"] = "cpu"
    process.use_compilation_cache()
    from benchmarks import ours

    return ours


def _stepper(library: Any, workload: Workload, options: argparse.Namespace) -> Any:
    if options.side == "ours":
        return library.Stepper(workload, options.precision)
    return library.Stepper(
        workload,
        options.precision,
        device=options.device,
        compiled=options.side.startswith("compile"),
        channels_last=options.side.endswith("nhwc"),
    )


if __name__ == "__main__":
    main()
