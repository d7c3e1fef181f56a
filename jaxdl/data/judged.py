"""By what boxes are judged that were found in pictures which were fitted into squares.

By the annotations as they stand, in each picture's own pixels: so the figures are those of tools
that read the same files and know of no squares.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jaxdl.data.letterbox import Fit


class Objects(NamedTuple):
    """What there is in several pictures, in one row, in pixels of the pictures.

    Attributes:
      image: (n,) int64 from 0 on, the picture that each is in.
      boxes: (n, 4) float64 x0, y0, x1, y1, edges.
      classes: (n,) int64.
      crowd: (n,) bool.
      difficult: (n,) bool.
      areas: (n,) float64 in pixels², the annotation's own, or the box's where it has none.
    """

    image: np.ndarray
    boxes: np.ndarray
    classes: np.ndarray
    crowd: np.ndarray
    difficult: np.ndarray
    areas: np.ndarray


class Judged(NamedTuple):
    """The objects of a split's pictures, and the way back from the squares to the pictures.

    Attributes:
      objects: of all of them.
      fits: how each picture lies in its square.
    """

    objects: Objects
    fits: Sequence[Fit]

    def back(self, image: np.ndarray, boxes: np.ndarray) -> np.ndarray:
        """Boxes (n, 4) in squares -> (n, 4) float64 in pixels of the pictures ``image`` (n,)."""
        made = np.zeros((len(boxes), 4))
        order = np.argsort(image, kind="stable")
        cuts = np.flatnonzero(np.diff(np.asarray(image)[order])) + 1
        for rows in np.split(order, cuts) if len(order) else ():
            made[rows] = self.fits[image[rows[0]]].back(boxes[rows])
        return made
