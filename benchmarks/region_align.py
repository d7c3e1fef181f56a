"""RoI align of 512 regions, forward and backward, beside torchvision's own operator.

    python -m benchmarks.region_align [--size=512] [--rounds=11] [--torch-python=PATH]

The map is a picture of 800 pixels at stride 4, 200x200 of 256 channels; each region becomes 7x7, of
four points a cell, as in Faster R-CNN. What is read and the map's gradient are compared first. Each
side has the map in the order of axes that is its own. Prints the medians of both, and of the
rounds' ratios.
"""

import sys
from pathlib import Path

import numpy as np

from benchmarks import paired

SIDE, CHANNELS, STRIDE, CELLS, SAMPLES = 200, 256, 4, 7, 2

# Largest difference of a channel's mean square.
_AGREE = 1e-3


def main() -> int:
    """Runs the command line; 1 if the sides disagree."""
    return paired.main(
        "benchmarks.region_align",
        ours,
        theirs,
        size=512,
        agree=_AGREE,
        what="what is read, and its gradient,",
        of="forward and backward",
    )


def given(size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The map (1, h, w, c), boxes (size, 4) in pixels, and the cotangent (size, 7, 7, c)."""
    rng = np.random.default_rng(0)
    features = rng.standard_normal((1, SIDE, SIDE, CHANNELS), np.float32)
    sides = np.exp(rng.uniform(np.log(16), np.log(256), (size, 2)))
    low = rng.random((size, 2)) * (SIDE * STRIDE - sides)
    boxes = np.concatenate([low, low + sides], axis=1).astype(np.float32)
    return features, boxes, rng.standard_normal((size, CELLS, CELLS, CHANNELS), np.float32)


def ours(file: Path, size: int) -> paired.Side:
    """(each channel's mean square of what is read and of its gradient, both); writes no file."""
    import jax

    from jaxdl import ops

    features, boxes, bar = given(size)

    @jax.jit
    def run(features, boxes, bar):
        read = lambda x: ops.boxes.roi_align(x, boxes, CELLS, 1 / STRIDE, samples=SAMPLES)
        made, back = jax.vjp(read, features)
        return made, back(bar)[0]

    arrays = jax.device_put((features, boxes[None], bar[None]))
    squares = lambda x: np.square(np.asarray(x, np.float64)).reshape(-1, CHANNELS).mean(0)
    say = lambda: np.concatenate([squares(x) for x in run(*arrays)]).tolist()
    return say, lambda: jax.block_until_ready(run(*arrays))


def theirs(file: Path, size: int) -> paired.Side:
    """The same of torchvision."""
    import torch
    from torchvision.ops import roi_align

    features, boxes, bar = map(torch.from_numpy, given(size))
    features = features.permute(0, 3, 1, 2).contiguous().requires_grad_()
    bar = bar.permute(0, 3, 1, 2).contiguous()

    def run() -> list[torch.Tensor]:
        made = roi_align(features, [boxes], CELLS, 1 / STRIDE, sampling_ratio=SAMPLES)
        return [made.detach(), *torch.autograd.grad(made, features, bar)]

    squares = lambda x: x.double().square().mean((0, 2, 3))
    return lambda: torch.cat([squares(x) for x in run()]).tolist(), run


if __name__ == "__main__":
    sys.exit(main())
