"""Writes inception.npz: what pytorch-fid's own network makes of small pictures.

    pip install torch==2.13.0 pillow scipy && pip install --no-deps torchvision pytorch-fid==0.3.0
    python tests/golden/make_inception.py

The whole network, resizing and all, whose weights are drawn by the tensors' names (seeded.py) and
not downloaded. Kept are 2048 features and 1008 logits of each image.
"""

import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import seeded  # noqa: E402
from make_classifiers import import_torchvision  # noqa: E402

# Larger than what the network sees in one direction, smaller in the other.
SHAPE = (2, 340, 52, 3)


def main():
    """Writes the file."""
    import_torchvision()
    from pytorch_fid import inception

    kept = {}

    def drawn(*args, **kwargs):
        names = kept["model"].state_dict()
        return {
            name: torch.from_numpy(seeded.weight(name, tuple(x.shape)))
            if x.is_floating_point()
            else x
            for name, x in names.items()
        }

    original = inception._inception_v3

    def made(*args, **kwargs):
        kept["model"] = original(*args, **kwargs)
        return kept["model"]

    inception._inception_v3, inception.load_state_dict_from_url = made, drawn
    images = seeded.images(SHAPE)
    images = (images - images.min()) / (images.max() - images.min())
    model = inception.InceptionV3([3]).eval().double()
    with torch.no_grad():
        (features,) = model(torch.from_numpy(images).double().permute(0, 3, 1, 2))
        features = features[..., 0, 0]
        logits = kept["model"].double().fc(features)
    floats = {k: x.shape for k, x in kept["model"].state_dict().items() if x.is_floating_point()}
    np.savez_compressed(
        HERE / "inception.npz",
        shape=np.array(SHAPE),
        features=features.numpy(),
        logits=logits.numpy(),
        names=np.array(list(floats)),
        shapes=np.array([" ".join(map(str, shape)) for shape in floats.values()]),
        versions=np.array([f"{name} {version(name)}" for name in ("torch", "pytorch-fid")]),
    )


if __name__ == "__main__":
    main()
