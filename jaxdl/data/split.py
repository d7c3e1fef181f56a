"""A set of examples that batches are gathered from by index."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from jaxdl.data import fingerprint
from jaxdl.errors import UserError

Batch = dict[str, np.ndarray]

# The array that padding adds to a batch; no data set's own array has this name.
IS_REAL = "is_real"


class Split(Protocol):
    """Examples by index: arrays in memory, files on disk, or anything a user brings.

    A split may have ``shuffled(rng) -> indices``, one pass over it to learn from, where that is
    another thing than a permutation; ``draw(key, batch) -> batch``, which makes examples of what
    `take` gives, on the device (`jaxdl.data.drawn`); ``about``, {name: number or text} of what
    tasks ask of it; and ``fingerprint() -> str`` (`jaxdl.data.fingerprint`). ``subset`` and
    ``labels`` are for `jaxdl.data.load` to split and check by: examples that come to it split need
    neither.
    """

    def __len__(self) -> int:
        """Number of examples."""

    def take(self, indices: np.ndarray) -> Batch:
        """The examples at ``indices`` (n,) as arrays with a leading axis of n."""

    def subset(self, indices: np.ndarray) -> "Split":
        """The split of only these examples, in this order."""

    @property
    def labels(self) -> np.ndarray:
        """Integer labels (size,), for stratified splits and checks."""


class Arrays:
    """A split that is in memory whole.

    Args:
      arrays: name -> array, all with the same leading axis.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray]):
        self.arrays = {name: np.ascontiguousarray(a) for name, a in arrays.items()}

    def __len__(self) -> int:
        """Number of examples."""
        return len(next(iter(self.arrays.values())))

    def take(self, indices: np.ndarray) -> Batch:
        """One gather an array: no work an example."""
        return {name: a[indices] for name, a in self.arrays.items()}

    def subset(self, indices: np.ndarray) -> "Arrays":
        """A copy of only these examples."""
        return Arrays(self.take(indices))

    @property
    def labels(self) -> np.ndarray:
        """The array called ``label``."""
        return self.arrays["label"]

    def fingerprint(self) -> str:
        """Of every number."""
        return fingerprint.digest(self.arrays)


def training_batches(split: Split, batch_size: int, seed: int) -> Callable[..., Batch]:
    """The endless stream of training batches as a function of the step alone.

    Epoch after epoch, each in an order drawn from (seed, epoch); a batch at the seam holds the end
    of one and the start of the next, so that nothing is dropped and nothing counts twice.

    Args:
      split: the training examples.
      batch_size: examples a batch.
      seed: of the run.

    Returns:
      A function (step, rows) of the step (0 for the first) to its batch, or to the slice ``rows``
      of it, where a process needs no more.
    """
    places = _places(split, batch_size, seed)
    return lambda step, rows=slice(None): split.take(places(step, rows))


def member_batches(split: Split, batch_size: int, seeds: Sequence[int]) -> Callable[..., Batch]:
    """The streams of several seeds side by side, each as `training_batches` has it.

    Returns:
      A function (step, rows) to arrays (members, batch_size, …), of all members or the slice
      ``rows`` of them.
    """
    streams = {seed: _places(split, batch_size, seed) for seed in seeds}

    def batch(step: int, rows: slice = slice(None)) -> Batch:
        chosen = seeds[rows]
        of_seed = {seed: streams[seed](step, slice(None)) for seed in set(chosen)}
        flat = split.take(np.concatenate([of_seed[seed] for seed in chosen]))
        cut = lambda x: x.reshape(len(chosen), batch_size, *x.shape[1:])
        return {name: cut(x) for name, x in flat.items()}

    return batch


def _places(split: Split, batch_size: int, seed: int) -> Callable[[int, slice], np.ndarray]:
    """(step, rows) -> the indices of a stream's batch."""
    size = len(split)
    shuffled = getattr(split, "shuffled", lambda rng: rng.permutation(size))
    order_of: dict[int, np.ndarray] = {}

    def order(epoch: int) -> np.ndarray:
        if epoch not in order_of:
            while len(order_of) > 1:  # a batch needs two at most
                order_of.pop(min(order_of))
            order_of[epoch] = shuffled(np.random.default_rng((seed, epoch)))
        return order_of[epoch]

    def places(step: int, rows: slice) -> np.ndarray:
        positions = np.arange(step * batch_size, (step + 1) * batch_size)[rows]
        epochs, within = positions // size, positions % size
        parts = [order(int(e))[within[epochs == e]] for e in np.unique(epochs)]
        return np.concatenate(parts)

    return places


def padded_batches(split: Split, batch_size: int) -> list[Callable[..., Batch]]:
    """All examples once, in order, in batches of one shape.

    Returns:
      A function (rows) a batch, giving the slice ``rows`` of it, or all. The last batch is filled
      up by repeating an example; `IS_REAL` (batch_size,) float32 is 1 for real ones, else 0.

    Raises:
      UserError: the examples have an array of this name.
    """
    if IS_REAL in split.take(np.zeros(1, int)):
        raise UserError(
            f"data: the examples have an array called {IS_REAL!r}, the name by which padding "
            "is told from them in evaluation: call it something else"
        )

    def load(rows: slice = slice(None), *, start: int) -> Batch:
        indices = np.arange(start, start + batch_size)[rows]
        batch = split.take(np.minimum(indices, len(split) - 1))
        return {**batch, IS_REAL: (indices < len(split)).astype(np.float32)}

    return [functools.partial(load, start=start) for start in range(0, len(split), batch_size)]


def without_padding(batch: Mapping[str, Any], weight: Any = None) -> Any:
    """Weights of a batch's terms with 0 for the examples of padding.

    Args:
      batch: of `padded_batches`, or of training, which has no padding.
      weight: (batch, …), of one term or several an example; None for 1 an example.

    Returns:
      Weights shaped as ``weight``, or (batch,); None where nothing is weighted.
    """
    real = batch.get(IS_REAL)
    if real is None or weight is None:
        return weight if real is None else real
    return weight * real.reshape(-1, *(1,) * (weight.ndim - 1))
