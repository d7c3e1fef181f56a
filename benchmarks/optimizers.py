"""Optimizers beside one another: speed, tolerance of the rate, robustness, final accuracy.

    python -m benchmarks.optimizers --workdir=runs/optimizers

Each variant of experiments/optimizers.py is trained over all its rates and seeds under each of
CONDITIONS, twice: with a validation part held out of the training part, by which its rate is
chosen, and on all of the training part, of which the test part's figures are reported. A run is in
a folder of its own in the workdir, and one that is finished is not made again. The figures and the
chart go to docs/, or to the folder --docs.

--variants=sgd,adam takes some only; settings, --config.KEY=VALUE, are passed on to every run.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks import optimizer_page as page
from benchmarks import optimizer_results as results
from benchmarks.workloads import ROOT
from jaxdl import launch
from jaxdl.errors import JaxdlError, UserError, told
from jaxdl.launch import flags
from jaxdl.runs import workdir

EXPERIMENT = ROOT / "experiments" / "optimizers.py"
VARIANTS = ("sgd", "momentum", "rmsprop", "adam", "adamw")
CONDITIONS = {
    results.CLEAN: (),
    "label noise": ("--config.data.label_noise=0.2",),
    # Of .01, .03, .1 and .3 the least that costs the five, by the median, 2 points of validation
    # accuracy or more: docs/optimizers.md.
    "gradient noise": ("--config.optimizer.noise=0.1",),
}
PARTS = ("validation", "test")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit code of the first run that fails, or 0."""
    argv = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(prog="benchmarks.optimizers", allow_abbrev=False)
    parser.add_argument("--workdir", required=True)
    parser.add_argument("--variants", default=",".join(VARIANTS))
    parser.add_argument("--docs", default=str(ROOT / "docs"))
    own, others = parser.parse_known_args(argv)
    variants = own.variants.split(",")
    try:
        strange = [flag for flag in others if not flag.startswith("--config.")]
        if strange:
            raise UserError(f"unknown flag {strange[0]}: what is passed on is --config.KEY=VALUE")
        page.check(Path(own.docs) / page.PAGE)
        code = train(Path(own.workdir), variants, others)
        if code:
            return code
    except JaxdlError as error:
        return told(error)
    validation, test = (read_all(Path(own.workdir) / part, variants) for part in PARTS)
    shown = page.figures(
        " ".join(["python -m benchmarks.optimizers", *argv]),
        results.rows(validation, test),
        results.differences(validation, test),
        test,
    )
    print(shown)
    page.write(Path(own.docs), shown, page.chart(test))
    return 0


def folder(parent: Path, condition: str, variant: str) -> Path:
    """Where a run is kept in the folder of its part."""
    return parent / condition.replace(" ", "_") / variant


def train(parent: Path, variants: Sequence[str], others: Sequence[str]) -> int:
    """Makes the runs that are not finished; returns the exit code of the first that fails, or 0.

    Args:
      parent: of all the runs' folders.
      variants: of the experiment.
      others: flags for every run.

    Raises:
      UserError: a variant or setting that cannot be, or a finished run with other settings.
    """
    for part in PARTS:
        for condition, own in CONDITIONS.items():
            for variant in variants:
                kept = folder(parent / part, condition, variant)
                run = [
                    f"--config={EXPERIMENT}:{variant}", f"--workdir={kept}",
                    f"--config.data.eval_on={part}", "--config.log.report=false", *own, *others,
                ]  # fmt: skip
                workdir.check(kept, flags.parse(run).config)
                code = 0 if (kept / "summary.json").exists() else launch.main(run)
                if code:
                    return code
    return 0


def read_all(parent: Path, variants: Sequence[str]) -> dict[tuple[str, str], results.Runs]:
    """All runs of a part, by condition and variant."""
    return {
        (condition, variant): results.read(folder(parent, condition, variant))
        for condition in CONDITIONS
        for variant in variants
    }


if __name__ == "__main__":
    sys.exit(main())
