"""What is in images, as detectors learn it."""

from typing import NamedTuple

import jax


class Objects(NamedTuple):
    """The objects of images; their number is padded to one that all share.

    Attributes:
      boxes: (batch, n, 4) x0, y0, x1, y1 in pixels.
      classes: (batch, n) integers.
      present: (batch, n) bool: False for padding, whose boxes and classes may be anything.
    """

    boxes: jax.Array
    classes: jax.Array
    present: jax.Array
