"""Which of what was found is which of what is there: by overlap, the surest first.

As COCO has it (Lin et al., 2014; cocodataset.org, "Detection evaluation"): each of what was found,
the surest first, meets the object of its class that it overlaps most of those that are left. On the
host, in float64.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

# Pairs of boxes whose overlap is computed at once.
_AT_ONCE = 1 << 20


class Found(NamedTuple):
    """What was found in several images, in one row.

    Attributes:
      image: (n,) integers from 0 on, the image that each was found in.
      boxes: (n, 4) x0, y0, x1, y1, edges.
      scores: (n,); of equal ones in an image the first counts as the surer.
      classes: (n,) integers from 0 on.
    """

    image: np.ndarray
    boxes: np.ndarray
    scores: np.ndarray
    classes: np.ndarray

    def of(self, rows: np.ndarray) -> "Found":
        """Some of it, by numbers or bool."""
        return Found(*(np.asarray(x)[rows] for x in self))

    @property
    def groups(self) -> np.ndarray:
        """(2, n) the class and the image of each."""
        return np.stack([np.asarray(self.classes), np.asarray(self.image)])


class Truth(NamedTuple):
    """The objects that there are in several images, in one row.

    Attributes:
      image: (n,) integers from 0 on, the image that each is in.
      boxes: (n, 4) x0, y0, x1, y1, edges.
      classes: (n,) integers from 0 on.
      crowd: (n,) bool: it is many in one, any number of finds may meet it, and overlap is the share
        of what was found that lies in it. None for none.
      ignored: (n,) bool: neither it nor what meets it counts; a crowd is always. None for none.
      areas: (n,) in pixels²; None for those of the boxes.
    """

    image: np.ndarray
    boxes: np.ndarray
    classes: np.ndarray
    crowd: np.ndarray | None = None
    ignored: np.ndarray | None = None
    areas: np.ndarray | None = None

    @property
    def crowds(self) -> np.ndarray:
        """(n,) bool."""
        return _flags(self.crowd, len(self.image))

    @property
    def counts(self) -> np.ndarray:
        """(n,) bool: neither ignored nor a crowd."""
        return ~(self.crowds | _flags(self.ignored, len(self.image)))


class Pairs(NamedTuple):
    """Of a find and an object of one image and class, p of them.

    Attributes:
      found: (p,) the number of the find.
      true: (p,) the number of the object.
      overlap: (p,) intersection over union, or over the find where the object is a crowd.
    """

    found: np.ndarray
    true: np.ndarray
    overlap: np.ndarray


class Matches(NamedTuple):
    """What each find meets, under T thresholds and in A ways to say which objects count.

    Attributes:
      found: (n,) numbers of the finds that overlap an object at all by the least threshold: by
        class, then by image, the surest first. The others meet nothing.
      true: (n, T, A) int32, the number of the object that each meets, -1 for none.
    """

    found: np.ndarray
    true: np.ndarray


def areas(boxes: np.ndarray) -> np.ndarray:
    """(n,) of boxes (n, 4)."""
    boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def by_group(found: Found) -> tuple[np.ndarray, np.ndarray]:
    """The order of finds by class, image and score, the surest first; and each one's place there.

    Returns:
      (n,) numbers of the finds in that order, and (n,), in the same order, how many surer ones
      there are of its class in its image.
    """
    order = np.lexsort((-np.asarray(found.scores, np.float64), found.image, found.classes))
    return order, _place(found.groups[:, order])


def overlapping(found: Found, truth: Truth, least: float) -> Pairs:
    """All pairs that overlap by ``least`` or more, which is above 0, by the number of the find."""
    images = 1 + max(np.max(found.image, initial=0), np.max(truth.image, initial=0))
    own, there = (np.asarray(x.classes, np.int64) * images + x.image for x in (found, truth))
    order = np.argsort(there, kind="stable")
    first, behind = (np.searchsorted(there[order], own, side) for side in ("left", "right"))
    count = behind - first
    ends = count.cumsum()
    parts = []
    for part in _chunks(ends):
        rows = np.repeat(np.arange(part.start, part.stop), count[part])
        before = ends[part] - count[part] - (ends[part.start] - count[part.start])
        into = np.arange(len(rows)) - np.repeat(before, count[part])
        true = order[first[rows] + into]
        overlap = _overlap(found.boxes, truth.boxes, truth.crowds, rows, true)
        near = overlap >= least
        parts.append((rows[near], true[near], overlap[near]))
    none = (np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))
    return Pairs(*map(np.concatenate, zip(none, *parts, strict=True)))


def match(
    found: Found, truth: Truth, thresholds: Sequence[float], counts: np.ndarray | None = None
) -> Matches:
    """The object that each find meets, if any.

    An object that is met is taken, unless it is a crowd. One that counts goes before one that does
    not, whatever their overlaps; of equal overlaps the later object's goes first, as
    pycocotools has it.

    Args:
      found: n finds.
      truth: m objects.
      thresholds: T overlaps that are enough, above 0.
      counts: (m, A) bool: in each of A ways, which objects count; None for one way,
        ``truth.counts``.
    """
    counts = truth.counts[:, None] if counts is None else counts
    thresholds = np.asarray(thresholds, np.float64)
    pairs = overlapping(found, truth, thresholds.min())
    order, _ = by_group(found)
    position = np.empty(len(order), np.int64)
    position[order] = np.arange(len(order))
    # Of each find its objects, the best first; the finds of a class and image follow each other.
    pairs = Pairs(*(x[np.lexsort((-pairs.true, -pairs.overlap, position[pairs.found]))]
                    for x in pairs))  # fmt: skip
    new = np.ones(len(pairs.found), bool)
    new[1:] = pairs.found[1:] != pairs.found[:-1]
    start = np.flatnonzero(new)
    number = np.diff(start, append=len(new))
    finds = pairs.found[start]
    turn = _place(found.groups[:, finds])
    taken = np.zeros((len(counts), len(thresholds), counts.shape[1]), bool)
    met = np.full((len(finds), *taken.shape[1:]), -1, np.int32)
    # All classes and images take their turns at once: first the surest of each, then the next.
    by_turn = np.lexsort((-number, turn))
    for rows in np.split(by_turn, np.flatnonzero(np.diff(turn[by_turn])) + 1):
        now = _best(pairs, start[rows], number[rows], thresholds, counts, taken)
        takes = (now >= 0) & ~truth.crowds[now] if len(counts) else now >= 0
        _, *way = np.nonzero(takes)
        taken[now[takes], *way] = True
        met[rows] = now
    return Matches(finds, met)


def _best(
    pairs: Pairs,
    start: np.ndarray,
    number: np.ndarray,
    thresholds: np.ndarray,
    counts: np.ndarray,
    taken: np.ndarray,
) -> np.ndarray:
    """(n, T, A) int32: the best object that is left, of ``number`` pairs from ``start`` on, each.

    ``number`` falls.
    """
    best = np.full((len(start), *taken.shape[1:]), -1, np.int32)
    second = best.copy()  # of those that do not count
    for j in range(number[0] if len(number) else 0):
        among = np.searchsorted(-number, -j)
        pair = start[:among] + j
        true = pairs.true[pair]
        left = (pairs.overlap[pair, None] >= thresholds)[..., None] & ~taken[true]
        for into, of in ((best[:among], counts[true]), (second[:among], ~counts[true])):
            where = left & of[:, None] & (into < 0)
            np.copyto(into, true[:, None, None], where=where, casting="same_kind")
    return np.where(best < 0, second, best)


def _overlap(
    boxes: np.ndarray, others: np.ndarray, crowd: np.ndarray, i: np.ndarray, j: np.ndarray
) -> np.ndarray:
    a = np.asarray(boxes, np.float64).reshape(-1, 4)
    b = np.asarray(others, np.float64).reshape(-1, 4)
    own, other = areas(a)[i], areas(b)[j]
    a, b = a[i], b[j]
    low, high = np.maximum(a[:, :2], b[:, :2]), np.minimum(a[:, 2:], b[:, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=1)
    of = np.where(crowd[j], own, own + other - shared)
    return np.divide(shared, of, out=np.zeros_like(shared), where=shared > 0)


def _place(groups: np.ndarray) -> np.ndarray:
    """(n,) how far each is from its group's first; (…, n) says whose group it is."""
    new = np.ones(groups.shape[1], bool)
    new[1:] = (groups[:, 1:] != groups[:, :-1]).any(axis=0)
    start = np.flatnonzero(new)
    return np.arange(len(new)) - np.repeat(start, np.diff(start, append=len(new)))


def _chunks(ends: np.ndarray) -> list[slice]:
    """Rows whose pairs, up to ``ends`` of them together, are not too many to be held."""
    if not len(ends):
        return []
    cuts = np.searchsorted(ends, np.arange(_AT_ONCE, ends[-1] + _AT_ONCE, _AT_ONCE), "right")
    cuts = np.unique(np.concatenate([[0], cuts, [len(ends)]]))
    return [slice(a, b) for a, b in pairwise(cuts)]


def _flags(given: np.ndarray | None, count: int) -> np.ndarray:
    return np.zeros(count, bool) if given is None else np.asarray(given, bool)
