"""Faster R-CNN R50-FPN on one picture, beside torchvision's on its own operators.

    python -m benchmarks.detection [--size=640] [--rounds=11] [--torch-python=PATH]

Both have the same drawn weights, by which regions are proposed and nothing is found; what both say
of the regions, 1000 at most, is compared first. Then rounds time a picture on each side in turn,
each a process of its own, which is stopped while the other runs. Prints the medians of both, and of
the rounds' ratios.
"""

import sys
from pathlib import Path

import numpy as np

from benchmarks import paired

# Largest difference in the mean of what is said of regions.
_AGREE = 1e-3


def main() -> int:
    """Runs the command line; 1 if the sides disagree."""
    return paired.main(
        "benchmarks.detection",
        ours,
        theirs,
        size=640,
        agree=_AGREE,
        what="what is said of regions",
        of="a picture",
    )


def picture(size: int) -> np.ndarray:
    """(size, size, 3) float32 in [0, 1]."""
    return np.random.default_rng(0).random((size, size, 3), np.float32)


def ours(file: Path, size: int):
    """(what is said of regions, a call on the picture), of weights that are written to ``file``."""
    import jax
    import jax.numpy as jnp

    from jaxdl import keys, models, pretrained

    module = models.create("faster_rcnn")
    variables = jax.jit(module.init)(keys.root(0), jnp.zeros((1, 64, 64, 3)))
    pretrained.save(module, variables, file, naming="torchvision")
    x = jnp.asarray(picture(size)[None])
    raw = jax.jit(lambda variables, x: module.apply(variables, x, raw=True))
    detect = jax.jit(module.apply)

    def say() -> list[float]:
        found = raw(variables, x)
        # Of a small picture fewer are proposed than there is room for.
        return (
            np.asarray(found.logits, np.float64)[np.asarray(found.regions.present)].mean(0).tolist()
        )

    return say, lambda: jax.block_until_ready(detect(variables, x))


def theirs(file: Path, size: int):
    """The same of torchvision."""
    import safetensors.torch
    import torch
    from torchvision.models.detection import fasterrcnn_resnet50_fpn

    net = fasterrcnn_resnet50_fpn(
        weights=None, weights_backbone=None, min_size=size, max_size=size
    ).eval()
    net.load_state_dict(safetensors.torch.load_file(file), strict=False)
    x = [torch.from_numpy(picture(size)).permute(2, 0, 1)]
    kept = {}
    net.roi_heads.box_predictor.register_forward_hook(
        lambda module, inputs, outputs: kept.update(logits=outputs[0])
    )

    @torch.inference_mode()
    def run() -> None:
        net(x)

    def say() -> list[float]:
        run()
        return kept["logits"].double().mean(0).tolist()

    return say, run


if __name__ == "__main__":
    sys.exit(main())
