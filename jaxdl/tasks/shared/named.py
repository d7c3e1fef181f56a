"""Whether a classifier names what was made as what it was made of."""

import functools
from typing import Any

import numpy as np

from jaxdl.data.two_kinds import NAMES
from jaxdl.metrics import HIGH
from jaxdl.tasks.shared import generation

DIRECTIONS = dict.fromkeys(("named_rightly", "named_targets", "named_images"), HIGH)


class Named:
    """Classifiers of both kinds of pictures, fitted to the training part when first asked.

    Support vector machines on pixels (scikit-learn's, with a Gaussian kernel).

    Args:
      data: `jaxdl.data.Data` with ``image``, ``target`` and the labels of both.
    """

    def __init__(self, data: Any):
        self._data = data

    @functools.cached_property
    def _classifiers(self) -> list[Any]:
        from sklearn.svm import SVC

        made = []
        for image, label, _ in NAMES:
            x = unit(generation.spread(self._data.train, generation.LEARNED, image))
            y = generation.spread(self._data.train, generation.LEARNED, label)
            made.append(SVC(C=10.0).fit(x.reshape(len(x), -1), y))
        return made

    def measures(self, split: Any, targets: np.ndarray, images: np.ndarray) -> dict[str, float]:
        """The shares that are named as what they were made of, and the mean of both.

        Args:
          split: `jaxdl.data.two_kinds.TwoKinds`.
          targets: (n, h, w, c) in [0, 1], of the pictures of the first kind.
          images: the same of those of the second.
        """
        of_images, of_targets = self._classifiers
        batch = split.take(np.arange(len(split)))
        found = {}
        for name, made, classifier, (_, label, counts) in (
            ("named_targets", targets, of_targets, NAMES[0]),
            ("named_images", images, of_images, NAMES[1]),
        ):
            is_right = classifier.predict(made.reshape(len(made), -1)) == batch[label]
            found[name] = float(np.average(is_right, weights=batch.get(counts)))
        return {**found, "named_rightly": (found["named_targets"] + found["named_images"]) / 2}


def unit(images: np.ndarray) -> np.ndarray:
    """Of `generation.spread`, which scales what is called "image" alone."""
    return images.astype(np.float32) / 255 if images.dtype == np.uint8 else images
