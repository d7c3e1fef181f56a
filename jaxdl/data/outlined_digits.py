"""The digits that come with scikit-learn and their outlines: to be drawn from one another."""

import numpy as np

from jaxdl.data import Data, parts, register, statistics
from jaxdl.data.digits import digits
from jaxdl.data.split import Arrays, Split
from jaxdl.registry import choose

# Ink from which on a pixel belongs to the digit, of 16.
INK = 4 / 16

DIRECTIONS = dict.fromkeys(("digits", "outlines"))


@register("outlined_digits")
def outlined_digits(
    made: str = "digits",
    image_size: int = 0,
    split: str = "random",
    test_fraction: float = 0.2,
    split_seed: int = 0,
    eval_on: str = "test",
) -> Data:
    """``image`` (n, s, s, 1), the outline of a digit, ``target`` (n, s, s, 1), the digit itself.

    float32 in [0, 1], and ``label`` (n,). An outline is 1 where there is a quarter of the most ink
    at least, but less than that at a neighbour of the four, or an edge; 0 elsewhere. So ink is to
    be told, and what is within.

    Args:
      made: what is to be made of the other, "digits" or "outlines".
      image_size: pixels a side that digits are brought to first, bilinearly; 0 keeps the 8.
      split: "random" or "halves", of other writers.
      test_fraction: size of the random test part.
      split_seed: of the draw.
      eval_on: "test", or "validation" for a share of the training part.
    """
    choose("data.made", made, DIRECTIONS)
    how = dict(split=split, test_fraction=test_fraction, split_seed=split_seed, eval_on=eval_on)
    divided = parts.divided(digits(image_size).train, None, None, how)
    train, test = (_pairs(part, made) for part in (divided.train, divided.test))
    mean, std = statistics.of_channels(train)
    return Data(train=train, test=test, mean=mean, std=std)


def outlines(images: np.ndarray) -> np.ndarray:
    """Of digits (n, h, w, 1) in [0, 1]: the same shape, 0 and 1."""
    inked = images >= INK
    around = np.pad(inked, ((0, 0), (1, 1), (1, 1), (0, 0)))
    inside = around[:, 2:, 1:-1] & around[:, :-2, 1:-1] & around[:, 1:-1, 2:] & around[:, 1:-1, :-2]
    return (inked & ~inside).astype(np.float32)


def _pairs(part: Split, made: str) -> Arrays:
    found = part.take(np.arange(len(part)))
    digit, outline = found["image"], outlines(found["image"])
    pair = (outline, digit) if made == "digits" else (digit, outline)
    return Arrays({"image": pair[0], "target": pair[1], "label": found["label"]})
