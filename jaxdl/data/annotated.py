"""Pictures in files with boxes around what is in them, whichever format the boxes come in."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from etils import epath

from jaxdl.data import Data, fingerprint, judged, letterbox, outlines, parts, statistics
from jaxdl.data.split import Arrays, Batch
from jaxdl.errors import UserError

# Below this many bytes of pixels the whole set is decoded once, at the start.
IN_MEMORY = 2 << 30

# Pixels that a box may reach over its picture's edge by rounding, or by where pixels are counted
# from.
_ROUNDED = 1.0

# In a mask, what belongs to no class: crowds. Classes are 1 to 254.
IGNORED, _MOST_CLASSES = 255, 254


class Thing(NamedTuple):
    """What a box is around.

    Attributes:
      label: the number of its class.
      box: x0, y0, x1, y1 in pixels of the picture, edges, as they stand there.
      where: of the annotation, for messages.
      outline: of `jaxdl.data.outlines`, or None.
      crowd: whether it is many in one, as COCO's iscrowd.
      difficult: as Pascal VOC has it.
      area: of what is there, in pixels² of the picture; None for the box's.
    """

    label: int
    box: tuple[float, float, float, float]
    where: str
    outline: Any = None
    crowd: bool = False
    difficult: bool = False
    area: float | None = None


class Picture(NamedTuple):
    """A picture and what is in it.

    Attributes:
      file: of the picture.
      size: width and height that its annotation says, or None.
      things: in it, none twice.
      where: of the annotation, for messages.
      judged: what finds are judged by, where that is another than ``things``.
    """

    file: epath.Path
    size: tuple[int, int] | None
    things: Sequence[Thing]
    where: str
    judged: Sequence[Thing] | None = None


class Settings(NamedTuple):
    """How pictures are read and divided; as `jaxdl.data.coco.coco` has them."""

    image_size: int
    channels: int
    fit: str
    most: int
    masks: bool
    split: str
    test_fraction: float
    split_seed: int
    eval_on: str


class Annotated:
    """Picture files with their boxes, decoded when they are asked for, on several threads.

    Args:
      pictures: (n) of them.
      fits: how each goes into its square.
      arrays: ``boxes``, ``classes``, ``present`` and what else there is, (n, …).
      channels: 1 for grey, 3 for colour.
      masks: whether there are masks.
    """

    def __init__(
        self,
        pictures: Sequence[Picture],
        fits: Sequence[letterbox.Fit],
        arrays: Batch,
        channels: int,
        masks: bool,
    ):
        self.pictures, self.fits, self.arrays = pictures, fits, arrays
        self.channels, self.masks = channels, masks

    def __len__(self) -> int:
        """Number of pictures."""
        return len(self.pictures)

    @cached_property
    def _threads(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(8)

    def take(self, indices: np.ndarray) -> Batch:
        """``image`` (n, size, size, channels) uint8, ``boxes`` … and, with masks, ``mask``."""
        read = lambda i: self.fits[i].picture(self.pictures[i].file, self.channels)
        found = {"image": np.stack([*self._threads.map(read, indices)])}
        found |= {name: x[indices] for name, x in self.arrays.items()}
        if self.masks:
            found["mask"] = np.stack([*self._threads.map(self._mask, indices)])
        return found

    @cached_property
    def judged(self) -> judged.Judged:
        """By what finds in these pictures are judged."""
        pairs = [
            (i, thing)
            for i, one in enumerate(self.pictures)
            for thing in (one.things if one.judged is None else one.judged)
        ]
        things = [thing for _, thing in pairs]
        boxes = np.array([thing.box for thing in things], np.float64).reshape(-1, 4)
        own = [np.nan if thing.area is None else thing.area for thing in things]
        areas = np.where(np.isnan(own), np.prod(boxes[:, 2:] - boxes[:, :2], axis=1), own)
        objects = judged.Objects(
            np.array([i for i, _ in pairs], np.int64),
            boxes,
            np.array([thing.label for thing in things], np.int64),
            np.array([thing.crowd for thing in things], bool),
            np.array([thing.difficult for thing in things], bool),
            areas.astype(np.float64),
        )
        return judged.Judged(objects, self.fits)

    def _mask(self, index: int) -> np.ndarray:
        fit, things = self.fits[index], self.pictures[index].things
        width, height = fit.of
        made = np.zeros((height, width), np.uint8)
        # Whatever is known of a place says more than that there is a crowd.
        for thing in sorted(things, key=lambda thing: not thing.crowd):
            if thing.outline is not None:
                covers = _of_outline(outlines.mask, thing, height, width)
                made[covers] = IGNORED if thing.crowd else 1 + thing.label
        return fit.mask(made)

    def fingerprint(self) -> str:
        """Of all names and boxes, and of the pixels of a few."""
        names = [f"{one.file.parent.name}/{one.file.name}" for one in self.pictures]
        few = fingerprint.looked_at(self)
        own = {f"all {name}": x for name, x in self.arrays.items()}
        return fingerprint.digest({**few, **own, "names": names})


class InMemory(Arrays):
    """Picture files with their boxes, decoded once.

    Args:
      files: which.
    """

    def __init__(self, files: Annotated):
        super().__init__(files.take(np.arange(len(files))))
        self.judged = files.judged


class _Pool:
    """Pictures to be divided, by no class."""

    def __init__(self, pictures: list[Picture]):
        self.pictures = pictures

    def __len__(self) -> int:
        return len(self.pictures)

    @property
    def labels(self) -> np.ndarray:
        return np.zeros(len(self.pictures), np.int32)

    def subset(self, indices: np.ndarray) -> "_Pool":
        return _Pool([self.pictures[i] for i in np.sort(indices)])


def data(
    found: Mapping[str, Sequence[Picture]],
    class_names: Sequence[str],
    settings: Settings,
    notes: Sequence[str] = (),
    class_ids: Sequence[int | str] = (),
) -> Data:
    """Pictures by part as `jaxdl.data.coco.coco` describes them.

    Args:
      found: "train", and "test" and "validation" where they are there.
      class_names: one a class.
      settings: of the data set.
      notes: of the reader.
      class_ids: by which the classes are known where they have other numbers than 0, 1, 2 ….

    Raises:
      UserError: a picture that cannot be read or has another size, or a box that cannot be.
    """
    letterbox.check(settings.channels, settings.fit)
    if settings.most < 0:
        raise UserError(f"data.most={settings.most} must be at least 0")
    if settings.masks and len(class_names) > _MOST_CLASSES:
        raise UserError(f"data.masks: {len(class_names)} classes, a mask has {_MOST_CLASSES}")
    told = Told()
    pools = {name: _Pool(told.checked(pictures)) for name, pictures in found.items() if pictures}
    if "train" not in pools:
        raise UserError("data: there are no pictures to learn from")
    if not any(one.things for one in pools["train"].pictures):
        raise UserError("data: there is nothing in the pictures to learn from: no box in any")
    how = settings._asdict()
    divided = parts.divided(pools["train"], pools.get("test"), pools.get("validation"), how)
    kept = {name: pool.pictures for name, pool in divided._asdict().items() if pool is not None}
    everything = [one for pictures in kept.values() for one in pictures]
    size = settings.image_size or max(everything[0].size)
    rows = settings.most or max(1, *(len(one.things) for one in everything))
    flags = [
        name
        for name in ("crowd", "difficult")
        if any(getattr(thing, name) for one in everything for thing in one.things)
    ]
    splits = {}
    for name, pictures in kept.items():
        fits = [letterbox.fitted(*one.size, size, settings.fit) for one in pictures]
        arrays = _arrays(pictures, fits, rows, flags)
        splits[name] = Annotated(pictures, fits, arrays, settings.channels, settings.masks)
    if (full := sum(len(one.things) > rows for one in everything)) > 0:
        told.notes.append(
            f"{full} pictures have more than data.most={rows} things in them: the largest are kept"
        )
    if sum(map(len, splits.values())) * size**2 * settings.channels <= IN_MEMORY:
        splits = {name: InMemory(x) for name, x in splits.items()}
    mean, std = statistics.of_channels(splits["train"], most=512)
    return Data(
        **splits,
        class_names=tuple(class_names),
        class_ids=tuple(class_ids),
        mean=mean,
        std=std,
        notes=(*notes, *told.lines()),
    )


def _arrays(
    pictures: Sequence[Picture], fits: Sequence[letterbox.Fit], rows: int, flags: Sequence[str]
) -> Batch:
    n = len(pictures)
    made = {
        "boxes": np.zeros((n, rows, 4), np.float32),
        "classes": np.zeros((n, rows), np.int32),
        "present": np.zeros((n, rows), bool),
        **{name: np.zeros((n, rows), bool) for name in flags},
    }
    for i, (one, fit) in enumerate(zip(pictures, fits, strict=True)):
        things = one.things
        if len(things) > rows:
            area = lambda box: (box[2] - box[0]) * (box[3] - box[1])
            largest = sorted(range(len(things)), key=lambda j: -area(things[j].box))[:rows]
            things = [things[j] for j in sorted(largest)]
        for j, thing in enumerate(things):
            made["boxes"][i, j] = fit.boxes(thing.box)
            made["classes"][i, j] = thing.label
            made["present"][i, j] = not (thing.crowd or thing.difficult)
            for name in flags:
                made[name][i, j] = getattr(thing, name)
    return made


class Told:
    """Checks pictures and their boxes, and counts what is usual but worth knowing."""

    def __init__(self):
        self.empty_pictures = self.empty_boxes = self.cut = self.twice = 0
        self.notes: list[str] = []

    def checked(self, pictures: Sequence[Picture]) -> list[Picture]:
        """The pictures with their sizes, and with boxes that lie inside them.

        Raises:
          UserError: no such picture, another size than is said, a box that cannot be.
        """
        missing = [one for one in pictures if not one.file.is_file()]
        if missing:
            raise UserError(
                f"{missing[0].where}: there is no picture {missing[0].file} ({len(missing)} of "
                f"{len(pictures)} are missing)"
            )
        with ThreadPoolExecutor(8) as threads:
            sizes = list(threads.map(lambda one: letterbox.upright_size(one.file), pictures))
        return [self._checked(one, size) for one, size in zip(pictures, sizes, strict=True)]

    def lines(self) -> list[str]:
        """What was counted, a line each."""
        counted = {
            "pictures have nothing in them": self.empty_pictures,
            "boxes are empty, and are left out": self.empty_boxes,
            "boxes reach over their picture's edge, and are cut there": self.cut,
            "boxes are there twice, and are taken once": self.twice,
        }
        return [*self.notes, *(f"{count} {what}" for what, count in counted.items() if count)]

    def _checked(self, one: Picture, size: tuple[int, int]) -> Picture:
        if one.size is not None and tuple(one.size) != size:
            raise UserError(
                f"{one.where}: {one.file} is {size[0]} x {size[1]} pixels, not {one.size[0]} x "
                f"{one.size[1]}"
            )
        things: dict[Any, Thing] = {}
        for thing in one.things:
            box = self._inside(thing, *size)
            if box is None:
                continue
            key = (thing.label, box, thing.crowd)
            if key in things:
                self.twice += 1
            else:
                things[key] = thing._replace(box=box)
        self.empty_pictures += not things
        return one._replace(size=size, things=tuple(things.values()))

    def _inside(self, thing: Thing, width: int, height: int) -> tuple | None:
        """The part of its box that is in the picture; None of an empty one."""
        x0, y0, x1, y1 = thing.box
        shown = "(" + ", ".join(f"{x:g}" for x in thing.box) + ")"
        if not np.isfinite(thing.box).all():
            raise UserError(f"{thing.where}: box {shown} has numbers that are not finite")
        if x1 < x0 or y1 < y0:
            raise UserError(f"{thing.where}: box {shown} is inside out: x0 < x1, y0 < y1 is needed")
        if x1 == x0 or y1 == y0:
            self.empty_boxes += 1
            return None
        if x1 <= 0 or y1 <= 0 or x0 >= width or y0 >= height:
            raise UserError(
                f"{thing.where}: box {shown} lies outside the picture of {width} x {height} pixels"
            )
        over = max(-x0, -y0, x1 - width, y1 - height)
        self.cut += over > _ROUNDED
        return max(x0, 0.0), max(y0, 0.0), min(x1, float(width)), min(y1, float(height))


def _of_outline(read: Callable, thing: Thing, *size: int) -> Any:
    try:
        return read(thing.outline, *size)
    except ValueError as error:
        raise UserError(f"{thing.where}: of its outline, {error}") from None


def box_of_outline(outline: Any, where: str) -> tuple[float, float, float, float]:
    """The box around an outline (`jaxdl.data.outlines.ends`).

    Raises:
      UserError: it is none.
    """
    return _of_outline(outlines.ends, Thing(0, (0, 0, 0, 0), where, outline))
