"""Time to a mean return of 475 on CartPole-v1, command to exit, beside SBX and stable-baselines3.

    python -m benchmarks.control [--sides=ours,sbx,sb3,a2c,sb3_a2c] [--seeds=0,1,2,3,4]
                                 [--sbx-python=PATH] [--sb3-python=PATH]

Each side trains by its own PPO, and those called a2c by A2C, until its own evaluation reaches 475:
ours by the launcher, theirs by benchmarks/control/theirs.py with the settings of rl-baselines3-zoo.
Cold runs begin with nothing compiled, warm ones with what an earlier run left; torch compiles
nothing, and has one kind.
After each run, out of its time, its policy plays 100 greedy episodes of gymnasium's environment.
Writes the file of this processor and this jax in benchmarks/results/control/, and the table in
docs/speed.md.
"""

import argparse
import functools
import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks import machine, programs, records
from benchmarks.control import page, settings
from benchmarks.sides import SideError

# Of a try: updates of ours, and steps of theirs.
_TINY = {side: ["--config.steps=4"] if side in settings.OURS else ["1024"]
         for side in settings.SIDES}  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; 1 if a side failed."""
    options = _options(argv)
    with tempfile.TemporaryDirectory() as folder:
        measured = measure(options, folder)
    if measured and not options.tiny:
        records.keep(
            {"about": machine.with_jax(), "workloads": {"cartpole": measured}}, records.CONTROL
        )
        programs.run([sys.executable, "-m", "benchmarks.page"])
    print(page.table(measured))
    return int(set(measured) != set(options.sides))


def measure(options: argparse.Namespace, folder: str) -> dict[str, Any]:
    """{side: {"versions", "cold": a run a seed, "warm": a run a seed}} of sides that never failed.

    Args:
      options: of the command line.
      folder: for compiled programs.
    """
    found: dict[str, Any] = {}
    caches = {side: programs.jax_caches(f"{folder}/{side}") for side in options.sides}

    def attempt(side: str, do: Callable[[], None]) -> None:
        try:
            do()
        except SideError as error:
            print(f"{side}, left out: {error}", file=sys.stderr)
            found.pop(side, None)

    def begin(side: str) -> None:
        found[side] = {"versions": _versions(side, options), "cold": [], "warm": []}
        if side not in settings.OF_TORCH:  # untimed: what the warm runs find compiled
            train(side, options.seeds[0], options, caches[side])

    def run(side: str, seed: int) -> None:
        for kind in ("cold",) if side in settings.OF_TORCH else ("cold", "warm"):
            with tempfile.TemporaryDirectory() as fresh:
                # As it comes theirs keeps nothing; ours does.
                env = programs.jax_caches(fresh) if side in settings.OURS else {}
                one = train(side, seed, options, env if kind == "cold" else caches[side])
            found[side][kind].append(one)
            print(f"{side}, {kind}: {one}", file=sys.stderr, flush=True)

    for side in options.sides:
        attempt(side, functools.partial(begin, side))
    for i, seed in enumerate(options.seeds):
        turn = i % len(options.sides)
        for side in options.sides[turn:] + options.sides[:turn]:
            if side in found:
                attempt(side, functools.partial(run, side, seed))
    return found


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sides", default=",".join(settings.SIDES))
    parser.add_argument("--seeds", default="0,1,2,3,4")
    parser.add_argument("--sbx-python", default=sys.executable, help="an interpreter with sbx-rl")
    parser.add_argument(
        "--sb3-python",
        default=sys.executable,
        help="one with stable-baselines3, whose gymnasium also plays our actor's episodes",
    )
    parser.add_argument("--tiny", action="store_true", help="a few steps, one seed; writes nothing")
    options = parser.parse_args(argv)
    options.sides = [side for side in options.sides.split(",") if side]
    for side in options.sides:
        if side not in settings.SIDES:
            parser.error(f"no side {side!r}: there are {', '.join(settings.SIDES)}")
    try:
        options.seeds = [int(seed) for seed in options.seeds.split(",")]
    except ValueError:
        parser.error(f"--seeds are whole numbers with commas, not {options.seeds!r}")
    if options.tiny:
        options.seeds = options.seeds[:1]
    return options


def _versions(side: str, options: argparse.Namespace) -> dict[str, str]:
    if side in settings.OURS:
        return machine.with_jax()["jax"]
    return _answer([*_theirs(side, options), "about"])


def train(side: str, seed: int, options: argparse.Namespace, env: dict[str, str]) -> dict[str, Any]:
    """One run, and the episodes afterwards.

    Returns:
      {"seed", "seconds", "memory": bytes, "steps": of environments, "evaluated": its own last or
      best mean return, "stopped": whether that ended it, "held": mean return of gymnasium's 100
      episodes, None without gymnasium}, and of ours "own": that of jaxdl's environment.

    Raises:
      SideError: it failed.
    """
    env = {"JAX_PLATFORMS": "cpu", **env}
    with tempfile.TemporaryDirectory() as folder:
        command = [*_command(side, seed, options, folder), *(_TINY[side] if options.tiny else [])]
        run = programs.run(command, env)
        after = _of_ours if side in settings.OURS else _of_theirs
        found = after(side, run, options, folder)
    return {"seed": seed, "seconds": run.seconds, "memory": run.memory, **found}


def _command(side: str, seed: int, options: argparse.Namespace, folder: str) -> list[str]:
    if side in settings.OURS:
        own = [f"--config.seed={seed}", f"--workdir={folder}/run"]
        return [sys.executable, *settings.OURS[side], *own]
    return [*_theirs(side, options), "train", str(seed), f"{folder}/model.zip"]


def _theirs(side: str, options: argparse.Namespace) -> list[str]:
    python = options.sbx_python if side == "sbx" else options.sb3_python
    return [python, "-m", "benchmarks.control.theirs", side]


def _of_theirs(
    side: str, run: programs.Run, options: argparse.Namespace, folder: str
) -> dict[str, Any]:
    said = json.loads(run.output.splitlines()[-1])
    held = _answer([*_theirs(side, options), "play", f"{folder}/model.zip"])
    return {
        "steps": said["steps"],
        "evaluated": said["mean_return"],
        "stopped": said["stopped"],
        "held": held["mean_return"],
    }


def _of_ours(
    side: str, run: programs.Run, options: argparse.Namespace, folder: str
) -> dict[str, Any]:
    del run
    summary = json.loads(Path(folder, "run", "summary.json").read_text())
    config = json.loads(Path(folder, "run", "config.json").read_text())
    actor = f"{folder}/actor.npz"
    own = _answer([sys.executable, "-m", "benchmarks.control.ours", side, f"{folder}/run", actor])
    try:
        held = _answer([options.sb3_python, "-m", "benchmarks.control.episodes", actor])
    except SideError as error:
        print(f"our actor has played in our own environment alone: {error}", file=sys.stderr)
        held = {"mean_return": None}
    best = summary["best"]["mean_return"]
    return {
        "steps": summary["steps"] * config["batch_size"] * config["task.rollout"],
        "evaluated": best,
        "stopped": best >= settings.TARGET,
        "held": held["mean_return"],
        "own": own["mean_return"],
    }


def _answer(command: list[str]) -> dict[str, Any]:
    """The JSON of a program's last line."""
    return json.loads(programs.run(command, {"JAX_PLATFORMS": "cpu"}).output.splitlines()[-1])


if __name__ == "__main__":
    sys.exit(main())
