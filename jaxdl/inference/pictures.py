"""What `--input` names: pictures in files, folders and arrays, each read when it is wanted."""

import functools
import glob
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from etils import epath

from jaxdl.data import coco, files, letterbox
from jaxdl.data.pictures import MODES, SUFFIXES, decoded, opened
from jaxdl.data.preprocess import Preprocess, image, unit_range
from jaxdl.errors import UserError, one_line


class Picture(NamedTuple):
    """Something to look at, or to hear.

    Attributes:
      name: the file, and which of several in it.
      read: makes it one of the model's images.
      placed: where the picture is in that image, of those that are fitted into it whole; None of
        others.
      number: the id by which a list names it, or None.
      shown: (h, w, 1 or 3) uint8, as people see it, of those that are seen whole or as they are;
        None of others.
    """

    name: str
    read: Callable[[], np.ndarray]
    placed: Callable[[], letterbox.Fit] | None = None
    number: int | str | None = None
    shown: Callable[[], np.ndarray] | None = None


def find(where: str, preprocess: Preprocess, channels: int, fit: str = "") -> list[Picture]:
    """A picture, a folder, a pattern such as ``holiday/**/*.jpg``, or .npy.

    Args:
      where: one of these.
      preprocess: how a picture becomes one of the model's images.
      channels: of these.
      fit: one of `jaxdl.data.letterbox.FITS`, by which pictures in files are shown whole; "" for
        their middle.

    Raises:
      UserError: there is nothing.
    """
    found = sorted(matching(where, SUFFIXES, "pictures", named=(".npy",)))
    return [picture for file in found for picture in _in_file(file, preprocess, channels, fit)]


def listed(
    given: coco.Listed, preprocess: Preprocess, channels: int, fit: str = ""
) -> list[Picture]:
    """The pictures that a JSON of COCO's form names, by their ids; the others are `find`'s."""
    return [
        picture._replace(number=number)
        for file, number in zip(given.files, given.ids, strict=True)
        for picture in _in_file(file, preprocess, channels, fit)
    ]


def matching(
    where: str, suffixes: tuple[str, ...], called: str, named: tuple[str, ...] = ()
) -> list[epath.Path]:
    """The files that ``where`` is, holds, or finds by a pattern.

    Args:
      where: a file of any ending, a folder, or a pattern.
      suffixes: of the files that are looked for.
      called: what these are, for messages.
      named: further suffixes, of files that are not looked for in folders.

    Raises:
      UserError: there is nothing.
    """
    path, wanted = epath.Path(where), (*suffixes, *named)
    if path.is_dir():
        found = [p for p in files.below(path) if files.of_kind(p, suffixes)]
    elif path.exists():
        found = [path]
    else:
        paths = map(epath.Path, glob.glob(where, recursive=True))
        found = [p for p in paths if files.of_kind(p, wanted) and files.matches(p, where)]
    if not found:
        raise UserError(f"--input={where}: no {called} there ({', '.join(wanted)})")
    return found


def _in_file(file: epath.Path, preprocess: Preprocess, channels: int, fit: str) -> list[Picture]:
    if files.of_kind(file, (".npy",)):
        try:
            return _in_array(file, (preprocess.size, preprocess.size, channels))
        except UserError as error:
            return [Picture(str(file), functools.partial(_complain, error))]
    if channels not in MODES:
        raise UserError(f"{file}: images of {channels} channels are read from .npy")
    if not fit:
        return [Picture(str(file), functools.partial(image, file, preprocess, channels))]

    @functools.cache
    def placed() -> letterbox.Fit:
        return letterbox.fitted(*letterbox.upright_size(file), preprocess.size, fit)

    read = lambda: placed().picture(file, channels)
    return [Picture(str(file), read, placed, shown=functools.partial(_shown, file))]


def _shown(file: epath.Path) -> np.ndarray:
    with opened(file) as found:
        return np.asarray(decoded(found, file, 3))


def _in_array(file: epath.Path, shape: tuple[int, int, int]) -> list[Picture]:
    """Images in a .npy file, as the model sees them but for the standardisation."""
    try:
        array = np.load(file, mmap_mode="r")
    except Exception as error:  # a header may break its reader in any way
        raise UserError(f"{file} is broken: {one_line(error)}") from None
    images = array[..., None] if array.ndim == 3 and shape[-1] == 1 else array
    fits = images.shape[1:] == shape
    if not fits or not (array.dtype == np.uint8 or np.issubdtype(array.dtype, np.floating)):
        raise UserError(
            f"{file} has {array.dtype}{list(array.shape)}: it should be [n, "
            f"{', '.join(map(str, shape))}], uint8 or floats in [0, 1]"
        )

    def read(i: int) -> np.ndarray:
        found = np.asarray(images[i])
        if found.dtype == np.uint8:
            return found
        if not (found.min() >= 0 and found.max() <= 1):
            raise UserError(f"{file}[{i}] has values outside [0, 1]")
        return found.astype(np.float32)

    def shown(i: int) -> np.ndarray:
        found = read(i)
        return found if found.dtype == np.uint8 else np.rint(255 * found).astype(np.uint8)

    return [
        Picture(f"{file}[{i}]", functools.partial(read, i), shown=functools.partial(shown, i))
        for i in range(len(images))
    ]


def _complain(error: UserError) -> np.ndarray:
    raise error


def tried(picture: Picture) -> tuple[np.ndarray | None, str]:
    """The image and "", or None and why it could not be read."""
    try:
        return picture.read(), ""
    except UserError as error:
        return None, str(error)


def joined(
    read: Sequence[tuple[np.ndarray | None, str]], size: int, shape: tuple[int, ...]
) -> tuple[np.ndarray, list[str]]:
    """One batch of what was `tried`, with black in place of what could not be, and the errors.

    Args:
      read: what came of each picture.
      size: images of the batch, at least as many.
      shape: of one.
    """
    images, errors = zip(*read, strict=True)
    there = [x for x in images if x is not None]
    if any(x.dtype != np.uint8 for x in there):
        images = [x if x is None or x.dtype != np.uint8 else unit_range(x) for x in images]
    kinds = {x.dtype for x in images if x is not None}
    batch = np.zeros((size, *shape), kinds.pop() if kinds else np.uint8)
    for i, x in enumerate(images):
        if x is not None:
            batch[i] = x
    return batch, list(errors)
