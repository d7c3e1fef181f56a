"""Pictures of several real digits each: what is where can be learned from at once.

Digits of scikit-learn, scaled, bright, some in front of others, lie on textured ground among lines
and discs. All that is drawn follows from a seed. The digits of the test scenes are others than
those of the training scenes.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from jaxdl.data import Data, parts, register, statistics
from jaxdl.data.digits import digits
from jaxdl.data.split import Arrays
from jaxdl.errors import UserError

# Pixels a side of scikit-learn's digits, and the largest times that they are scaled.
SIDE, MOST_SCALE = 8, 8

# A pixel is the digit's where it covers that much of the ground.
_COVERS = 0.5

# Of the smaller of two boxes, the part that the other may cover; places tried until one does not.
_OVERLAP, _TRIES = 1 / 3, 32

# Grey levels in [0, 1]: the ground's, how far its texture goes, its grain; digits; how far clutter
# lies from the ground.
_GROUND, _TEXTURE, _GRAIN = (0.1, 0.4), (0.05, 0.5), (0.01, 0.08)
_INK, _CLUTTER = (0.75, 1.0), (-0.2, 0.4)

# Lines and discs of a scene, at most; a line's points, the largest radius of a disc.
_LINES, _DISCS, _POINTS, _RADIUS = 3, 4, 96, 3

# Scenes that are drawn together, so that what is computed with lies in a cache.
_AT_ONCE = 128


class Placed(NamedTuple):
    """Digits in scenes, n scenes of up to N each.

    Attributes:
      index: (n, N) which of the digits.
      size: (n, N) pixels a side of its square.
      corner: (n, N, 2) the square's row and column.
      boxes: (n, N, 4) float32 around its ink, x0, y0, x1, y1.
      present: (n, N) bool.
    """

    index: np.ndarray
    size: np.ndarray
    corner: np.ndarray
    boxes: np.ndarray
    present: np.ndarray


@register("scenes")
def scenes(
    image_size: int = 96,
    channels: int = 1,
    least: int = 1,
    most: int = 6,
    scales: tuple[float, ...] = (1.0, 3.0),
    examples: int = 2048,
    test_examples: int = 512,
    data_seed: int = 0,
    split: str = "random",
    test_fraction: float = 0.2,
    split_seed: int = 0,
    eval_on: str = "test",
) -> Data:
    """Scenes of ``least`` to ``most`` of scikit-learn's 1797 digits, drawn once.

    ``image`` (n, size, size, channels) uint8; ``boxes`` (n, most, 4) float32, x0, y0, x1, y1 in
    pixels, edges, each around all ink of a digit, also what another one hides; ``classes`` (n,
    most) int32; ``present`` (n, most) bool, false behind the last; ``mask`` (n, size, size) uint8,
    0 for ground, 1 + the digit for its pixels. Later ones lie in front; a box is covered by each
    other one up to a third.

    Args:
      image_size: pixels a side, at least 32; 0 is 96.
      channels: 1 for grey, 3 for colour.
      least: digits of a scene, at least; each number is as likely as another.
      most: at most. Where there is no place left there are fewer.
      scales: between which the 8 pixels of a digit are scaled, each side as likely as another.
      examples: training scenes.
      test_examples: those of the test part.
      data_seed: of all that is drawn.
      split: of the digits, as `config.data` has it: "random" or "halves".
      test_fraction: of the digits, that training scenes have none of.
      split_seed: of that draw.
      eval_on: "test", or "validation" for scenes of as large a share of the other digits.
    """
    size = image_size or 96
    check(size, channels, least, most, scales, examples, test_examples)
    how = dict(split=split, test_fraction=test_fraction, split_seed=split_seed, eval_on=eval_on)
    divided = parts.divided(digits().train, None, None, how)
    drawn = dict(size=size, channels=channels, least=least, most=most, scales=scales)
    number = 2 if eval_on == "validation" else 1
    train = Arrays(draw(divided.train.arrays, examples, (data_seed, 0), **drawn))
    test = Arrays(draw(divided.test.arrays, test_examples, (data_seed, number), **drawn))
    mean, std = statistics.of_channels(train, most=512)
    return Data(train, test, class_names=tuple("0123456789"), mean=mean, std=std)


def draw(
    shown: Mapping[str, np.ndarray],
    count: int,
    seed: Sequence[int],
    *,
    size: int,
    channels: int,
    least: int,
    most: int,
    scales: tuple[float, ...],
) -> dict[str, np.ndarray]:
    """``count`` scenes, the same for the same seed; the arrays of `scenes`.

    Args:
      shown: the digits, ``image`` (m, 8, 8, 1) in [0, 1] and ``label`` (m,).
      count: scenes.
      seed: of the draw.
      size: pixels a side.
      channels: of a picture.
      least: digits of a scene.
      most: at most.
      scales: of a digit, the smallest and the largest.
    """
    rng = np.random.default_rng(seed)
    stamps = _stamps(shown["image"][..., 0], [round(SIDE * s) for s in scales])
    placed = _place(rng, stamps, count, size, least, most)
    image = np.empty((count, size, size, channels), np.uint8)
    mask = np.zeros((count, size, size), np.uint8)
    for at in range(0, count, _AT_ONCE):
        rows = slice(at, at + _AT_ONCE)
        pictures = _ground(rng, len(mask[rows]), size, channels)
        _clutter(rng, pictures)
        ink = rng.uniform(*_INK, (*placed.index[rows].shape, channels)).astype(np.float32)
        for i, picture in enumerate(pictures):
            _paste(picture, mask[at + i], stamps, shown["label"], placed, at + i, ink[i])
        image[rows] = np.rint(np.clip(pictures, 0, 1) * np.float32(255))
    classes = np.where(placed.present, shown["label"][placed.index], 0).astype(np.int32)
    boxes, present = placed.boxes, placed.present
    return dict(image=image, boxes=boxes, classes=classes, present=present, mask=mask)


def _stamps(digits: np.ndarray, ends: Sequence[int]) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """{side: how much of each pixel is covered (m, side, side), the box of what is (m, 4)}."""
    found = {}
    for side in range(ends[0], ends[1] + 1):
        scale = _interpolation(side, SIDE)
        covered = np.clip(scale @ digits.astype(np.float64) @ scale.T, 0, 1).astype(np.float32)
        inked = covered >= _COVERS
        (x0, x1), (y0, y1) = (_ends(inked.any(axis)) for axis in (1, 2))
        found[side] = covered, np.stack([x0, y0, x1, y1], axis=1)
    return found


def _interpolation(to: int, of: int) -> np.ndarray:
    """(to, of) float64: the weights of linear interpolation between the centres of pixels."""
    at = np.clip((np.arange(to) + 0.5) * of / to - 0.5, 0, of - 1)
    return np.clip(1 - np.abs(at[:, None] - np.arange(of)), 0, 1)


def _ends(inked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of (m, side): where each row's first is, and behind its last."""
    return inked.argmax(axis=1), inked.shape[1] - inked[:, ::-1].argmax(axis=1)


def _place(
    rng: np.random.Generator, stamps: Mapping, count: int, size: int, least: int, most: int
) -> Placed:
    sides = np.array(sorted(stamps))
    number = rng.integers(least, most + 1, count)
    index = rng.integers(0, len(stamps[sides[0]][0]), (count, most))
    chosen = rng.choice(sides, (count, most))
    own = np.empty((count, most, 4), np.int64)
    for side in sides:
        own[chosen == side] = stamps[side][1][index[chosen == side]]
    room = (size - chosen)[..., None, None] + 1
    corner = (rng.random((count, most, _TRIES, 2)) * room).astype(np.int64)
    tried = own[:, :, None] + corner[..., ::-1][..., [0, 1, 0, 1]]
    boxes, corners = np.zeros((count, most, 4)), np.zeros((count, most, 2), np.int64)
    present, rows = np.zeros((count, most), bool), np.arange(count)
    filled = np.zeros(count, np.int64)
    for j in range(most):
        free = (_covered(tried[:, j, :, None], boxes[:, None]) <= _OVERLAP).all(-1)
        first = free.argmax(axis=1)
        take = rows[free.any(axis=1) & (filled < number)]
        at = filled[take]  # what found no place leaves no gap
        boxes[take, at], corners[take, at] = (
            tried[take, j, first[take]],
            corner[take, j, first[take]],
        )
        index[take, at], chosen[take, at] = index[take, j], chosen[take, j]
        present[take, at] = True
        filled[take] += 1
    return Placed(index, chosen, corners, boxes.astype(np.float32), present)


def _covered(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """What two boxes share, of the smaller of them; 0 of an empty one."""
    low, high = np.maximum(a[..., :2], b[..., :2]), np.minimum(a[..., 2:], b[..., 2:])
    area = lambda box: (box[..., 2:] - box[..., :2]).prod(-1)
    shared = np.clip(high - low, 0, None).prod(-1)
    return shared / np.maximum(np.minimum(area(a), area(b)), 1)


def _ground(rng: np.random.Generator, count: int, size: int, channels: int) -> np.ndarray:
    """(count, size, size, channels) float32: noise of several wavelengths, and grain."""
    each = lambda ends: rng.uniform(*ends, (count, 1, 1, channels))
    coarse = np.zeros((count, 1, 1, channels))
    for points in (3, 6, 12, 24):
        up = _interpolation(points, coarse.shape[1])
        finer = rng.uniform(-1, 1, (count, points, points, channels))
        coarse = np.einsum("ph,nhwc,qw->npqc", up, coarse, up, optimize=True) + finer * 0.5
    coarse = each(_GROUND) + each(_TEXTURE) * coarse / 2
    up = _interpolation(size, 24)
    ground = np.moveaxis(up @ np.moveaxis(coarse, 3, 1) @ up.T, 1, 3).astype(np.float32)
    grain = rng.integers(-128, 128, ground.shape, np.int8).astype(np.float32)
    return ground + grain * (each(_GRAIN) / 128).astype(np.float32)


def _clutter(rng: np.random.Generator, pictures: np.ndarray) -> None:
    """Draws curved lines one pixel wide, and discs, over (n, size, size, channels)."""
    n, size, _, channels = pictures.shape

    def put(rows: np.ndarray, columns: np.ndarray, there: np.ndarray) -> None:
        # All (n, shapes, points); of points outside nothing is seen.
        level = rng.uniform(*_CLUTTER, (*there.shape[:2], 1, channels))
        shown = there & (rows >= 0) & (rows < size) & (columns >= 0) & (columns < size)
        i, shape, _ = np.nonzero(shown)
        rows, columns = rows[shown], columns[shown]
        ground = pictures[i, rows, columns]
        pictures[i, rows, columns] = ground + level[i, shape, 0].astype(np.float32)

    ends = rng.uniform(0, size, (3, n, _LINES, 1, 2))
    ends[1:] = ends[0] + (ends[1:] - ends[0]) * 0.5
    t = np.linspace(0, 1, _POINTS)[:, None]
    line = ends[0] * (1 - t) ** 2 + ends[1] * 2 * t * (1 - t) + ends[2] * t**2
    line = line.astype(np.int64)
    there = np.broadcast_to(rng.random((n, _LINES, 1)) < 0.5, line.shape[:-1])
    put(line[..., 0], line[..., 1], there)

    grid = np.mgrid[-_RADIUS : _RADIUS + 1, -_RADIUS : _RADIUS + 1].reshape(2, -1)
    centre = rng.integers(0, size, (2, n, _DISCS, 1))
    radius = rng.uniform(0.5, _RADIUS, (n, _DISCS, 1)) * (rng.random((n, _DISCS, 1)) < 0.5)
    there = (np.square(grid).sum(0) <= np.square(radius)) & (radius > 0)
    put(centre[0] + grid[0], centre[1] + grid[1], there)


def _paste(picture, mask, stamps, labels, placed: Placed, scene: int, ink: np.ndarray) -> None:
    """Draws a scene's digits into its picture and its mask."""
    for j in np.flatnonzero(placed.present[scene]):
        side, index = placed.size[scene, j], placed.index[scene, j]
        row, column = placed.corner[scene, j]
        covered = stamps[side][0][index]
        at = (slice(row, row + side), slice(column, column + side))
        picture[at] += covered[..., None] * (ink[j] - picture[at])
        mask[at][covered >= _COVERS] = 1 + labels[index]


def check(size, channels, least, most, scales, examples, test_examples) -> None:
    """Raises UserError for a setting of scenes that cannot be."""
    if not 32 <= size <= 512:
        raise UserError(f"data.image_size={size} must be from 32 to 512")
    if channels not in (1, 3):
        raise UserError(f"data.channels={channels} must be 1 (grey) or 3 (colour)")
    if not 1 <= least <= most <= 64:
        raise UserError(
            f"data.least={least} and data.most={most}: 1 <= least <= most <= 64 is needed"
        )
    numbers = len(scales) == 2 and all(isinstance(x, int | float) for x in scales)
    if not numbers or not 1 <= scales[0] <= scales[1] <= MOST_SCALE or SIDE * scales[1] > size:
        largest = min(MOST_SCALE, size // SIDE)
        raise UserError(
            f"data.scales={scales!r} must be two numbers from 1 to {largest}, the first not above "
            "the second"
        )
    for name, given in (("examples", examples), ("test_examples", test_examples)):
        if given < 1:
            raise UserError(f"data.{name}={given} must be at least 1")
