"""What tasks that generate images share: their range, how good they are, and how they are shown."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl.data.absent import Absent, NotKeptError
from jaxdl.data.preprocess import white
from jaxdl.data.spread import evenly
from jaxdl.metrics import sample_quality
from jaxdl.report import draw

# The most training images that generated ones are held against.
LEARNED = 10_000


def scaled(images: jax.Array) -> jax.Array:
    """uint8, or floats in [0, 1], to float32 in [-1, 1]."""
    return images.astype(jnp.float32) * (2 / white(images.dtype)) - 1


def unit_range(images: jax.Array) -> jax.Array:
    """[-1, 1] to [0, 1]."""
    return (images + 1) / 2


def in_batches(
    make: Callable[[jax.Array, Any], jax.Array], key: jax.Array, inputs: np.ndarray, at_once: int
) -> np.ndarray:
    """``make`` of ``inputs`` (n, …), ``at_once`` at a time, as one array.

    Args:
      make: (key, at_once of the inputs) -> as many results; the last batch is filled up with its
        last input, whose further results are dropped.
      key: folded with each batch's number.
      inputs: (n, …).
      at_once: inputs a call, always the same, so that one program does.
    """
    filled = np.concatenate([inputs, np.repeat(inputs[-1:], -len(inputs) % at_once, axis=0)])
    parts = filled.reshape(-1, at_once, *inputs.shape[1:])
    made = [np.asarray(make(jax.random.fold_in(key, i), part)) for i, part in enumerate(parts)]
    return np.concatenate(made)[: len(inputs)]


def spread(split: Any, most: int, name: str = "image") -> np.ndarray:
    """Up to ``most`` examples' array ``name``, evenly spread; images as float32 in [0, 1].

    Raises:
      NotKeptError: the split is not there, but for its shapes.
    """
    if isinstance(split, Absent):
        raise NotKeptError(
            "the examples that this run learned from are not here, and what it makes is held "
            "against them"
        )
    found = split.take(evenly(len(split), most))[name]
    if name != "image":
        return found
    return found.astype(np.float32) / np.float32(white(found.dtype))


class Learned:
    """The training images, as generated ones are held against them; read when first asked for.

    Args:
      data: `jaxdl.data.Data` with images and labels.
    """

    def __init__(self, data: Any):
        self._data = data

    @functools.cached_property
    def images(self) -> np.ndarray:
        """(m, h, w, c) float32 in [0, 1]."""
        return spread(self._data.train, LEARNED)

    @functools.cached_property
    def labels(self) -> np.ndarray:
        """(m,) theirs."""
        return spread(self._data.train, LEARNED, "label")

    def measures(self, made: np.ndarray, real: np.ndarray) -> dict[str, float]:
        """``two_sample_accuracy``, ``copies``, ``least_class_share`` (see `sample_quality`).

        Args:
          made: (n, h, w, c) in [0, 1], generated.
          real: (k, h, w, c), k at most n, none that was learned from.
        """
        return {
            "two_sample_accuracy": sample_quality.two_sample_accuracy(made[: len(real)], real),
            "copies": sample_quality.copies(made, real, self.images),
            "least_class_share": sample_quality.least_class_share(
                made, self.images, self.labels, len(self._data.class_names)
            ),
        }

    def named_right(self, made: np.ndarray, labels: np.ndarray) -> float:
        """The share of ``made`` (n, h, w, c) whose nearest image has the label asked for (n,)."""
        return sample_quality.named_right(made, labels, self.images, self.labels)

    def beside_nearest(self, made: np.ndarray) -> dict[str, draw.Picture]:
        """A picture of each generated image (n, h, w, c) and what was learned that is nearest."""
        distances, index = sample_quality.nearest(made, self.images)
        pairs = np.stack([made, self.images[index]], axis=1).reshape(-1, *made.shape[1:])
        captions = [text for d in distances for text in ("generated", f"nearest, {d:.2f}")]
        return {
            "Generated, and nearest in training": draw.image_grid(
                pairs,
                captions,
                "Each generated image, and the training image nearest to it by pixels, with their "
                "distance: a copy would have 0.",
            )
        }
