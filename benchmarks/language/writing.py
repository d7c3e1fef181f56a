"""Texts that are written, ours and transformers' side by side, by the same weights.

    python -m benchmarks.language_generation --python=/path/to/python [--rounds=5] [--threads=2]
        [--only NAME …]

The interpreter is one with torch and transformers (`pip install torch==2.13.0 transformers`); it
makes models with random weights and saves them, ours loads them. Each side is a process that waits,
stopped, until it is its turn; the turns alternate, and a line a workload says the median of the
rounds' ratios of seconds and of processor seconds, theirs over ours (above 1: ours is faster), each
side's medians, and the share of the first texts' tokens that are the same on both sides: of random
weights the likeliest tokens are often nearly equal, so that a text may part from the other's. On a
machine that others use too, ``--threads=1`` is the fairer: PyTorch's threads spin while they wait
for each other.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

ROOT = Path(__file__).parent.parent
NEW = 64


class Workload(NamedTuple):
    """What is written: 64 tokens, of sources of 32.

    Attributes:
      model: "t5" (small) or "bart" (base).
      batch: sources.
      beams: 1 is greedy.
    """

    model: str
    batch: int
    beams: int


WORKLOADS = {
    "t5_small_greedy_1": Workload("t5", 1, 1),
    "t5_small_greedy_8": Workload("t5", 8, 1),
    "bart_base_beams_4": Workload("bart", 1, 4),
}


def main() -> None:
    """Compares, or, with --side, is one of the sides."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--python", help="an interpreter with torch and transformers")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--only", nargs="*", choices=WORKLOADS, default=list(WORKLOADS))
    parser.add_argument("--side", choices=("ours", "theirs"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        # Before either library is imported: they look how many processors they may use.
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.threads])
        _serve(_ours if options.side == "ours" else _theirs, options.folder, options.only[0])
        return
    if not options.python:
        parser.error("--python is missing: an interpreter with torch and transformers")
    from benchmarks.sides import end_with_us  # which the other interpreter need not have

    end_with_us()
    for name in options.only:
        with (
            tempfile.TemporaryDirectory() as folder,
            # The first of them saves the weights.
            _Side(options.python, "theirs", folder, name, options.threads) as theirs,
            _Side(sys.executable, "ours", folder, name, options.threads) as ours,
        ):
            _compare(name, {"ours": ours, "theirs": theirs}, options.rounds)


def _compare(name: str, sides: dict[str, "_Side"], rounds: int) -> None:
    ready = {side: process.ask() for side, process in sides.items()}
    found = {side: [] for side in sides}
    for i in range(rounds):
        for side in sorted(sides, reverse=bool(i % 2)):
            found[side].append(sides[side].ask())
    pairs = list(zip(found["theirs"], found["ours"], strict=True))
    shown = []
    for what in ("seconds", "processor"):
        ratios = [a[what] / b[what] for a, b in pairs]
        each = {side: median(x[what] for x in found[side]) for side in sides}
        shown.append(
            f"{what} {median(ratios):.2f}x ({min(ratios):.2f} to {max(ratios):.2f}; "
            f"ours {each['ours']:.3f}, theirs {each['theirs']:.3f})"
        )
    same = [
        a == b
        for x, y in zip(ready["ours"]["texts"], ready["theirs"]["texts"], strict=True)
        for a, b in zip(x, y, strict=True)
    ]
    first = ready["ours"]["seconds"]
    print(f"{name}: {'; '.join(shown)}; first call {first:.1f} s; {sum(same) / len(same):.0%} same")


class _Side:
    """A process that writes texts when it is asked to, and is stopped else."""

    def __init__(self, python: str, side: str, folder: str, name: str, threads: int):
        command = [python, "-m", "benchmarks.language_generation"]
        command += [f"--side={side}", f"--folder={folder}", f"--threads={threads}"]
        command += ["--only", name]
        self._process = subprocess.Popen(
            command, cwd=ROOT, text=True, env=os.environ | dict(OMP_NUM_THREADS=str(threads)),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=None if os.environ.get("BENCHMARK_VERBOSE") else subprocess.DEVNULL,
        )  # fmt: skip
        self._read()  # it is ready
        self._process.send_signal(signal.SIGSTOP)

    def ask(self) -> dict[str, Any]:
        """Its texts, or what it took to write them once more."""
        self._process.send_signal(signal.SIGCONT)
        print("go", file=self._process.stdin, flush=True)
        answer = self._read()
        self._process.send_signal(signal.SIGSTOP)
        return answer

    def _read(self) -> dict[str, Any]:
        line = self._process.stdout.readline()
        if not line:
            sys.exit("a side failed: BENCHMARK_VERBOSE=1 shows what it says")
        return json.loads(line)

    def __enter__(self) -> "_Side":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()


def _serve(make: Callable[[str, str], Callable[[], list]], folder: str, name: str) -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints is no answer
    write = make(folder, name)
    print("{}", file=answers, flush=True)
    for _ in sys.stdin:
        began, used = time.perf_counter(), time.process_time()
        texts = write()
        answer = dict(seconds=time.perf_counter() - began, processor=time.process_time() - used)
        print(json.dumps(answer | dict(texts=texts)), file=answers, flush=True)


def _source(batch: int) -> Any:
    import numpy as np

    return np.random.default_rng(0).integers(3, 20_000, (batch, 32))


def _ours(folder: str, name: str) -> Callable[[], list]:
    import numpy as np

    from jaxdl import generate, pretrained

    workload = WORKLOADS[name]
    module, variables = pretrained.load(folder)
    source = _source(workload.batch)
    start = pretrained.generation(folder).start(workload.batch)
    # Padding is looked after on both sides, and there is none.
    how = dict(tokens=NEW, source=source, source_mask=np.ones_like(source))

    def write() -> list:
        if workload.beams == 1:
            return np.asarray(generate.greedy(module, variables, start, **how)).tolist()
        texts, _ = generate.beam_search(
            module, variables, start, beams=workload.beams, returned=1, length_penalty=1.0,
            early_stopping=False, **how,
        )  # fmt: skip
        return np.asarray(texts[:, 0]).tolist()

    return write


def _theirs(folder: str, name: str) -> Callable[[], list]:
    import torch
    import transformers

    torch.manual_seed(0)
    workload = WORKLOADS[name]
    if workload.model == "t5":
        config = transformers.T5Config(decoder_start_token_id=0)
        model = transformers.T5ForConditionalGeneration(config).eval()
    else:
        sizes = {f"{side}_{what}": n for side in ("encoder", "decoder") for what, n in
                 dict(layers=6, attention_heads=12, ffn_dim=3072).items()}  # fmt: skip
        config = transformers.BartConfig(d_model=768, forced_eos_token_id=None, **sizes)
        model = transformers.BartForConditionalGeneration(config).eval()
    model.save_pretrained(folder)
    model.generation_config.eos_token_id = None  # every text is as long as there is room
    source = torch.from_numpy(_source(workload.batch))
    mask = torch.ones_like(source)

    def write() -> list:
        with torch.inference_mode():
            found = model.generate(
                source, attention_mask=mask, max_new_tokens=NEW, do_sample=False,
                num_beams=workload.beams,
            )  # fmt: skip
        return found[:, 1:].tolist()

    return write


if __name__ == "__main__":
    main()
