"""Frames of environments of which nothing is known but what they show: their observations."""

from typing import Any

import numpy as np


def observed(axes: Any, observation: np.ndarray) -> None:
    """Paints an observation on matplotlib axes.

    Args:
      axes: to paint on.
      observation: a picture of marks where it has rows and columns, the channel that is largest in
        each place if it has several; else a bar a number.
    """
    if observation.ndim < 2:
        axes.bar(np.arange(observation.size), observation.ravel(), color="tab:blue")
        return
    if observation.ndim == 2:
        axes.imshow(observation, cmap="viridis")
        return
    flat = observation.reshape(*observation.shape[:2], -1)
    seen = np.where(flat.max(-1) > 0, flat.argmax(-1) + 1, 0)
    axes.imshow(seen, cmap="tab20", vmin=0, vmax=20, interpolation="nearest")
