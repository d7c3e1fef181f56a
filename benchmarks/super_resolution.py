"""An update of EDSR (16 blocks x 64, x2, 16 patches of 48 pixels), beside the same in PyTorch.

    python -m benchmarks.super_resolution [--size=48] [--rounds=11] [--form=NAME] \\
        [--torch-python=PATH]

Both begin with the same weights, and the losses of their first three updates by Adam are compared.
PyTorch's is the fastest of eager and torch.compile, each with its images and convolutions in either
memory format, its optimizer in its fused form. Prints the medians of both, and of the rounds'
ratios.
"""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks import paired

BATCH, UPDATES, RATE = 16, 3, 1e-4

# Largest difference of a loss, the mean absolute error of pixels in [0, 1].
_AGREE = 1e-4


def main() -> int:
    """Runs the command line; 1 if the sides disagree."""
    return paired.main(
        "benchmarks.super_resolution",
        ours,
        theirs,
        size=48,
        agree=_AGREE,
        what="the loss of the first updates",
        of="an update",
        has_forms=True,
    )


def batch(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Small pictures and large ones, smooth, (batch, h, w, 3) float32 in [0, 1]."""
    rng = np.random.default_rng(0)
    low = rng.random((BATCH, size, size, 3), np.float32)
    return low, low.repeat(2, 1).repeat(2, 2)


def ours(file: Path, size: int) -> paired.Side:
    """Our side, whose first weights are written to ``file`` by our names."""
    import jax
    from safetensors.numpy import save_file

    from jaxdl import experiment, keys
    from jaxdl.launch import flags
    from jaxdl.pretrained.architecture import by_name

    flag = lambda name, value: f"--config.{name}={value}"
    config = flags.parse(
        [
            "--config=experiments/edsr.py:baseline", flag("data.patch", size),
            flag("task.turns", "false"), flag("optimizer.name", "adam"),
            flag("optimizer.schedule", "constant"), flag("optimizer.boundaries", "()"),
            flag("optimizer.learning_rate", RATE), flag("precision", "float32"),
            flag("parallel.data", 1),
        ]
    ).config  # fmt: skip
    one = experiment.create(config)
    state = one.init_state()
    arrays = {k: np.asarray(x) for k, x in by_name({"params": state.params}).items()}
    save_file(arrays, file)
    low, high = (np.rint(255 * x).astype(np.uint8) for x in batch(size))
    examples = jax.device_put({"image": low, "target": high})
    step = jax.jit(one.task.train_step, donate_argnums=0)
    kept = [state, 0]

    def update() -> float:
        kept[0], metrics = step(kept[0], examples, keys.at_step(one.key, kept[1]))
        kept[1] += 1
        loss = metrics["loss"]
        return float(loss.total) / float(loss.weight)

    return lambda: [update() for _ in range(UPDATES)], lambda: update()


def theirs(file: Path, size: int, form: str) -> paired.Side:
    """The same in PyTorch."""
    import torch
    from safetensors.numpy import load_file
    from torch.nn import functional as F

    from benchmarks import torch_weights
    from benchmarks.torch_models import edsr

    arrays = load_file(file)
    low, high = (np.rint(255 * x).astype(np.float32) / 255 for x in batch(size))

    def stepper(compiled: bool, layout: torch.memory_format) -> Callable[[], float]:
        model = edsr.Model()
        torch_weights.load(model, arrays)
        model = model.to(memory_format=layout)
        optimizer = torch.optim.Adam(model.parameters(), lr=RATE, fused=True)
        put = lambda x: torch.from_numpy(x.transpose(0, 3, 1, 2)).contiguous(memory_format=layout)
        x, y = put(low), put(high)
        loss_of = lambda: F.l1_loss(model(x), y)
        loss_of = torch.compile(loss_of) if compiled else loss_of

        def update() -> float:
            optimizer.zero_grad(set_to_none=True)
            loss = loss_of()
            loss.backward()
            optimizer.step()
            return float(loss)

        return update

    def say() -> list[float]:
        update = stepper(False, torch.contiguous_format)
        return [update() for _ in range(UPDATES)]

    return say, paired.fastest_of_pytorch(stepper, form)


if __name__ == "__main__":
    sys.exit(main())
