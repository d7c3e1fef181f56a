"""Images and labels from one NumPy archive."""

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
    file = epath.Path(path)
    if not path or not file.is_file():
        raise UserError(f"data.path={path!r} is no file: name an .npz archive")
    try:
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except Exception as error:  # zip, its decompressors and headers have errors of their own
        raise UserError(f"{path} is not a readable .npz archive: {one_line(error)}") from None
    named = {name.lower(): name for name in arrays} | {name: name for name in arrays}
    notes = []

    def part(which: str) -> Arrays | None:
        for images, labels in _PAIRS[which]:
            if images in named and labels in named:
                where = f"{path}:{named[images]}"
                found = arrays[named[images]]
                if channels_first(found.shape):
                    notes.append(f"{where} {found.shape} is taken as (n, channels, height, width)")
                return labelled_images(found, arrays[named[labels]], where)
        for images, labels in _PAIRS[which]:
            if images in named and which != "train":
                notes.append(f"{path}:{named[images]} has no {labels}, and is left out")
        return None

    train, test, validation = part("train"), part("test"), part("validation")
    if train is None and test is None and validation is None:
        wanted = " or ".join("/".join(p) for p in _PAIRS["train"])
        raise UserError(f"{path} has the arrays {sorted(arrays)}, but needs {wanted}")
    return Source(train, test, validation=validation, notes=tuple(notes))
