"""Anomalies told apart, each class left out of training in turn: every AUROC, and the mean.

    python -m benchmarks.anomaly --config=experiments/autoencoder.py:anomaly --workdir=runs/anomaly

Further flags are those of `jaxdl.launch`, for every run; a run is in a folder of the workdir that
is called like the class, and one that is finished is not made again.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from jaxdl import data, launch
from jaxdl.errors import JaxdlError, UserError, told
from jaxdl.launch import flags


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit code of the first run that fails, or 0."""
    argv = list(sys.argv[1:] if argv is None else argv)
    try:
        options = flags.parse(argv)
        if not options.workdir:
            raise UserError("--workdir is missing: the folder that the runs are kept in")
        names = data.load(options.config.data).class_names
    except JaxdlError as error:
        return told(error)
    found = {}
    for i, name in enumerate(names):
        folder = Path(options.workdir) / name
        # Of a flag that is given twice, the last counts.
        code = launch.main([*argv, f"--config.data.anomaly={i}", f"--workdir={folder}"])
        if code:
            return code
        found[name] = json.loads((folder / "summary.json").read_text())["final"]["auroc"]
    for name, auroc in found.items():
        print(f"{name:>12}  {auroc:.3f}")
    print(f"{'mean':>12}  {np.mean(list(found.values())):.3f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
