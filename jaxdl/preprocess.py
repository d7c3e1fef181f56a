"""How images are prepared for a model."""

from typing import NamedTuple


class Preprocess(NamedTuple):
    """What a published model was trained to see; the defaults are those of most.

    Attributes:
      size: pixels a side of what goes in: a square from the centre.
      resize: pixels of the image's short side before that; its own size where it is 0.
      interpolation: "bilinear", "bicubic" or "nearest", antialiased where it shrinks.
      mean: of each channel, images in [0, 1]; subtracted.
      std: what is divided by then.
      channels: their order, "rgb" or "bgr".
    """

    size: int = 224
    resize: int = 256
    interpolation: str = "bilinear"
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    channels: str = "rgb"
