"""Images and labels from one NumPy archive."""

import zipfile
import zlib

import numpy as np
from etils import epath

from jaxdl.data import Source, register
from jaxdl.data.arrays import labelled_images
from jaxdl.errors import UserError

# The names that archives in the wild use, most usual first.
_PAIRS = {
    "train": (("x_train", "y_train"), ("train_images", "train_labels"), ("image", "label"),
              ("images", "labels"), ("x", "y")),
    "test": (("x_test", "y_test"), ("test_images", "test_labels")),
}  # fmt: skip


@register("npz")
def npz(path: str = "") -> Source:
    """An archive with ``x_train``, ``y_train`` and, if it has a test part, ``x_test``, ``y_test``.

    Also read: train_images/train_labels, images/labels, image/label, x/y. Images are (n, h, w) or
    (n, h, w, c), uint8 or floating in [0, 1]; labels (n,) whole numbers.
    """
    file = epath.Path(path)
    if not path or not file.is_file():
        raise UserError(f"data.path={path!r} is no file: name an .npz archive")
    try:
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (ValueError, TypeError, OSError, zipfile.BadZipFile, EOFError, zlib.error) as error:
        raise UserError(f"{path} is not a readable .npz archive: {error}") from None

    def pair(part: str):
        for images, labels in _PAIRS[part]:
            if images in arrays and labels in arrays:
                return labelled_images(arrays[images], arrays[labels], f"{path}:{images}")
        return None

    train = pair("train")
    if train is None:
        wanted = " or ".join("/".join(p) for p in _PAIRS["train"])
        raise UserError(f"{path} has the arrays {sorted(arrays)}, but needs {wanted}")
    return Source(train, pair("test"))
