"""Pictures of masks: what is where, over the image that it was found in."""

from collections.abc import Sequence

import numpy as np

from jaxdl.data.preprocess import white
from jaxdl.report import draw

# Of a mask's colour over the image.
_SHARE = 0.6
_IGNORED = (0.5, 0.5, 0.5)


def palette(count: int) -> np.ndarray:
    """(count, 3) in [0, 1]: black for class 0, the ground, then colours that come again."""
    colours = [draw.rgb(color) for color in draw.COLORS_OF_CLASSES]
    return np.array([[0.0] * 3, *(colours[i % len(colours)] for i in range(count - 1))])


def overlay(images: np.ndarray, masks: np.ndarray, classes: int) -> np.ndarray:
    """Images with their masks in colour over them, (n, h, w, 3) float32 in [0, 1].

    Args:
      images: (n, h, w, c), uint8 or floating in [0, 1].
      masks: (n, h, w) integers; 0, the ground, is left as it is, what is no class is grey.
      classes: how many there are.
    """
    shown = in_colours(images)
    table = np.concatenate([palette(classes), [_IGNORED]])
    known = (masks >= 0) & (masks < classes)
    over = table[np.where(known, masks, classes)]
    mixed = (1 - _SHARE) * shown + _SHARE * over
    return np.where((masks == 0)[..., None], shown, mixed).astype(np.float32)


def in_colours(images: np.ndarray) -> np.ndarray:
    """(n, h, w, 3) float32 in [0, 1]; of other than 3 channels the first, grey."""
    scaled = (images / white(images.dtype)).astype(np.float32)
    return scaled if images.shape[-1] == 3 else scaled[..., :1].repeat(3, axis=-1)


def worst(
    images: np.ndarray,
    true: np.ndarray,
    found: np.ndarray,
    captions: Sequence[str],
    classes: int,
    caption: str,
) -> draw.Picture:
    """Each image, its true mask and the one that was found, side by side.

    Args:
      images: (n, h, w, c).
      true: (n, h, w) integers.
      found: the same.
      captions: n lines, above what was found.
      classes: how many there are.
      caption: of the whole.
    """
    parts = in_colours(images), overlay(images, true, classes), overlay(images, found, classes)
    side_by_side = np.stack(parts, axis=1).reshape(-1, *parts[0].shape[1:])
    lines = [line for text in captions for line in ("image", "true", text)]
    return draw.image_grid(side_by_side, lines, caption, columns=6)
