"""A set of examples that batches are gathered from by index."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from jaxdl.data import fingerprint, length_groups
from jaxdl.errors import UserError

Batch = dict[str, np.ndarray]

# The array that padding adds to a batch; no data set's own array has this name.
IS_REAL = "is_real"


class Split(Protocol):
    """Examples by index: arrays in memory, files on disk, or anything a user brings.

    A split may have ``shuffled(rng) -> indices``, one pass over it to learn from, where that is
    another thing than a permutation; ``draw(key, batch) -> batch``, which makes examples of what
    `take` gives, on the device (`jaxdl.data.drawn`); ``about``, {name: number or text} of what
    tasks ask of it; ``length_groups``, by which batches of several lengths are cut out of what
    ``take`` gives (`jaxdl.data.length_groups`); ``judged``, by what boxes are judged in place of
    those of its batches (`jaxdl.data.judged`); and ``fingerprint() -> str``
    (`jaxdl.data.fingerprint`). ``subset`` and ``labels`` are for `jaxdl.data.load` to split and
    check by: examples that come to it split need neither.
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
        """The array called ``label``.

        Raises:
          AttributeError: there is none.
        """
        if "label" not in self.arrays:
            raise AttributeError("labels")
        return self.arrays["label"]

    def fingerprint(self) -> str:
        """Of every number."""
        return fingerprint.digest(self.arrays)


def training_batches(split: Split, batch_size: int, seed: int) -> Callable[..., Batch]:
    """The endless stream of training batches as a function of the step alone.

    Epoch after epoch, each in an order drawn from (seed, epoch); a batch at the seam holds the end
    of one and the start of the next, so that nothing is dropped and nothing counts twice. Where the
    split has ``length_groups``, an epoch's order is arranged by them, as
    `jaxdl.data.length_groups.Order` says.

    Args:
      split: the training examples.
      batch_size: examples a batch.
      seed: of the run.

    Returns:
      A function (step, rows, group) of the step (0 for the first) to its batch, or to the slice
      ``rows`` of it, where a process needs no more. It is as long as its examples ask for, or as
      those of ``group``, by number, -1 for the longest.
    """
    places, cut = _places(split, batch_size, seed), _cut(split, batch_size)

    def batch(step: int, rows: slice = slice(None), group: int | None = None) -> Batch:
        return cut(split.take(places(step, rows)), step, group)

    return batch


def member_batches(split: Split, batch_size: int, seeds: Sequence[int]) -> Callable[..., Batch]:
    """The streams of several seeds side by side, each as `training_batches` has it.

    Returns:
      A function (step, rows, group) to arrays (members, batch_size, …), of all members or the
      slice ``rows`` of them; ``group`` as of `training_batches`.
    """
    shorten = _cut(split, batch_size)
    streams = {seed: _places(split, batch_size, seed) for seed in seeds}

    def batch(step: int, rows: slice = slice(None), group: int | None = None) -> Batch:
        chosen = seeds[rows]
        of_seed = {seed: streams[seed](step, slice(None)) for seed in set(chosen)}
        flat = split.take(np.concatenate([of_seed[seed] for seed in chosen]))
        flat = shorten(flat, step, group)
        cut = lambda x: x.reshape(len(chosen), batch_size, *x.shape[1:])
        return {name: cut(x) for name, x in flat.items()}

    return batch


def step_groups(split: Split | None, batch_size: int) -> Callable[[int], int]:
    """A function of the step to the number of its batch's group; 0 where there are no groups."""
    groups = length_groups.of(split)
    return (lambda step: 0) if groups is None else length_groups.Order(groups, batch_size).group


def _cut(split: Split, batch_size: int) -> Callable[[Batch, int, int | None], Batch]:
    """(batch, step, group or None) -> the batch as long as the step's examples, or that group's."""
    if (groups := length_groups.of(split)) is None:
        return lambda batch, step, group: batch
    own = step_groups(split, batch_size)
    return lambda batch, step, group: groups.cut(batch, own(step) if group is None else group)


def _places(split: Split, batch_size: int, seed: int) -> Callable[[int, slice], np.ndarray]:
    """(step, rows) -> the indices of a stream's batch."""
    size = len(split)
    shuffled = getattr(split, "shuffled", lambda rng: rng.permutation(size))
    groups = length_groups.of(split)
    arranged = (
        length_groups.Order(groups, batch_size).arranged if groups else lambda _, order: order
    )
    order_of: dict[int, np.ndarray] = {}

    def order(epoch: int) -> np.ndarray:
        if epoch not in order_of:
            while len(order_of) > 1:  # a batch needs two at most
                order_of.pop(min(order_of))
            drawn = shuffled(np.random.default_rng((seed, epoch)))
            order_of[epoch] = arranged(epoch, drawn)
        return order_of[epoch]

    def places(step: int, rows: slice) -> np.ndarray:
        positions = np.arange(step * batch_size, (step + 1) * batch_size)[rows]
        epochs, within = positions // size, positions % size
        parts = [order(int(e))[within[epochs == e]] for e in np.unique(epochs)]
        return np.concatenate(parts)

    return places


class Padded(NamedTuple):
    """One batch of evaluation.

    Attributes:
      split: what it is of.
      indices: (n,) of its examples.
      size: its own, at least n.
      group: of its examples, where the split has groups.
    """

    split: Split
    indices: np.ndarray
    size: int
    group: int | None

    def __call__(self, rows: slice = slice(None)) -> Batch:
        """The slice ``rows`` of it, or all of it, with `IS_REAL`."""
        places = np.arange(self.size)[rows]
        batch = self.split.take(self.indices[np.minimum(places, len(self.indices) - 1)])
        if self.group is not None:
            batch = length_groups.of(self.split).cut(batch, self.group)
        return {**batch, IS_REAL: (places < len(self.indices)).astype(np.float32)}


def padded_batches(split: Split, batch_size: int, multiple: int = 1) -> list[Padded]:
    """All examples once, in order, in batches of one shape.

    Where the split has ``length_groups``, a batch is of examples of one group, the longest first,
    and those of a group are of one shape; in order otherwise.

    Args:
      split: the examples.
      batch_size: of a batch; those of a group may be smaller.
      multiple: of what all sizes are, ``batch_size`` among them.

    Returns:
      The batches, each a function (rows) that gives the slice ``rows`` of it, or all. What has too
      few examples is filled up by repeating one; `IS_REAL` (size,) float32 is 1 for real ones,
      else 0.

    Raises:
      UserError: the examples have an array of this name.
    """
    if IS_REAL in split.take(np.zeros(1, int)):
        raise UserError(
            f"data: the examples have an array called {IS_REAL!r}, the name by which padding "
            "is told from them in evaluation: call it something else"
        )
    if (groups := length_groups.of(split)) is not None:
        found = length_groups.evaluated(groups, batch_size, multiple)
        return [Padded(split, *batch) for batch in found]
    starts = range(0, len(split), batch_size)
    indices = [np.arange(start, min(start + batch_size, len(split))) for start in starts]
    return [Padded(split, own, batch_size, None) for own in indices]


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
