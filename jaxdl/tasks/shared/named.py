"""Whether a classifier names what was made as what it was made of."""

import functools
from typing import Any

import numpy as np

from jaxdl.data.two_kinds import NAMES
from jaxdl.metrics import HIGH
from jaxdl.tasks.shared import generation

DIRECTIONS = dict.fromkeys(("named_rightly", "named_targets", "named_images"), HIGH) | {
    "named_as_they_were": HIGH
}


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
        """The shares that are named as what they were made of.

        ``named_rightly`` is the mean of both, and ``named_as_they_were`` what it would be of
        copies.

        Args:
          split: `jaxdl.data.two_kinds.TwoKinds`.
          targets: (n, h, w, c) in [0, 1], of the pictures of the first kind.
          images: the same of those of the second.
        """
        of_images, of_targets = self._classifiers
        batch = split.take(np.arange(len(split)))

        def share(pictures: np.ndarray, classifier: Any, names: tuple[str, str, str]) -> float:
            is_right = classifier.predict(pictures.reshape(len(pictures), -1)) == batch[names[1]]
            return float(np.average(is_right, weights=batch.get(names[2])))

        image, target = NAMES
        found = {
            "named_targets": share(targets, of_targets, image),
            "named_images": share(images, of_images, target),
        }
        still = (
            share(unit(batch["image"]), of_targets, image),
            share(unit(batch["target"]), of_images, target),
        )
        mean = sum(found.values()) / 2
        return {**found, "named_rightly": mean, "named_as_they_were": sum(still) / 2}


def unit(images: np.ndarray) -> np.ndarray:
    """Of `generation.spread`, which scales what is called "image" alone."""
    return images.astype(np.float32) / 255 if images.dtype == np.uint8 else images
