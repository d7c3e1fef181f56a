"""A split that is not there: its size, and the shape of its examples."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxdl.data.split import Batch
from jaxdl.errors import UserError


class NotKeptError(UserError, AttributeError):
    """A split that is not there was asked for what nobody noted of it."""


class Absent:
    """What models are built by and used with; nothing can be learned from it, nor measured on it.

    Args:
      size: number of examples.
      arrays: {name: [dtype, *shape of one example]}.
      about: further attributes, such as ``context``.
    """

    def __init__(self, size: int, arrays: Mapping[str, list], about: Mapping[str, Any]):
        self._size, self._arrays, self._about = size, dict(arrays), dict(about)

    def __len__(self) -> int:
        """Number of examples."""
        return self._size

    def take(self, indices: np.ndarray) -> Batch:
        """Zeros of the right dtypes and shapes: of these alone use is to be made."""
        zeros = lambda dtype, *shape: np.broadcast_to(np.zeros((), dtype), (len(indices), *shape))
        return {name: zeros(*array) for name, array in self._arrays.items()}

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("_") and name in self._about:
            return self._about[name]
        raise NotKeptError(f"the data of this run are not here, and {name!r} of them was not kept")
