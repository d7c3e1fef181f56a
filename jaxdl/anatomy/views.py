"""What is known of an array of a program: which of its axes are places, and what they have seen.

An array's elements, in order, are those of a grid of factors, first the slowest: a plain
(B, H, W, C) has factors B, y, x and C; so has (B · H · W, C), and reshaping there and back loses
nothing. What is done to places that this can't tell is "whole".
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple


class Seen:
    """The pixels that each place of an axis has seen, from the first to the last of them.

    Behind what makes a map larger, an up-convolution or a repetition, neighbouring places see more
    and less by turns: place ``n q + r`` has seen what place ``r`` has, ``turn q`` pixels further,
    where n is how many places take turns, 1 of all else. Beyond the image's edge there are pixels
    that are padding.

    Args:
      turn: pixels from a place to the n-th behind it.
      spans: (first, behind the last) of the n first places; None of one that has seen nothing, as
        the zeros that are put between.
    """

    def __init__(self, turn: int, spans: Sequence[tuple[int, int] | None]):
        spans = tuple(spans)
        n = len(spans)
        for m in range(1, n):  # as few as there are
            if n % m == 0 and turn * m % n == 0:
                own = turn * m // n
                if all(spans[i] == _moved(spans[i % m], i // m * own) for i in range(m, n)):
                    turn, spans = own, spans[:m]
                    break
        self.turn, self.spans = turn, spans

    @classmethod
    def plain(cls, step: int, first: int, field: int) -> "Seen":
        """Place i has seen ``field`` pixels from ``first + step i`` on."""
        return cls(step, [(first, first + field)])

    def __eq__(self, other: object) -> bool:
        """Whether all places have seen the same."""
        own = (self.turn, self.spans)
        return isinstance(other, Seen) and own == (other.turn, other.spans)

    def __hash__(self) -> int:
        return hash((self.turn, self.spans))

    def __repr__(self) -> str:
        return f"Seen({self.turn}, {list(self.spans)})"

    @property
    def step(self) -> Fraction:
        """Pixels between neighbouring places, in the mean."""
        return Fraction(self.turn, len(self.spans))

    @property
    def field(self) -> int:
        """Pixels, of the places that have seen most."""
        return max((end - first for first, end in filter(None, self.spans)), default=0)

    def at(self, place: int) -> tuple[int, int] | None:
        """(first, behind the last) pixel that a place has seen; None if it has seen none."""
        q, r = divmod(place, len(self.spans))
        return _moved(self.spans[r], q * self.turn)

    def windows(self, size: int, stride: int, padding: int) -> "Seen":
        """Through windows of this many neighbouring places."""
        n = len(self.spans)
        turns = n // math.gcd(n, stride)
        starts = [r * stride - padding for r in range(turns)]
        spans = [hull(self.at(place) for place in range(i, i + size)) for i in starts]
        return Seen(self.turn * stride * turns // n, spans)

    def apart(self, times: int) -> "Seen":
        """With places between, so that there are ``times`` as many; they have seen nothing."""
        spans = [x for span in self.spans for x in (span, *[None] * (times - 1))]
        return Seen(self.turn, spans)

    def mirrored(self, size: int) -> "Seen":
        """Of an axis of so many places, the last of them first."""
        return Seen(-self.turn, [self.at(size - 1 - r) for r in range(len(self.spans))])

    def repeated(self, times: int) -> "Seen":
        """Each place so many times."""
        return Seen(self.turn, [span for span in self.spans for _ in range(times)])

    def join(self, other: "Seen") -> "Seen":
        """By either of two, of one step."""
        turns = math.lcm(len(self.spans), len(other.spans))
        spans = [hull((self.at(i), other.at(i))) for i in range(turns)]
        return Seen(self.turn * turns // len(self.spans), spans)


def _moved(span: tuple[int, int] | None, by: int) -> tuple[int, int] | None:
    return span and (span[0] + by, span[1] + by)


def hull(spans: Iterable[tuple[int, int] | None]) -> tuple[int, int] | None:
    """From the first of all to the last."""
    known = [span for span in spans if span is not None]
    return (min(x for x, _ in known), max(x for _, x in known)) if known else None


class Layer(NamedTuple):
    """A convolution, a pooling or a cut into patches; sizes are (vertical, horizontal).

    Attributes:
      name: of the module, ``block_0_0/conv_0/conv``; of pooling, that of the module around it.
      kind: "convolution", "up-convolution", "max pool", "average pool" or "patches".
      window: pixels of what goes in, dilation included; where zeros are put between these, as an
        up-convolution does, of that.
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
