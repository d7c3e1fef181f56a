"""Writes translation.npz: what Pix2Pix's and CycleGAN's networks give, for test_translation.py.

    pip install torch==2.13.0
    python tests/golden/make_translation.py

The networks are benchmarks/torch_models/translation.py, in float64, small: what comes out, in
training and at evaluation, and the gradients in training of ``Σ out · g`` by every parameter and by
the image, of which length and products with drawn directions are kept. Weights are drawn by their
names (seeded.py) in PyTorch's layouts.
"""

import sys
from pathlib import Path

import numpy as np
import torch

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent.parent)]

import seeded  # noqa: E402

from benchmarks.torch_models import translation  # noqa: E402

CASES = {
    "pix2pix": (translation.UNet(2, 3, 4), (2, 16, 8, 2)),
    "pix2pix_instance": (translation.UNet(2, 3, 4, kind="instance"), (2, 16, 16, 2)),
    "cyclegan": (translation.ResNet(2, 2, 4), (2, 12, 16, 2)),
    "cyclegan_batch": (translation.ResNet(2, 1, 4, kind="batch"), (2, 8, 8, 2)),
    "patchgan": (translation.PatchGAN(4, 4, 3), (2, 24, 32, 4)),
    "patchgan_instance": (translation.PatchGAN(2, 4, 2, "instance"), (2, 12, 12, 2)),
}


def case(name, model, shape):
    """{name: array} of one network."""
    model = model.double()
    with torch.no_grad():
        for path, x in model.state_dict().items():
            if x.dtype.is_floating_point:
                x.copy_(torch.from_numpy(seeded.weight(path, tuple(x.shape)).astype(np.float64)))
    x = torch.from_numpy(seeded.images(shape).astype(np.float64).transpose(0, 3, 1, 2))
    last = lambda y: y.detach().numpy().transpose(0, 2, 3, 1)
    found = {"evaluated": last(model.eval()(x))}
    x.requires_grad_()
    made = model.train()(x)
    (made * torch.from_numpy(seeded.normal(f"{name}/g", tuple(made.shape)))).sum().backward()
    for path, parameter in model.named_parameters():
        found[f"gradient/{path}"] = seeded.summary(path, parameter.grad)
    found["gradient/image"] = seeded.summary("image", x.grad.numpy().transpose(0, 2, 3, 1))
    for path, kept in model.named_buffers():
        if kept.dtype.is_floating_point:
            found[f"kept/{path}"] = kept.numpy()
    return {"made": last(made), **found}


def main():
    """Writes the file."""
    made = {
        f"{name}/{key}": value
        for name, (model, shape) in CASES.items()
        for key, value in case(name, model, shape).items()
    }
    about = f"torch {torch.__version__}"
    np.savez_compressed(HERE / "translation.npz", made_with=about, **made)


if __name__ == "__main__":
    main()
