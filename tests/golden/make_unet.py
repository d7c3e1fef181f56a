"""Writes unet.npz: what U-Net as figure 1 of its paper has it gives, for tests/test_unet.py.

    pip install torch==2.13.0
    python tests/golden/make_unet.py

The network is benchmarks/torch_models/unet.py, in float64, unpadded and padded: its logits, and the
gradients of ``Σ logits · g`` by every parameter and by the image, of which length and products with
drawn directions are kept. Weights are drawn by our names of them (seeded.py) in our layouts.
"""

import sys
from pathlib import Path

import numpy as np
import torch

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent.parent)]

import seeded  # noqa: E402

from benchmarks import torch_weights  # noqa: E402
from benchmarks.torch_models import unet  # noqa: E402

CLASSES, WIDTH, DEPTH = 3, 4, 2
SHAPES = {"unpadded": (2, 44, 48, 2), "padded": (2, 12, 8, 2)}


def ours(model):
    """{our name: (their name, order of axes that makes theirs ours)} of all parameters."""
    found = {}
    for name, x in model.named_parameters():
        path, kernel = name.rpartition(".")[0].replace(".", "/"), x.ndim > 1
        order = (2, 3, 1, 0) if kernel else (0,)
        found[f"{path}/{'kernel' if kernel else 'bias'}"] = (name, order)
    return found


def case(name, shape):
    """{name: array} of one form."""
    model = unet.Model(shape[1:], CLASSES, WIDTH, DEPTH, name == "padded", 0.0).double()
    tensors = dict(model.named_parameters())
    arrays = {}
    for path, (theirs, order) in ours(model).items():
        ours_shape = [tensors[theirs].shape[i] for i in order]
        ours_shape = ours_shape[2:] if path == "head/kernel" else ours_shape
        # He's deviation counts what goes in, which stands first in the shape that it is drawn of.
        drawn = seeded.weight(path, (ours_shape[-1], *ours_shape[:-1]))
        arrays[path] = np.moveaxis(drawn, 0, -1)
    torch_weights.load(model, arrays)
    x = torch.from_numpy(seeded.images(shape).astype(np.float64).transpose(0, 3, 1, 2))
    x.requires_grad_()
    logits = model(x)
    (logits * torch.from_numpy(seeded.normal(f"{name}/g", tuple(logits.shape)))).sum().backward()
    found = {f"shape/{path}": np.array(a.shape) for path, a in arrays.items()}
    for path, (theirs, order) in ours(model).items():
        grad = tensors[theirs].grad.numpy().transpose(order).reshape(arrays[path].shape)
        found[f"gradient/{path}"] = seeded.summary(path, grad)
    found["gradient/image"] = seeded.summary("image", x.grad.numpy().transpose(0, 2, 3, 1))
    return {"logits": logits.detach().numpy(), **found}


def main():
    """Writes the file."""
    made = {
        f"{name}/{key}": value
        for name, shape in SHAPES.items()
        for key, value in case(name, shape).items()
    }
    about = f"torch {torch.__version__}"
    np.savez_compressed(HERE / "unet.npz", made_with=about, **made)


if __name__ == "__main__":
    main()
