"""An update of Pix2Pix's two networks at 64 pixels, beside the same in PyTorch.

    python -m benchmarks.translation [--size=64] [--rounds=11] [--form=NAME] [--torch-python=PATH]

The generator halves down to one pixel; widths, the discriminator and Adam's settings are the
paper's, 16 pairs of colour are learned from at a time, and nothing is dropped, so that both sides
compute the same. They begin with the same weights, and the losses of their first two updates are
compared. PyTorch's is the fastest of eager and torch.compile, each in either memory format, its
optimizers in their fused form. Prints the medians of both, and of the rounds' ratios.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import paired

BATCH, UPDATES, RATE, DISTANCE = 16, 2, 2e-4, 100.0

# Largest difference of what is said of the first updates.
_AGREE = 2e-3


def main() -> int:
    """Runs the command line; 1 if the sides disagree."""
    return paired.main(
        "benchmarks.translation",
        ours,
        theirs,
        size=64,
        agree=_AGREE,
        what="the losses of the first updates",
        of="an update",
        has_forms=True,
    )


def batch(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Pictures and what is to be made of them, (batch, size, size, 3) uint8."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (2, BATCH, size // 8, size // 8, 3), np.uint8)
    return tuple(coarse.repeat(8, 2).repeat(8, 3))


def halvings(size: int) -> int:
    """Down to one pixel."""
    return size.bit_length() - 1


def ours(file: Path, size: int) -> paired.Side:
    """Our side, whose first weights are written to ``file`` and beside it by the authors' names."""
    import jax

    from jaxdl import experiment, keys, metrics, pretrained, tasks
    from jaxdl.launch import flags

    flag = lambda name, value: f"--config.{name}={value}"
    config = flags.parse(
        [
            "--config=experiments/pix2pix.py", flag("data.name", "picture_pairs"),
            flag("data.path", _written(file.parent / "pairs", size)),
            flag("data.image_size", size), flag("model.depth", halvings(size)),
            flag("model.width", 64), flag("model.dropout", 0.0),
            flag("task.discriminator_width", 64),
            flag("task.discriminator_depth", 3), flag("task.distance", DISTANCE),
            flag("batch_size", BATCH), flag("optimizer.name", "adam"),
            flag("optimizer.learning_rate", RATE), flag("optimizer.b1", 0.5),
            flag("optimizer.schedule", "constant"), flag("ema", 0.0),
            flag("precision", "float32"), flag("parallel.data", 1), flag("log.layers", "false"),
        ]
    ).config  # fmt: skip
    one = experiment.create(config)
    state = one.init_state()
    players, *_ = tasks.create(one.run).train_step.args
    for network, where in zip(state, (file, _second(file)), strict=True):
        module = getattr(players.nets, "generator" if where == file else "discriminator")
        pretrained.save(module, network.variables, where)
    examples = jax.device_put(dict(zip(("image", "target"), batch(size), strict=True)))
    step = jax.jit(one.task.train_step, donate_argnums=0)
    kept = [state, 0]

    def update() -> dict[str, Any]:
        kept[0], found = step(kept[0], examples, keys.at_step(one.key, kept[1]))
        kept[1] += 1
        return metrics.divide(found)

    def say() -> list[float]:
        found = [update() for _ in range(UPDATES)]
        return [one[name] for one in found for name in ("discriminator_loss", "fooled", "l1")]

    return say, lambda: update()


def _written(folder: Path, size: int) -> Path:
    """A folder of pairs side by side, to learn from and to be measured on."""
    from PIL import Image

    for part in ("train", "test"):
        (folder / part).mkdir(parents=True)
        for i, pair in enumerate(zip(*batch(size), strict=True)):
            Image.fromarray(np.concatenate(pair, axis=1)).save(folder / part / f"{i}.png")
    return folder


def _second(file: Path) -> Path:
    return file.with_name(f"discriminator_{file.name}")


def theirs(file: Path, size: int, form: str) -> paired.Side:
    """The same in PyTorch."""
    import torch
    from safetensors.torch import load_file
    from torch.nn import functional as F

    from benchmarks.torch_models import translation

    weights = [load_file(path) for path in (file, _second(file))]
    judged = lambda logits, real: F.binary_cross_entropy_with_logits(
        logits, (torch.ones_like if real else torch.zeros_like)(logits)
    )

    def stepper(compiled: bool, layout: torch.memory_format) -> Callable[[], list[float]]:
        networks = translation.UNet(3, halvings(size), 64), translation.PatchGAN(6, 64, 3)
        for network, tensors in zip(networks, weights, strict=True):
            missing, unknown = network.load_state_dict(tensors, strict=False)
            if unknown or not all(name.endswith("num_batches_tracked") for name in missing):
                raise ValueError(f"of our tensors {unknown} are unknown, and {missing} missing")
            network.to(memory_format=layout)
        optimizers = [
            torch.optim.Adam(one.parameters(), lr=RATE, betas=(0.5, 0.999), fused=True)
            for one in networks
        ]
        generate, judge = map(torch.compile, networks) if compiled else networks
        image, target = (
            torch.from_numpy(2 * x.astype(np.float32) / 255 - 1)
            .permute(0, 3, 1, 2)
            .contiguous(memory_format=layout)
            for x in batch(size)
        )
        beside = lambda x: torch.cat([image, x], 1)

        def update() -> list[float]:
            made = generate(image)
            networks[1].requires_grad_(True)
            fake, real = judge(beside(made.detach())), judge(beside(target))
            theirs = 0.5 * (judged(fake, False) + judged(real, True))
            _descend(optimizers[1], theirs)
            networks[1].requires_grad_(False)
            fooled, l1 = judged(judge(beside(made)), True), F.l1_loss(made, target)
            _descend(optimizers[0], fooled + DISTANCE * l1)
            return [float(x.detach()) for x in (theirs, fooled, l1)]

        return update

    def say() -> list[float]:
        update = stepper(False, torch.contiguous_format)
        return [x for _ in range(UPDATES) for x in update()]

    return say, paired.fastest_of_pytorch(stepper, form)


def _descend(optimizer: Any, loss: Any) -> None:
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()


if __name__ == "__main__":
    sys.exit(main())
