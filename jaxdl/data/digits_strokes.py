"""scikit-learn's handwritten digits as graphs: the pixels that a stroke touches, and which adjoin.

What is told of a picture is then where its ink lies and how it hangs together, and no grid: a
network sees from 16 to 34 nodes of three numbers each, in no order.
"""

import numpy as np

from jaxdl.data import Data, register
from jaxdl.data.graph_examples import Example, Graphs, data
from jaxdl.errors import UserError

# Ink of the scale from 0 to 16 in which the pixels were counted.
_FULL = 16


@register("digits_strokes")
def digits_strokes(
    threshold: float = 0.25,
    lengths: int = 1,
    split: str = "random",
    test_fraction: float = 0.2,
    split_seed: int = 0,
    eval_on: str = "test",
) -> Data:
    """1797 graphs, of the digits 0 to 9, with an edge each way between any two adjoining pixels.

    A node has three features: its place from left to right and from top to bottom, from -1 to 1,
    and its ink, up to 1. Divided as data set "digits" is.

    Args:
      threshold: ink above which a pixel is a node, from 0 and below 1.
      lengths: that batches may have, at most; more leave less padding (`jaxdl.data.length_groups`).
      split: "random" or "halves".
      test_fraction: size of the random test part.
      split_seed: of the draw.
      eval_on: "test" or "validation".

    Raises:
      UserError: the threshold is out of range, or leaves nothing of a digit.
    """
    from sklearn.datasets import load_digits

    if not 0 <= threshold < 1:
        raise UserError(f"data.threshold={threshold} must be at least 0 and below 1")
    images, labels = load_digits(return_X_y=True)
    images = images.reshape(-1, 8, 8) / _FULL
    faint = np.flatnonzero(images.max(axis=(1, 2)) <= threshold)
    if len(faint):
        raise UserError(
            f"data.threshold={threshold} leaves nothing of {len(faint)} digits, such as number "
            f"{faint[0]}: set less"
        )
    examples = [
        Example(*strokes(image, threshold), label)
        for image, label in zip(images, labels, strict=True)
    ]
    how = dict(split=split, test_fraction=test_fraction, split_seed=split_seed, eval_on=eval_on)
    names = tuple(map(str, range(10)))
    return data(Graphs(examples, positions=(0, 1)), names, lengths=lengths, **how)


def strokes(image: np.ndarray, threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """A picture's nodes and edges.

    Args:
      image: (h, w), 0 to 1, of two rows and columns or more.
      threshold: ink above which a pixel is a node.

    Returns:
      (nodes, 3) float32: place from left to right, from top to bottom, and ink; and (edges, 2)
      int32, both ways between pixels that share a side or a corner.
    """
    rows, columns = np.nonzero(image > threshold)
    height, width = image.shape
    places = columns / (width - 1) * 2 - 1, rows / (height - 1) * 2 - 1
    features = np.stack([*places, image[rows, columns]], axis=1).astype(np.float32)
    apart = np.maximum(abs(rows[:, None] - rows), abs(columns[:, None] - columns))
    return features, np.argwhere(apart == 1).astype(np.int32)
