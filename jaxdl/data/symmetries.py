"""More classes out of few: what a class looks like turned and mirrored is a class of its own.

Santoro et al., 2016, "Meta-Learning with Memory-Augmented Neural Networks", section 4.1, make
classes of characters by quarter turns, so that a network that is to learn other characters later
learns features of more than the few that there are.
"""

import numpy as np

from jaxdl.data import fingerprint
from jaxdl.data.split import Batch, Split
from jaxdl.errors import UserError


class Symmetries:
    """Every example of a split by each of the square's first symmetries, the unchanged one first.

    Args:
      split: its batches have ``image`` (n, h, w, c), h = w, and ``label`` (n,).
      count: 4 for the quarter turns, 8 for those of the mirror image too.
      classes: that the split has. Class k by symmetry s is class s·classes + k here.
      places: (size,) which of these there are, example i by symmetry s being s·len(split) + i; all,
        where it is not given.
    """

    def __init__(self, split: Split, count: int, classes: int, places: np.ndarray | None = None):
        self.split, self.count, self.classes = split, count, classes
        self.places = np.arange(count * len(split)) if places is None else places

    def __len__(self) -> int:
        """Number of examples."""
        return len(self.places)

    @property
    def labels(self) -> np.ndarray:
        """Of each example, (size,)."""
        symmetry, at = np.divmod(self.places, len(self.split))
        return self.classes * symmetry + self.split.labels[at]

    def take(self, indices: np.ndarray) -> Batch:
        """What the split gives, turned, with the labels that it has so.

        Raises:
          UserError: the images are no squares.
        """
        symmetry, at = np.divmod(self.places[indices], len(self.split))
        batch = self.split.take(at)
        image = batch["image"].copy()
        if image.shape[1] != image.shape[2]:
            raise UserError(
                f"data.symmetries={self.count}: images of {image.shape[1]}x{image.shape[2]} pixels "
                "have another shape when turned; it takes squares"
            )
        for s in np.unique(symmetry):
            chosen = symmetry == s
            image[chosen] = transformed(image[chosen], s)
        # A dtype that just held the classes may be too small for eight times as many.
        label = (batch["label"] + self.classes * symmetry).astype(np.int32)
        return {**batch, "image": image, "label": label}

    def fingerprint(self) -> str:
        """Of the examples and what is made of them."""
        return fingerprint.digest({"of": fingerprint.of(self.split), "places": self.places})

    def subset(self, indices: np.ndarray) -> "Symmetries":
        """Of only these examples."""
        return Symmetries(self.split, self.count, self.classes, self.places[indices])


def transformed(images: np.ndarray, symmetry: int) -> np.ndarray:
    """Images (n, h, w, c) by a symmetry in 0 … 7: mirrored from 4 on, then turned to the left."""
    mirrored = images[:, :, ::-1] if symmetry >= 4 else images
    return np.rot90(mirrored, symmetry % 4, axes=(1, 2))


def names(class_names: tuple[str, ...], count: int) -> tuple[str, ...]:
    """Of all classes that there are then."""
    mirrored = lambda s: " mirrored" if s >= 4 else ""
    turned = lambda s: f" turned {90 * (s % 4)}°" if s % 4 else ""
    return tuple(f"{name}{mirrored(s)}{turned(s)}" for s in range(count) for name in class_names)
