"""Suppression of 10,000 boxes, beside torchvision's own operator.

    python -m benchmarks.suppression [--size=10000] [--rounds=11] [--torch-python=PATH]

Both are given the same boxes of one class and keep all that no better one overlaps by more than
half; which these are is compared first. Prints the medians of both, and of the rounds' ratios.
"""

import sys
from pathlib import Path

import numpy as np

from benchmarks import paired

THRESHOLD = 0.5


def main() -> int:
    """Runs the command line; 1 if the sides keep others."""
    return paired.main(
        "benchmarks.suppression",
        ours,
        theirs,
        size=10_000,
        agree=0,
        what="which are kept",
        of="a suppression",
    )


def boxes(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Boxes (size, 4) in a picture of 800 pixels, of 16 to 256 a side, and scores (size,)."""
    rng = np.random.default_rng(0)
    sides = np.exp(rng.uniform(np.log(16), np.log(256), (size, 2)))
    low = rng.random((size, 2)) * (800 - sides)
    drawn = np.concatenate([low, low + sides], axis=1).astype(np.float32)
    return drawn, rng.permutation(size).astype(np.float32) / size


def ours(file: Path, size: int) -> paired.Side:
    """(all that are kept, best first and filled up by 0, a suppression); writes no file."""
    import jax

    from jaxdl import ops

    drawn = jax.device_put(boxes(size))
    keep = jax.jit(lambda boxes, scores: ops.boxes.suppress(boxes, scores, THRESHOLD, size))
    say = lambda: np.asarray(keep(*drawn).index).tolist()
    return say, lambda: jax.block_until_ready(keep(*drawn))


def theirs(file: Path, size: int) -> paired.Side:
    """The same of torchvision."""
    import torch
    from torchvision.ops import nms

    drawn = [torch.from_numpy(x) for x in boxes(size)]

    def say() -> list[float]:
        kept = nms(*drawn, THRESHOLD).tolist()
        return kept + [0] * (size - len(kept))

    return say, lambda: nms(*drawn, THRESHOLD)


if __name__ == "__main__":
    sys.exit(main())
