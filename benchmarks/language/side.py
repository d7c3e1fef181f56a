"""One side of a row as a process: orders and answers as JSON lines (`benchmarks.sides.Process`).

Orders: {"do": "first"} makes it ready, does it once and leaves what it made in FOLDER/SIDE.json;
{"do": "run"} does it again, more than once what is short; {"do": "about"} tells the versions.
"""

import argparse
import importlib.metadata
import json
import os
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from benchmarks import machine, worker
from benchmarks.language import rows

# Seconds that a turn takes at least: a job of milliseconds would be of waking threads, cold caches.
_TURN = 0.3


def main() -> None:
    """Serves until stdin ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--row", choices=rows.ROWS)
    parser.add_argument("--side")
    parser.add_argument("--folder")
    parser.add_argument("--threads", type=int)
    options = parser.parse_args()
    if options.side == "ours":
        from jaxdl import process

        process.use_huge_pages()
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints is no answer
    # Before either library is imported: they look how many processors they may use.
    worker.limit_threads(options.threads)
    if options.side == "ours":
        process.tune()
        process.use_compilation_cache()
    serve = Serve(options)
    for line in sys.stdin:
        order = json.loads(line)
        try:
            answer = getattr(serve, order["do"])()
        except Exception as error:  # the other sides go on without this one
            traceback.print_exc()
            answer = {"error": f"{type(error).__name__}: {error}".splitlines()[0][:300]}
        print(json.dumps(answer), file=answers, flush=True)


class Serve:
    """The orders."""

    def __init__(self, options: argparse.Namespace):
        self._options, self._job = options, None

    def about(self) -> dict[str, Any]:
        """Versions of the libraries."""
        versions = importlib.metadata.version
        if self._options.side == "ours":
            return {"jax": versions("jax")}
        import torch

        return {
            "torch": torch.__version__,
            "threads": torch.get_num_threads(),
            "transformers": versions("transformers"),
        }

    def first(self) -> dict[str, float]:
        """Seconds until it has been done for the first time, but for weights that are read."""
        options = self._options
        self._job = rows.ROWS[options.row].sides[options.side](options.folder)
        checked = None if self._job.check is None else self._job.check()
        began = time.perf_counter()
        made = self._job.run()
        taken = time.perf_counter() - began
        file = Path(options.folder) / f"{options.side}.json"
        kept = made if checked is None else checked
        file.write_text(json.dumps(kept.tolist() if hasattr(kept, "tolist") else kept))
        return {"seconds": taken}

    def run(self) -> dict[str, float | None]:
        """Seconds of one time and those of the processor, all threads together; bytes at the peak.

        The mean of as many times as take `_TURN` seconds, behind one that is not counted
        (`benchmarks.worker.timed` says why). The peak is the whole process's since it began,
        libraries and compilation included.
        """
        self._job.run()
        began, used, times = time.perf_counter(), time.process_time(), 0
        while not times or time.perf_counter() - began < _TURN:
            self._job.run()
            times += 1
        return {
            "seconds": (time.perf_counter() - began) / times,
            "processor": (time.process_time() - used) / times,
            "memory": machine.peak_memory(),
        }


if __name__ == "__main__":
    main()
