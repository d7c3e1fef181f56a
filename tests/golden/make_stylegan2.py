"""Writes stylegan2.npz: what StyleGAN2's networks and penalties give, for test_stylegan2.py.

    pip install torch==2.13.0
    python tests/golden/make_stylegan2.py

The networks are benchmarks/torch_models/stylegan2.py, in float64, small: images, logits, both
penalties, and the gradients of the penalties' sum by every parameter, of which length and products
with drawn directions are kept. Weights are drawn by our names (seeded.py) in our layouts.
"""

import sys
from pathlib import Path

import numpy as np
import torch

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent.parent)]

import seeded  # noqa: E402

from benchmarks import torch_weights  # noqa: E402
from benchmarks.torch_models import stylegan2  # noqa: E402

BATCH, LATENT, WIDTHS, CHANNELS, WIDTH, DEPTH = 4, 3, (6, 5, 4), 2, 5, 2
SIDE = 4 * 2 ** (len(WIDTHS) - 1)
PIXELS = 16 + 2 * 64 + 2 * 256

# From PyTorch's axes to ours.
AXES = {4: (2, 3, 1, 0), 3: (1, 2, 0), 2: (1, 0), 1: (0,), 0: ()}


def ours(x):
    """A parameter, in our layout."""
    return x.detach().numpy().transpose(AXES[x.ndim])


def main():
    """Writes the file."""
    model = stylegan2.Model(LATENT, WIDTHS, CHANNELS, WIDTH, DEPTH).double()
    names = {path: path.replace(".", "/") for path, _ in model.named_parameters()}
    weights = {
        names[path]: seeded.normal(names[path], ours(x).shape)
        for path, x in model.named_parameters()
    }
    torch_weights.load(model, weights)
    inputs = {
        "latent": seeded.normal("latent", (BATCH, LATENT)),
        "noise": seeded.normal("noise", (BATCH, PIXELS)),
        "real": seeded.normal("real", (BATCH, SIDE, SIDE, CHANNELS)),
        "along": seeded.normal("along", (BATCH, SIDE, SIDE, CHANNELS)),
    }
    given = {name: torch.from_numpy(x) for name, x in inputs.items()}
    first = lambda x: x.permute(0, 3, 1, 2)

    style = model.generator.mapping(given["latent"])
    styles = style[:, None].expand(BATCH, 2 * len(WIDTHS), WIDTH)
    made = model.generator.synthesis(styles, given["noise"])
    total = (made * first(given["along"]) / SIDE).sum()
    slopes = torch.autograd.grad(total, styles, create_graph=True)[0]
    paths = slopes.square().sum(2).mean(1).sqrt()

    real = first(given["real"]).requires_grad_()
    logits = model.discriminator(real)
    slopes = torch.autograd.grad(logits.sum(), real, create_graph=True)[0]
    r1 = 0.5 * slopes.square().sum((1, 2, 3))

    (paths.sum() + r1.sum()).backward()
    found = {
        "images": made.detach().permute(0, 2, 3, 1).numpy(),
        "logits": logits.detach().numpy(),
        "r1": r1.detach().numpy(),
        "paths": paths.detach().numpy(),
    }
    for path, x in model.named_parameters():
        gradient = torch.zeros_like(x) if x.grad is None else x.grad
        found[f"gradient/{names[path]}"] = seeded.summary(names[path], ours(gradient))
    about = f"torch {torch.__version__}"
    np.savez_compressed(HERE / "stylegan2.npz", made_with=about, **inputs, **found)


if __name__ == "__main__":
    main()
