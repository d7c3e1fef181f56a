"""Two programs side by side, each a process of its own, which is stopped while the other runs.

What both say of the same work is compared first; then rounds time it on each side in turn.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import machine, sides

# Of PyTorch's work.
FORMS = (*sides.PLAIN, *sides.CHANNELS_LAST)

# (what is said of the work, the work).
Side = tuple[Callable[[], list[float]], Callable[[], None]]


def main(
    module: str,
    ours: Callable[[Path, int], Side],
    theirs: Callable[..., Side],
    *,
    size: int,
    agree: float,
    what: str,
    of: str,
    has_forms: bool = False,
) -> int:
    """Runs the command line of ``python -m module``; 1 if the sides disagree.

    Args:
      module: that has both sides.
      ours: (a file of weights that it writes, the size) -> our side.
      theirs: (the file, the size) -> the other's; with ``has_forms`` also the form, one of `FORMS`,
        or "" for the fastest (`fastest_of_pytorch`).
      size: unless the command line has another.
      agree: how far what they say may be apart.
      what: is said, for messages.
      of: the work, of which the times are.
      has_forms: whether ``--form`` may name PyTorch's form, which saves the time to try all.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", type=int, default=size)
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--torch-python", default=sys.executable)
    parser.add_argument("--side", choices=("ours", "theirs"))
    parser.add_argument("--file", type=Path)
    if has_forms:
        parser.add_argument("--form", choices=FORMS, default="")
    options = parser.parse_args()
    form = (options.form,) if has_forms else ()
    if options.side == "ours":
        as_launched()
        serve(ours(options.file, options.size))
        return 0
    if options.side:
        serve(theirs(options.file, options.size, *form))
        return 0
    sides.end_with_us()
    machine.say_if_busy()
    with tempfile.TemporaryDirectory() as folder:
        flags = [f"--size={options.size}", f"--file={folder}/weights.safetensors"]
        flags += [f"--form={name}" for name in form if name]
        command = lambda python, side: [python, "-m", module, f"--side={side}", *flags]
        with sides.Process("ours", command(sys.executable, "ours")) as mine:
            said = mine.ask("say")["said"]  # its weights are written by now
            with sides.Process("theirs", command(options.torch_python, "theirs")) as other:
                apart = np.abs(np.subtract(said, other.ask("say")["said"])).max()
                print(f"{what} differs by {apart:.1e} at most")
                tell(mine, other, options.rounds, of)
    return int(apart > agree)


def as_launched() -> None:
    """Sets our side's process up as the launcher does, which starts it again; jax comes after.

    Without it XLA of jax 0.12 runs the loops of Winograd's convolutions on one core.
    """
    from jaxdl import process

    process.use_huge_pages()
    process.tune()


def tell(mine: sides.Process, other: sides.Process, rounds: int, of: str) -> None:
    """Prints the medians of both sides' times and of the rounds' ratios, and the least times.

    What else the machine does makes times longer, never shorter, and of both sides unlike.
    """
    times = []
    for _ in range(rounds):
        times.append((mine.ask("run")["seconds"], other.ask("run")["seconds"]))
    ratios = [b / a for a, b in times]
    ours_took, theirs_took = (statistics.median(x) for x in zip(*times, strict=True))
    print(f"ours {ours_took:.3f} s, theirs {theirs_took:.3f} s {of}")
    spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
    print(f"theirs takes {statistics.median(ratios):.2f} times as long ({spread})")
    mine, others = (min(x) for x in zip(*times, strict=True))
    print(f"at best ours {mine:.3f} s, theirs {others:.3f} s: {others / mine:.2f} times as long")


def serve(side: Side) -> None:
    """Answers orders, a JSON object a line each, until stdin ends."""
    say, run = side
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        if json.loads(line)["do"] == "say":
            answer = {"said": say()}
            run()  # compiled, and warm
        else:
            answer = {"seconds": seconds(run), "resident": machine.peak_memory()}
        print(json.dumps(answer), file=answers, flush=True)


def seconds(run: Callable[[], None], least: float = 0.5) -> float:
    """That a call takes: the mean of as many as fill ``least`` seconds.

    Half as long is called before, uncounted: `benchmarks.worker.timed` says why, and what is short
    is back to its pace after a few calls only. A call of many seconds needs none before it.
    """
    took = _filling(run, least / 2)
    return took if took > 8 * least else _filling(run, least)


def _filling(run: Callable[[], None], least: float) -> float:
    calls, began = 0, time.perf_counter()
    while not calls or time.perf_counter() - began < least:
        run()
        calls += 1
    return (time.perf_counter() - began) / calls


def fastest_of_pytorch(
    stepper: Callable[[bool, Any], Callable[[], Any]], form: str = ""
) -> Callable[[], None]:
    """The fastest of eager and torch.compile, each in either memory format, or that of ``form``.

    Args:
      stepper: (whether compiled, the memory format) -> the work. What fails is told and left out.
      form: of `FORMS`, the one that is taken untried.
    """
    import torch

    def made(name: str) -> Callable[[], Any]:
        layout = torch.channels_last if name in sides.CHANNELS_LAST else torch.contiguous_format
        run = stepper(name.startswith("compile"), layout)
        run()
        return run

    if form:
        return made(form)
    names, runs = [], []
    for name in FORMS:
        try:
            runs.append(made(name))
        except Exception as error:  # torch.compile needs a compiler of C++
            print(f"{name}: {error}"[:200], file=sys.stderr)
            continue
        names.append(name)
    return fastest(runs, names)


def fastest(runs: Sequence[Callable[[], None]], names: Sequence[str]) -> Callable[[], None]:
    """The one that takes least, each called twice; prints which."""
    took = [min(seconds(run) for _ in range(2)) for run in runs]
    best = int(np.argmin(took))
    print(", ".join(f"{n} {t:.3f} s" for n, t in zip(names, took, strict=True)), file=sys.stderr)
    return runs[best]
