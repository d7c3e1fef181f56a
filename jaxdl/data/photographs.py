"""Two real photographs that come with scikit-learn, to be made larger: nothing to download."""

import numpy as np

from jaxdl.data import Data, register, smaller, statistics
from jaxdl.errors import UserError
from jaxdl.registry import choose

# What scikit-learn calls them.
FILES = {"china": "china.jpg", "flower": "flower.jpg"}


@register("photographs")
def photographs(
    scale: int = 2,
    test: str = "flower",
    patch: int = 24,
    stride: int = 1,
    channels: int = 3,
    validation_fraction: float = 0.2,
    eval_on: str = "test",
) -> Data:
    """Patches of one photograph to learn from, and the other to be measured on, 640 x 427 both.

    "china" is a temple, full of fine lines, "flower" a dahlia before a blurred ground. Both were
    JPEGs: what was lost then is lost.

    ``image`` (n, patch, patch, channels) uint8 and ``target`` (n, patch * scale, …) uint8, whole
    pixels of a photograph that Pillow's bicubic filter has made smaller (`jaxdl.data.smaller`).

    Args:
      scale: by how many times pictures are to become larger: 2, 3 or 4.
      test: the photograph that is measured on, "flower" or "china"; the other is learned from.
      patch: pixels a side of the small squares.
      stride: pixels from one square that is learned from to the next; 0 is ``patch``. Those that
        are measured on are a patch apart.
      channels: 3 for colour, 1 for grey.
      validation_fraction: of the columns of the one that is learned from, at its right, the part
        that is measured on in place of the other photograph with eval_on=validation.
      eval_on: "test", or "validation", to choose settings by.
    """
    smaller.check(scale, channels, patch, stride)
    choose("photograph in data.test", test, FILES)
    if not 0 < validation_fraction < 1:
        raise UserError(f"data.validation_fraction={validation_fraction} must be between 0 and 1")
    (train,) = (name for name in FILES if name != test)
    learned, measured = read(train, channels), read(test, channels)
    if eval_on == "validation":
        cut = round(learned.shape[1] * (1 - validation_fraction) / scale) * scale
        learned, measured, test = learned[:, :cut], learned[:, cut:], f"the right part of {train}"
    part = lambda name, picture, step: _patches(name, smaller.pair(picture, scale), patch, step)
    kept = part(train, learned, stride or patch)
    mean, std = statistics.of_channels(kept, most=512)
    return Data(train=kept, test=part(test, measured, patch), mean=mean, std=std)


def _patches(name: str, found: smaller.Pair, side: int, stride: int) -> smaller.Patches:
    return smaller.Patches([found], [name], [found.small.shape[:2]], side, stride)


def read(name: str, channels: int) -> np.ndarray:
    """A photograph by its name in `FILES`, (427, 640, channels) uint8; 1 channel is grey."""
    from PIL import Image
    from sklearn.datasets import load_sample_image

    picture = load_sample_image(FILES[name])
    if channels == 1:
        picture = np.asarray(Image.fromarray(picture).convert("L"))[..., None]
    return picture
