"""Writes jaxdl/pretrained/digits_judge.npz: the classifier whose features "fid/digits" is of.

    PYTHONPATH=. python tests/golden/make_digits_judge.py

A run of experiments/mlp.py, 10 s, whose weights are kept in float16. Rounding differs between
machines and versions, and so would the figures by weights that each had trained for itself: made
anew, this file is another judge.
"""

import tempfile
from pathlib import Path

import numpy as np

from jaxdl import launch
from jaxdl.config import default
from jaxdl.data import load
from jaxdl.pretrained import judges
from jaxdl.pretrained.architecture import by_name
from jaxdl.runs import checkpoint

ROOT = Path(__file__).parent.parent.parent


def main():
    """Trains, writes, and says how many digits of the test part are named rightly."""
    with tempfile.TemporaryDirectory() as folder:
        code = launch.main(
            [
                f"--config={ROOT / 'experiments' / 'mlp.py'}",
                f"--workdir={folder}",
                "--config.model.hidden=(256,32)",
                "--config.parallel.data=1",
                "--config.log.report=false",
            ]
        )
        if code:
            raise SystemExit(code)
        params = checkpoint.restore(Path(folder), None)["params"]
    learned = load(default().data)
    found = {name: np.asarray(x) for name, x in by_name({"params": params}).items()}
    # The run saw images less their mean and over their deviation; the judge sees them as they are.
    kernel = found["dense_0/kernel"] / learned.std
    found["dense_0/bias"] = found["dense_0/bias"] - learned.mean * kernel.sum(axis=0)
    found["dense_0/kernel"] = kernel
    found = {name: x.astype(np.float16) for name, x in found.items()}
    np.savez_compressed(ROOT / "jaxdl" / "pretrained" / "digits_judge.npz", **found)
    test = learned.test
    batch = test.take(np.arange(len(test)))
    judge = judges.digits()
    right = judge.of(judge.variables, batch["image"]).logits.argmax(axis=1) == batch["label"]
    print(f"{sum(x.size for x in found.values())} parameters, {float(right.mean()):.4f} right")


if __name__ == "__main__":
    main()
