"""Writes super_resolution.npz: what EDSR and ESPCN give, for tests/test_super_resolution.py.

    pip install torch==2.13.0
    python tests/golden/make_super_resolution.py

The networks are benchmarks/torch_models/edsr.py and espcn.py, in float64: their pictures, and the
gradients of ``Σ picture · g`` by every parameter and by the image, of which length and products
with drawn directions are kept. Weights are drawn by their names (seeded.py) in PyTorch's layouts.
"""

import sys
from pathlib import Path

import numpy as np
import torch

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent.parent)]

import seeded  # noqa: E402

from benchmarks.torch_models import edsr, espcn  # noqa: E402

EDSR = dict(depth=2, width=4, residual_scale=0.1)
CASES = {
    **{f"edsr_{scale}": (edsr.Model(scale, **EDSR), (2, 5, 7, 3)) for scale in (2, 3, 4)},
    **{f"espcn_{scale}": (espcn.Model(scale), (2, 6, 5, 1)) for scale in (2, 3)},
}


def case(name, model, shape):
    """{name: array} of one network."""
    model = model.double()
    tensors = dict(model.named_parameters())
    with torch.no_grad():
        for path, x in tensors.items():
            x.copy_(torch.from_numpy(seeded.weight(path, tuple(x.shape)).astype(np.float64)))
    x = torch.from_numpy(seeded.images(shape).astype(np.float64).transpose(0, 3, 1, 2))
    x.requires_grad_()
    made = model(x)
    (made * torch.from_numpy(seeded.normal(f"{name}/g", tuple(made.shape)))).sum().backward()
    found = {f"gradient/{path}": seeded.summary(path, t.grad) for path, t in tensors.items()}
    found["gradient/image"] = seeded.summary("image", x.grad.numpy().transpose(0, 2, 3, 1))
    return {"made": made.detach().numpy().transpose(0, 2, 3, 1), **found}


def main():
    """Writes the file."""
    made = {
        f"{name}/{key}": value
        for name, (model, shape) in CASES.items()
        for key, value in case(name, model, shape).items()
    }
    about = f"torch {torch.__version__}"
    np.savez_compressed(HERE / "super_resolution.npz", made_with=about, **made)


if __name__ == "__main__":
    main()
