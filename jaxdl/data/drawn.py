"""Examples that are drawn anew whenever they are learned from, on the device, by the step's key."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

from jaxdl.data.split import Batch

Draw = Callable[[jax.Array, int], dict[str, jax.Array]]


class Drawn:
    """A split without end: `take` gives nothing but numbers, and `draw` the examples.

    Args:
      size: examples that are called a pass.
      draw: (key, n) -> arrays (n, …), pure, free to jit.
      about: what tasks ask of it (`jaxdl.data.Split`), by name.
      name: of what is drawn, and how, for the fingerprint.
    """

    def __init__(self, size: int, draw: Draw, about: Mapping[str, Any], name: str):
        self._size, self._draw, self.about, self._name = size, draw, dict(about), name

    def __len__(self) -> int:
        """Examples of a pass."""
        return self._size

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("_") and name in self.about:
            return self.about[name]
        raise AttributeError(name)

    def take(self, indices: np.ndarray) -> Batch:
        """``number`` (n,) int32, which says how many are to be drawn."""
        return {"number": np.asarray(indices, np.int32)}

    def draw(self, key: jax.Array, batch: Mapping[str, jax.Array]) -> dict[str, jax.Array]:
        """The examples in place of their numbers; what else a batch has stays."""
        rest = {name: x for name, x in batch.items() if name != "number"}
        return {**self._draw(key, batch["number"].shape[0]), **rest}

    def fingerprint(self) -> str:
        """Its name: the draws are by the run's key."""
        return self._name


def drawn(split: Any, key: jax.Array, batch: Mapping[str, Any]) -> Mapping[str, Any]:
    """What is learned from in a step: of a split that draws, that; of any other the batch itself.

    Args:
      split: the training part.
      key: of the step, in a stream of its own: `keys.named(key, "data")`.
      batch: of the split's `take`.
    """
    draw = getattr(split, "draw", None)
    return batch if draw is None or "number" not in batch else draw(key, batch)
