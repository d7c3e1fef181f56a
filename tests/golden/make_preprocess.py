"""What the original libraries make of pictures before a model sees them, for tests/test_predict.py.

    pip install torch==2.13.0 pillow pyyaml && pip install --no-deps torchvision timm
    python tests/golden/make_preprocess.py

preprocess.npz keeps drawn pictures of several shapes and, for each and each setting, the pixels
that torchvision's Resize and CenterCrop leave; and the whole of its and timm's pipelines for one.
"""

import itertools
from pathlib import Path

import numpy as np
from make_classifiers import import_torchvision
from PIL import Image

import_torchvision()

from timm.data import create_transform  # noqa: E402
from torchvision.transforms import CenterCrop, Compose, InterpolationMode, Resize  # noqa: E402
from torchvision.transforms._presets import ImageClassification  # noqa: E402

# Height and width, longer either way, odd and even, and smaller than what is cut out.
SHAPES = ((37, 50), (61, 40), (33, 33), (9, 20))
# Pixels of the short side, and of the square.
SIZES = ((16, 13), (24, 24), (41, 32), (12, 17))
INTERPOLATIONS = ("bilinear", "bicubic", "nearest")


def picture(shape: tuple[int, int]) -> np.ndarray:
    """Smooth colours and some noise, (h, w, 3) uint8."""
    draws = np.random.default_rng(shape)
    y, x = (np.linspace(0, 5, n) for n in shape)
    waves = [np.sin(a * y[:, None] + b * x + c) for a, b, c in draws.normal(0, 2, (3, 3))]
    return (127 + 90 * np.stack(waves, -1) + draws.uniform(-30, 30, (*shape, 3))).astype(np.uint8)


def main() -> None:
    """Writes preprocess.npz."""
    found = {}
    for i, shape in enumerate(SHAPES):
        found[f"picture_{i}"] = picture(shape)
        image = Image.fromarray(found[f"picture_{i}"])
        for (resize, size), how in itertools.product(SIZES, INTERPOLATIONS):
            steps = Compose([Resize(resize, InterpolationMode(how)), CenterCrop(size)])
            found[f"cut_{i}_{resize}_{size}_{how}"] = np.asarray(steps(image))
    image = Image.fromarray(found["picture_0"])
    bicubic = InterpolationMode.BICUBIC
    whole = {
        "torchvision": ImageClassification(crop_size=20, resize_size=24),
        "timm": create_transform(
            20, interpolation="bicubic", crop_pct=0.8, mean=(0.5,) * 3, std=(0.4, 0.5, 0.6)
        ),
        "torchvision_bicubic": ImageClassification(
            crop_size=24, resize_size=24, interpolation=bicubic
        ),
    }
    for name, steps in whole.items():
        found[f"whole_{name}"] = steps(image).numpy().transpose(1, 2, 0)
    path = Path(__file__).parent / "preprocess.npz"
    np.savez_compressed(path, **found)
    print(path.name, path.stat().st_size)


if __name__ == "__main__":
    main()
