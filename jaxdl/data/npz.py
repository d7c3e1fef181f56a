"""Images and labels from one NumPy archive."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from etils import epath

from jaxdl.data import Source, register
from jaxdl.data.arrays import channels_first, labelled_images
from jaxdl.data.split import Arrays
from jaxdl.errors import UserError, one_line

# The names that archives in the wild use, most usual first; capitals are as good.
_PAIRS = {
    "train": (("x_train", "y_train"), ("train_images", "train_labels"), ("image", "label"),
              ("images", "labels"), ("x", "y"), ("data", "labels")),
    "test": (("x_test", "y_test"), ("test_images", "test_labels")),
    "validation": (("x_val", "y_val"), ("val_images", "val_labels"), ("x_valid", "y_valid"),
                   ("x_validation", "y_validation"), ("valid_images", "valid_labels")),
}  # fmt: skip


@register("npz")
def npz(path: str = "") -> Source:
    """An archive with ``x_train``, ``y_train`` and, if it has such parts, ``x_test``, ``x_val`` ….

    Also read: train_images/train_labels (test_images, val_images, as MedMNIST has them),
    images/labels, image/label, x/y, data/labels. Images are (n, h, w), (n, h, w, c) or
    (n, c, h, w), uint8 or floating in [0, 1]; labels (n,) or (n, 1) whole numbers.
    """
    notes: list[str] = []

    def labelled(images: np.ndarray, labels: np.ndarray, where: str) -> Arrays:
        if channels_first(images.shape):
            notes.append(f"{where} {images.shape} is taken as (n, channels, height, width)")
        return labelled_images(images, labels, where)

    found, left_out = parts(archive(path), path, labelled)
    return Source(**{"train": None, **found}, notes=(*notes, *left_out))


def archive(path: str) -> dict[str, np.ndarray]:
    """The arrays of an archive by their names.

    Raises:
      UserError: there is none, or it cannot be read.
    """
    file = epath.Path(path)
    if not path or not file.is_file():
        raise UserError(f"data.path={path!r} is no file: name an .npz archive")
    try:
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as found:
            return {name: found[name] for name in found.files}
    except Exception as error:  # zip, its decompressors and headers have errors of their own
        raise UserError(f"{path} is not a readable .npz archive: {one_line(error)}") from None


def parts(
    arrays: Mapping[str, np.ndarray], path: str, made: Callable[[np.ndarray, np.ndarray, str], Any]
) -> tuple[dict[str, Any], list[str]]:
    """{"train", "test" or "validation": what ``made`` makes of it}, and what is left out, a line.

    Args:
      arrays: of `archive`.
      path: the archive, for messages.
      made: (examples, labels, which array of which file) -> a part.

    Raises:
      UserError: there are no such arrays; and what ``made`` raises.
    """
    named = {name.lower(): name for name in arrays} | {name: name for name in arrays}
    found, notes = {}, []
    for which, pairs in _PAIRS.items():
        for images, labels in pairs:
            if images in named and labels in named:
                where = f"{path}:{named[images]}"
                found[which] = made(arrays[named[images]], arrays[named[labels]], where)
                break
        else:
            notes += [
                f"{path}:{named[images]} has no {labels}, and is left out"
                for images, labels in pairs
                if images in named and which != "train"
            ]
    if not found:
        wanted = " or ".join("/".join(p) for p in _PAIRS["train"])
        raise UserError(f"{path} has the arrays {sorted(arrays)}, but needs {wanted}")
    return found, notes
