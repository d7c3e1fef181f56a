"""Two real photographs that come with scikit-learn, to be made larger: nothing to download."""

import numpy as np

from jaxdl.data import Data, pictures, register, smaller, statistics
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
    sizes: tuple[float, ...] = (1.0,),
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
      sizes: of the photograph that is learned from, as parts of its own, each at most 1: squares
        are of all. One photograph has lines of one sharpness, and made smaller it has sharper ones.
      validation_fraction: of the columns of the one that is learned from, at its right, the part
        that is measured on in place of the other photograph with eval_on=validation.
      eval_on: "test", or "validation", to choose settings by.
    """
    smaller.check(scale, channels, patch, stride)
    choose("photograph in data.test", test, FILES)
    if not sizes or not all(0 < size <= 1 for size in sizes):
        raise UserError(f"data.sizes={sizes} must be numbers above 0 and at most 1")
    if not 0 < validation_fraction < 1:
        raise UserError(f"data.validation_fraction={validation_fraction} must be between 0 and 1")
    (train,) = (name for name in FILES if name != test)
    learned, measured = read(train, channels), read(test, channels)
    if eval_on == "validation":
        cut = round(learned.shape[1] * (1 - validation_fraction) / scale) * scale
        learned, measured, test = learned[:, :cut], learned[:, cut:], f"the right part of {train}"
    copies = [_at(learned, size) for size in sizes]
    kept = _patches(train, copies, scale, patch, stride or patch)
    mean, std = statistics.of_channels(kept, most=512)
    whole = _patches(test, [measured], scale, patch, patch)
    return Data(train=kept, test=whole, mean=mean, std=std)


def _at(picture: np.ndarray, size: float) -> np.ndarray:
    """A picture of a part of its height and width."""
    return pictures.resized(picture, *(round(size * side) for side in picture.shape[:2]))


def _patches(
    name: str, copies: list[np.ndarray], scale: int, side: int, stride: int
) -> smaller.Patches:
    pairs = [smaller.pair(picture, scale) for picture in copies]
    names, sizes = [name] * len(pairs), [pair.small.shape[:2] for pair in pairs]
    return smaller.Patches(pairs, names, sizes, side, stride)


def read(name: str, channels: int) -> np.ndarray:
    """A photograph by its name in `FILES`, (427, 640, channels) uint8; 1 channel is grey."""
    from PIL import Image
    from sklearn.datasets import load_sample_image

    picture = load_sample_image(FILES[name])
    if channels == 1:
        picture = np.asarray(Image.fromarray(picture).convert("L"))[..., None]
    return picture
