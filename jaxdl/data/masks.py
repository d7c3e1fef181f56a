"""A folder of pictures and a folder of masks: the class of every pixel."""

from collections.abc import Sequence

import numpy as np
from etils import epath

from jaxdl.data import Data, files, letterbox, parts, pictures, register, statistics
from jaxdl.data.annotated import IN_MEMORY
from jaxdl.data.decoded import Decoded
from jaxdl.data.layout import parts_or_whole
from jaxdl.data.mask_values import Meaning, by_values, of_table, values
from jaxdl.data.split import Arrays, Batch
from jaxdl.errors import UserError

# What the two folders are called, the usual first, in lower case.
_IMAGES = ("images", "image", "imgs", "img", "jpegimages", "pictures")
_MASKS = ("masks", "mask", "labels", "annotations", "segmentationclass", "segmentation", "gt")

# What the name of a mask may end in, behind its picture's.
_ENDINGS = ("", "_mask", "-mask", "_masks", "_seg", "_segmentation", "_label", "_labels", "_gt",
            "_L")  # fmt: skip

KINDS = ("auto", "index", "binary", "colours")


class Masked(Decoded):
    """Pictures and masks, decoded when they are asked for, on several threads.

    Args:
      pairs: files of each.
      meaning: of what a mask's file holds.
      size: pixels a side.
      channels: 1 for grey, 3 for colour.
      fit: of `jaxdl.data.letterbox.FITS`.
      outside: class of what is no part of the picture.
    """

    def __init__(
        self,
        pairs: Sequence[tuple[epath.Path, epath.Path]],
        meaning: Meaning,
        size: int,
        channels: int,
        fit: str,
        outside: int,
    ):
        super().__init__(pairs)
        self.meaning, self.size = meaning, size
        self.channels, self.fit, self.outside = channels, fit, outside

    def _read(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        picture, file = self.examples[index]
        width, height = letterbox.upright_size(picture)
        mask = self.meaning(values(file), file)
        if mask.shape != (height, width):
            raise UserError(
                f"{file} is {mask.shape[1]} x {mask.shape[0]} pixels, but its picture {picture} "
                f"{width} x {height}"
            )
        fit = letterbox.fitted(width, height, self.size, self.fit)
        return fit.picture(picture, self.channels), fit.mask(mask, self.outside)

    def take(self, indices: np.ndarray) -> Batch:
        """``image`` (n, size, size, channels) uint8 and ``mask`` (n, size, size) uint8."""
        images, masks = zip(*self._threads.map(self._read, indices), strict=True)
        return {"image": np.stack(images), "mask": np.stack(masks)}

    def subset(self, indices: np.ndarray) -> "Masked":
        """Of only these."""
        pairs = [self.examples[i] for i in indices]
        return Masked(pairs, self.meaning, self.size, self.channels, self.fit, self.outside)


@register("masks")
def masks(
    path: str = "",
    images: str = "",
    masks: str = "",
    kind: str = "auto",
    colours: str = "",
    names: tuple[str, ...] = (),
    ignored: int = 255,
    image_size: int = 0,
    channels: int = 3,
    fit: str = "letterbox",
    split: str = "random",
    test_fraction: float = 0.2,
    split_seed: int = 0,
    eval_on: str = "test",
) -> Data:
    """``path/images/*`` and ``path/masks/*``, or the same under ``path/train`` and the others.

    ``image`` (n, size, size, channels) uint8 and ``mask`` (n, size, size) uint8: 0 is the ground,
    1 + i class i, ``ignored`` what counts in nothing, margins included (config.task.ignored is the
    same number). A mask is called as its picture, of another ending and with _mask or the like
    behind it, or not.

    Args:
      path: the folder.
      images: the pictures' folder in it, or in each part's; "" looks for the usual names.
      masks: that of the masks.
      kind: "index", whose values, or palette's numbers, are the classes; "binary", where all from
        half of white on, or from 1 where that is the largest, is class 0; "colours", by their
        table; "auto" is the last with a table, binary for one value beside 0, or else index.
      colours: a table in a text file, in ``path``: red, green, blue and a name a line, with commas,
        spaces or tabs between, also the name first. The first line's is the ground.
      names: of the classes, for masks without a table: of 1, 2 and so on.
      ignored: the value, 255 usually, or of a table the class called "void", "ignore" or
        "unlabelled", in any letters; -1 is none.
      image_size: pixels a side of the squares that pictures become; 0 is the first one's longer.
      channels: 1 for grey, 3 for colour.
      fit: "letterbox" keeps a picture's shape in grey margins, "stretch" does not.
      split: "random" or "halves", where there is no test part.
      test_fraction: size of the random test part.
      split_seed: of the draw.
      eval_on: "test", or "validation" for the data's own or a share of the training part.
    """
    letterbox.check(channels, fit)
    root = epath.Path(path)
    if not path or not root.is_dir():
        raise UserError(f"data.path={path!r} is no folder: name one with pictures and masks")
    if kind not in KINDS or (kind == "colours" and not colours):
        raise UserError(
            f"data.kind={kind!r} must be {', '.join(KINDS)}, with data.colours the last"
        )
    if not -1 <= ignored <= 255:
        raise UserError(f"data.ignored={ignored} must be from -1 to 255")
    notes: list[str] = []
    found = {
        part: _pairs(folder, images, masks, notes) for part, folder in parts_or_whole(root).items()
    }
    if colours:
        if kind not in ("auto", "colours") or names:
            raise UserError("data.colours is for data.kind=colours, and has the names")
        meaning, class_names = of_table(root / colours, ignored)
    else:
        everything = [mask for pairs in found.values() for _, mask in pairs]
        meaning, class_names = by_values(kind, everything, names, ignored)
    size = image_size or max(letterbox.upright_size(found["train"][0][0]))
    outside = max(ignored, 0)
    made = {part: Masked(x, meaning, size, channels, fit, outside) for part, x in found.items()}
    how = dict(split=split, test_fraction=test_fraction, split_seed=split_seed, eval_on=eval_on)
    divided = parts.divided(made["train"], made.get("test"), made.get("validation"), how)
    kept = {name: part for name, part in divided._asdict().items() if part is not None}
    if sum(map(len, kept.values())) * size**2 * (channels + 1) <= IN_MEMORY:
        kept = {name: Arrays(x.take(np.arange(len(x)))) for name, x in kept.items()}
    mean, std = statistics.of_channels(kept["train"], most=512)
    return Data(**kept, class_names=class_names, mean=mean, std=std, notes=tuple(notes))


def _pairs(
    folder: epath.Path, images: str, masks: str, notes: list[str]
) -> list[tuple[epath.Path, epath.Path]]:
    """Pictures of a part with their masks."""
    there = {path.name.lower(): path for path in files.folders(folder)}

    def inside(name: str, usual: Sequence[str], what: str) -> tuple[epath.Path, list[epath.Path]]:
        where = folder / name if name else next((there[x] for x in usual if x in there), None)
        if where is None or not where.is_dir():
            wanted = where or f"folder {usual[0]!r} in {folder}"
            raise UserError(f"there is no {wanted}: name that of the {what} by data.{what}")
        found = [x for x in files.below(where) if files.of_kind(x, pictures.SUFFIXES)]
        if not found:
            raise UserError(f"{where} holds no {what} ({', '.join(pictures.SUFFIXES)})")
        return where, found

    (of_images, shown), (of_masks, masked) = (
        inside(images, _IMAGES, "images"),
        inside(masks, _MASKS, "masks"),
    )
    key = lambda file, base: str(file.relative_to(base).with_suffix(""))
    named: dict[str, epath.Path] = {}
    for file in masked:
        if key(file, of_masks) in named:
            raise UserError(f"{named[key(file, of_masks)]} and {file} are masks of one picture")
        named[key(file, of_masks)] = file
    found, without, taken = [], [], set()
    for file in shown:
        name = key(file, of_images)
        own = next((named[name + x] for x in _ENDINGS if name + x in named), None)
        if own is None:
            without.append(file)
        elif own in taken:
            raise UserError(f"{file} is there twice, with another ending: {own} is of one picture")
        else:
            found.append((file, own))
            taken.add(own)
    if not found:
        raise UserError(f"no mask in {of_masks} is called as {shown[0]} is")
    if without:
        notes.append(f"{len(without)} pictures in {of_images} have no mask, and are left out")
    if len(named) > len(found):
        notes.append(f"{len(named) - len(found)} masks in {of_masks} have no picture")
    return found
