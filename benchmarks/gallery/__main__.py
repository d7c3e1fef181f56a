"""Runs what the gallery shows, and makes docs/gallery.md of it.

python -m benchmarks.gallery                     # every system that has not run yet: hours
python -m benchmarks.gallery --only=mlp,gcn      # these
python -m benchmarks.gallery --minutes=30        # begins none after half an hour
python -m benchmarks.gallery --page              # the page alone, of what is stored

A run's figures go to benchmarks/results/gallery/, its picture to docs/gallery/, and the page is
made again after each: what is stopped goes on with the system that it was at. A run that has ended
in --runs is not made again: remove its folder for that.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.gallery import page, runs
from benchmarks.gallery.systems import System, every
from jaxdl.errors import UserError, told
from jaxdl.registry import choose


def main(argv: Sequence[str] | None = None) -> int:
    """Returns 0, 1 if a run failed, or 2 for a wrong flag."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gallery")
    parser.add_argument("--only", default="", help="experiments, by commas: mlp,gcn:digits")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin none later")
    parser.add_argument("--runs", type=Path, default=Path("runs/gallery"), help="where they train")
    parser.add_argument("--page", action="store_true", help="the page alone")
    flags = parser.parse_args(argv)
    try:
        asked = [choose("system", name, every()) for name in flags.only.split(",") if name]
    except UserError as error:
        return told(error)
    failed = []
    if not flags.page:
        there = page.stored()
        asked = asked or [one for name, one in every().items() if name not in there]
        failed = _run_all(asked, flags.runs.absolute(), flags.minutes)
    page.write()
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def _run_all(asked: list[System], folder: Path, minutes: float) -> list[str]:
    began, failed = time.monotonic(), []
    for one in asked:
        if time.monotonic() - began > 60 * minutes:
            break
        if runs.run(one, folder) != 0:
            failed.append(one.experiment)
            continue
        try:
            page.keep(one, folder)
        except KeyError as error:  # the table names what the run's report has not
            failed.append(f"{one.experiment} ({error})")
        page.write()
    return failed


if __name__ == "__main__":
    sys.exit(main())
