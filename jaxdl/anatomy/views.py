"""What is known of an array of a program: which of its axes are places, and what they have seen.

An array's elements, in order, are those of a grid of factors, first the slowest: a plain
(B, H, W, C) has factors B, y, x and C; so has (B · H · W, C), and reshaping there and back loses
nothing. What is done to places that this can't tell is "whole".
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple


class Seen(NamedTuple):
    """The pixels that place i of an axis has seen: from ``first + step · i``, ``field`` of them.

    Beyond the image's edge there are pixels that are padding.
    """

    step: int
    first: int
    field: int

    def windows(self, size: int, stride: int, padding: int) -> "Seen":
        """Through windows of this many neighbouring places."""
        reach = self.field + (size - 1) * self.step
        return Seen(self.step * stride, self.first - padding * self.step, reach)

    def join(self, other: "Seen") -> "Seen":
        """By either of two, of one step."""
        first = min(self.first, other.first)
        end = max(self.first + self.field, other.first + other.field)
        return Seen(self.step, first, end - first)


class Layer(NamedTuple):
    """A convolution, a pooling or a cut into patches; sizes are (vertical, horizontal).

    Attributes:
      name: of the module, ``block_0_0/conv_0/conv``; of pooling, that of the module around it.
      kind: "convolution", "max pool", "average pool" or "patches".
      window: pixels of what goes in, dilation included.
      stride: between windows.
      size: of the map that comes out.
      seen: by its places; None where they have lost their order, as behind attention with a class
        token.
      whole: besides, something that sees the whole image had a say: attention, squeeze-excite.
      multiply_adds: for one image, padding counted.
    """

    name: str
    kind: str
    window: tuple[int, int]
    stride: tuple[int, int]
    size: tuple[int, int]
    seen: tuple[Seen, Seen] | None
    whole: bool
    multiply_adds: int


class Map(NamedTuple):
    """A map: its size, and what its places have seen, as a `Layer`'s."""

    size: tuple[int, int]
    seen: tuple[Seen, Seen] | None
    whole: bool

    @property
    def field(self) -> float:
        """Side of the square of pixels that a place has seen; inf where it is the whole image."""
        if self.whole or self.seen is None:
            return math.inf
        return max(seen.field for seen in self.seen)


class Factor(NamedTuple):
    """An axis of the grid; ``tag`` is "y" or "x" of the image's places, "" of anything else."""

    size: int
    tag: str = ""


class View(NamedTuple):
    """What is known of an array.

    Attributes:
      factors: of its elements, plain neighbours merged.
      seen: by tag.
      whole: as of `Layer`.
    """

    factors: tuple[Factor, ...]
    seen: Mapping[str, Seen] = {}
    whole: bool = False


Groups = list[tuple[Factor, ...]]


def plain(shape: Sequence[int], whole: bool = False) -> View:
    """Of an array without places."""
    return View(merged([Factor(math.prod(shape))]), {}, whole)


def merged(factors: Iterable[Factor]) -> tuple[Factor, ...]:
    """Neighbours without a tag as one, and none of length 1."""
    result: list[Factor] = []
    for factor in factors:
        if not factor.tag and result and not result[-1].tag:
            result[-1] = Factor(result[-1].size * factor.size)
        elif factor.tag or factor.size != 1:
            result.append(factor)
    return tuple(result)


def grouped(view: View, shape: Sequence[int]) -> tuple[Groups, dict[str, int]] | None:
    """The factors of each axis, and by how much tagged ones had to be cut for that, by tag.

    None where axes and factors do not fit each other.
    """
    rest, groups, cuts = list(view.factors), [], {}
    for n in shape:
        group, product = [], 1
        while product < n or (n == 1 and not group and rest and rest[0].size == 1):
            if not rest:
                return None
            size, tag = rest.pop(0)
            wanted = n // product
            if size > wanted or n % product:
                if size % wanted:
                    return None
                if tag:  # of neighbouring places the number within a patch has no order of its own
                    cuts[tag] = size // wanted
                rest.insert(0, Factor(size // wanted))
                size = wanted
            group.append(Factor(size, tag))
            product *= size
        if product != n:
            return None
        groups.append(tuple(group))
    if groups:
        groups[-1] += tuple(rest)
    return groups, cuts


def both(view: View) -> tuple[Seen, Seen] | None:
    """What places have seen vertically and horizontally; None of an array without either."""
    return (view.seen["y"], view.seen["x"]) if {"y", "x"} <= view.seen.keys() else None
