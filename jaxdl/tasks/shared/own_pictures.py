"""Pictures and masks that a setting names, at the size of those that were learned from."""

from collections.abc import Sequence

import numpy as np
from etils import epath

from jaxdl import paths
from jaxdl.data import pictures
from jaxdl.errors import UserError

# Halves, and the middle quarter, that need no file.
_SIDES = ("left", "right", "upper", "lower", "middle")


def read(file: str, shape: Sequence[int]) -> np.ndarray:
    """The picture in a file, ``shape`` (h, w, 1 or 3), uint8.

    Raises:
      UserError: it cannot be read, or the images that were learned from are no pictures.
    """
    if shape[-1] not in pictures.MODES:
        raise UserError(f"{file}: images of {shape[-1]} channels are in no picture's file")
    path = _there(file)
    with pictures.opened(path) as found:
        picture = np.asarray(pictures.decoded(found, path, shape[-1]))
    return pictures.resized(picture.reshape(*picture.shape[:2], shape[-1]), *shape[:2])


def missing(mask: str, shape: Sequence[int]) -> np.ndarray:
    """Where a picture is to be filled in, (h, w) booleans.

    Args:
      mask: "left", "right", "upper", "lower" half, or "middle", a quarter of the area; or a file,
        whose brighter half of greys is to be filled in. It is stretched to the size.
      shape: (h, w, …).

    Raises:
      UserError: it cannot be read, or nothing or all is to be filled in.
    """
    from PIL import Image

    height, width = shape[:2]
    if mask in _SIDES:
        found = np.zeros((height, width), bool)
        across, down = width // 2, height // 2
        rows = dict(upper=slice(down), lower=slice(down, None))
        columns = dict(left=slice(across), right=slice(across, None))
        if mask == "middle":
            rows["middle"] = slice(height // 4, height // 4 + down)
            columns["middle"] = slice(width // 4, width // 4 + across)
        found[rows.get(mask, slice(None)), columns.get(mask, slice(None))] = True
        return found
    path = _there(mask, f", nor one of {', '.join(_SIDES)}")
    with pictures.opened(path) as opened:
        grey = pictures.decoded(opened, path, 1)
        found = np.asarray(grey.resize((width, height), Image.Resampling.NEAREST)) >= 128
    if found.all() or not found.any():
        raise UserError(
            f"config.task.mask={mask} is {'white' if found.all() else 'black'} all over: white is "
            "what is to be filled in, black what stays"
        )
    return found


def _there(file: str, otherwise: str = "") -> epath.Path:
    path = epath.Path(paths.expanded(file))
    if not path.is_file():
        raise UserError(f"{file} is no file{otherwise}")
    return path
