"""Examples of unequal length in batches of a few shapes, so that little of them is padding.

Where all batches are of one length, most of short texts' is padding. Here the examples of a split
are divided by how long they are, and a batch holds those of one group, filled up to its length. A
program is compiled for each length, so that there are few of these, chosen from the data's own.

Which step has a batch of which group depends on the data's lengths and the step alone, not on the
seed: members of a population, each with a stream of its own, have batches of one shape at a step.
"""

import functools
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from jaxdl.data.spread import evenly
from jaxdl.errors import UserError

# Beside an epoch's number, so that what is drawn here is not what a run's seed draws.
_STREAM = 0x1E46

# Places where stretches of examples may be cut: a table of so many by so many is made.
_CUTS = 1024


class LengthGroups(NamedTuple):
    """What a split that has them says as ``length_groups``.

    Attributes:
      lengths: of each group, {array: how long it is}, the shortest group first; no array is shorter
        in a group than in the one before.
      of: (n,) the group of each example: the first that has room for it.
      sizes: {array: (n,) how long each example is without padding}.
    """

    lengths: tuple[dict[str, int], ...]
    of: np.ndarray
    sizes: dict[str, np.ndarray]

    def cut(self, batch: Mapping[str, Any], group: int) -> dict[str, Any]:
        """A batch (n, longest, …) as one of a group, (n, its length, …)."""
        own = self.lengths[group]
        return {name: x[:, : own[name]] if name in own else x for name, x in batch.items()}

    def subset(self, indices: np.ndarray) -> "LengthGroups":
        """Of only these examples, in this order."""
        sizes = {name: own[indices] for name, own in self.sizes.items()}
        return self._replace(of=self.of[indices], sizes=sizes)

    @property
    def totals(self) -> np.ndarray:
        """(groups,) what an example takes with its padding, over all arrays."""
        return np.array([sum(lengths.values()) for lengths in self.lengths])


def divide(parts: Mapping[str, Any], most: int) -> None:
    """Gives the parts of a data set ``length_groups``, of lengths that all of them share.

    Args:
      parts: splits by name, "train" among them, with ``sizes``, {array: (n,) how long each example
        is in it}. The lengths are those that leave least padding in the training part; the longest
        has room for every part.
      most: lengths; 1 leaves the parts as they are, their batches of one length.

    Raises:
      UserError: ``most`` is below 1.
    """
    if most < 1:
        raise UserError(f"data.lengths={most} must be at least 1")
    if most == 1:
        return
    names = list(parts["train"].sizes)
    table = {part: np.stack([split.sizes[n] for n in names]) for part, split in parts.items()}
    lengths = best(table["train"], most)
    lengths[-1] = np.max([sizes.max(axis=1) for sizes in table.values()], axis=0)
    for part, split in parts.items():
        fits = (table[part][None] <= lengths[:, :, None]).all(axis=1)
        named = tuple(dict(zip(names, map(int, own), strict=True)) for own in lengths)
        split.length_groups = LengthGroups(named, fits.argmax(axis=0), split.sizes)


def best(sizes: np.ndarray, most: int) -> np.ndarray:
    """The lengths, up to ``most`` of them, that leave least padding.

    Examples are ordered by their whole size, and cut into stretches; of all ways to cut, the best
    is found by dynamic programming, over the examples where that size changes, or, where there are
    more than 1024, over so many of them.

    Args:
      sizes: (arrays, n) integers.
      most: at least 1.

    Returns:
      (groups, arrays), ascending; the last has room for all.
    """
    whole = sizes.sum(axis=0)
    order = np.argsort(whole, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(whole[order])) + 1, len(order))
    ends = ends[evenly(len(ends), _CUTS)]
    longest = np.maximum.accumulate(sizes[:, order], axis=1)[:, ends - 1]
    cost = longest.sum(axis=0)
    begins = np.append(0, ends[:-1])
    # total[j]: of the examples up to ends[j], in as many groups as there were rounds.
    total, came = ends * cost, []
    for _ in range(min(most, len(ends)) - 1):
        # [i, j]: a group from the i-th stretch to the j-th, behind the best of what is before.
        before = np.append(np.inf, total[:-1])
        joined = before[:, None] + (ends[None] - begins[:, None]) * cost[None]
        joined[np.tril_indices(len(ends), -1)] = np.inf
        came.append(joined.argmin(axis=0))
        total = joined.min(axis=0)
    last, chosen = len(ends) - 1, [len(ends) - 1]
    for first in reversed(came):
        last = int(first[last]) - 1
        chosen.append(last)
    found = longest.T[chosen[::-1]]
    # A pair may be longer than another as a whole, and neither its source nor its target be so.
    return found[np.append(np.diff(found, axis=0).any(axis=1), True)]


class Order:
    """Which group each place in the stream of training examples is of.

    Every example stands once in an epoch. A batch that has the end of one epoch and the start of
    the next is of any groups, and all others of one, but where one ends and the next begins; a
    batch is as long as its longest example asks for. In which order they come is drawn for each
    epoch.

    Args:
      groups: of the examples.
      batch_size: examples a batch.
    """

    def __init__(self, groups: LengthGroups, batch_size: int):
        self._groups, self._batch_size = groups, batch_size
        self.places = functools.lru_cache(4)(self._places)

    def _places(self, epoch: int) -> np.ndarray:
        """(n,) the group of each example that an epoch's places have room for."""
        rng = np.random.default_rng((_STREAM, epoch))
        places = rng.permutation(self._groups.of)
        size, batch = len(places), self._batch_size
        head, tail = -epoch * size % batch, (epoch + 1) * size % batch
        if head + tail < size:
            middle = np.sort(places[head : size - tail]).reshape(-1, batch)
            places[head : size - tail] = rng.permutation(middle).reshape(-1)
        return places

    def arranged(self, epoch: int, order: np.ndarray) -> np.ndarray:
        """An epoch's ``order`` (n,) of examples, each moved to a place of its group."""
        found = np.empty_like(order)
        places = np.argsort(self.places(epoch), kind="stable")
        found[places] = order[np.argsort(self._groups.of[order], kind="stable")]
        return found

    def group(self, step: int) -> int:
        """The group of a step's batch: that of its longest example."""
        size = len(self._groups.of)
        place, stop = step * self._batch_size, (step + 1) * self._batch_size
        found = 0
        while place < stop:
            epoch, within = divmod(place, size)
            own = self.places(epoch)[within : within + stop - place]
            found, place = max(found, int(own.max())), place + len(own)
        return found


def of(split: Any) -> LengthGroups | None:
    """Those of a split; None where all its batches are of one shape."""
    return getattr(split, "length_groups", None)


def evaluated(
    groups: LengthGroups, batch_size: int, multiple: int
) -> Iterator[tuple[np.ndarray, int, int]]:
    """All examples once, each in a batch of its own group, the longest first.

    Args:
      groups: of the examples.
      batch_size: of them at most.
      multiple: of what a batch's size is; divides ``batch_size``.

    Yields:
      (indices, size, group): ``size`` is the same for all batches of a group, and no more than has
      to be filled up to make it so.
    """
    for group in reversed(range(len(groups.lengths))):
        own = np.flatnonzero(groups.of == group)
        if not len(own):
            continue
        batches = -(-len(own) // batch_size)
        size = -(-len(own) // batches)
        size = -(-size // multiple) * multiple
        for start in range(0, len(own), size):
            yield own[start : start + size], size, group


def note(split: Any, batch_size: int) -> str:
    """A line on the lengths of a training part's batches, and the padding in an epoch of them.

    "" of one that is not told of how long its examples are.
    """
    sizes = getattr(split, "sizes", None)
    if sizes is None:
        return ""
    whole = {name: x.shape[1] for name, x in split.take(np.arange(1)).items() if name in sizes}
    mean = sum(float(own.mean()) for own in sizes.values())
    alone = 1 - mean / sum(whole.values())
    if (groups := of(split)) is None:
        return f"1 length ({_named(whole)}): {alone:.0%} padding"
    order, steps = Order(groups, batch_size), -(-len(split) // batch_size)
    through = np.mean([groups.totals[order.group(step)] for step in range(steps)])
    count = f"{len(groups.lengths)} length{'s' if len(groups.lengths) > 1 else ''}"
    named = ", ".join(map(_named, groups.lengths))
    return f"{count} ({named}): {1 - mean / through:.0%} padding in place of {alone:.0%}"


def _named(lengths: Mapping[str, int]) -> str:
    """32 where all arrays are of this length, 12 + 40 of a source and a target."""
    return " + ".join(map(str, dict.fromkeys(lengths.values())))
