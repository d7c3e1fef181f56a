"""Pictures in files: which are read, and what is made of their pixels."""

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from etils import epath

from jaxdl.data import files
from jaxdl.errors import UserError, one_line

if TYPE_CHECKING:  # it is imported by those who read files
    from PIL import Image

SUFFIXES = (
    *(".bmp", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".pnm", ".ppm"),
    *(".tif", ".tiff", ".webp"),
)

# What Pillow calls images of so many channels.
MODES = {1: "L", 3: "RGB"}


@contextlib.contextmanager
def opened(file: epath.Path) -> Iterator["Image.Image"]:
    """The image in a file; what goes wrong with it within is one UserError that names it."""
    from PIL import Image

    try:
        with file.open("rb") as stream, Image.open(stream) as found:
            yield found
    except UserError:
        raise
    except Image.UnidentifiedImageError:  # it tells of the stream, not of the file
        raise UserError(f"{file} {_what(file)}") from None
    except Exception as error:  # each of Pillow's readers has errors of its own
        raise UserError(f"{file} is a broken image: {one_line(error)}") from None


def _what(file: epath.Path) -> str:
    """Of a file that Pillow does not know."""
    with file.open("rb") as stream:
        start = stream.read(512)
    if what := files.in_place(start):
        return f"is not the image, but {what}"
    if start[4:8] == b"ftyp":  # of ISO's family of containers
        return "is HEIC, AVIF or a video, whatever its ending: save it as JPEG or PNG"
    return "is a broken image: Pillow knows no such format"


def decoded(found: "Image.Image", file: epath.Path, channels: int) -> "Image.Image":
    """An open image upright, in grey or colour, 8 bits a channel.

    Raises:
      UserError: nothing says which of its numbers is white, or its colours are not known.
    """
    found.load()
    try:
        return plain(found).convert(MODES[channels])
    except ValueError as error:
        raise UserError(f"{file}: {error}") from None


# Also written into what --mode=export leaves: it uses nothing that is not in it, but for np.
def plain(image):
    """An open image upright, as the camera was held, and 8 bits a channel.

    16 bits become 8 by 1/257, floats in [0, 1] by 255, rounded; Pillow itself would cut them off.

    Raises:
      ValueError: other numbers, of which nothing says which is white.
    """
    from PIL import Image

    image.load()
    flips = ("FLIP_LEFT_RIGHT", "ROTATE_180", "FLIP_TOP_BOTTOM", "TRANSPOSE", "ROTATE_270",
             "TRANSVERSE", "ROTATE_90")  # fmt: skip
    try:  # the orientation alone: other fields of a camera may be of any type
        flip = dict(enumerate(flips, 2)).get(image.getexif().get(0x0112))
    except Exception:  # a broken note beside a sound picture
        flip = None
    if image.mode == "F" or image.mode.startswith("I"):
        # TIFF's BitsPerSample and PhotometricInterpretation, which is 0 where 0 is white.
        tags = getattr(image, "tag_v2", {})
        values, white = np.asarray(image, np.float64), 1.0
        low, high = values.min(), values.max()
        if image.mode.startswith("I;16"):
            white = 2.0 ** tags.get(258, (16,))[0] - 1
        elif image.mode == "I" and image.format in ("PNG", "PPM"):  # these have 16 bits at most
            white = 65535.0
        elif image.mode == "I":
            raise ValueError(
                f"its whole numbers go from {low:g} to {high:g}, of which nothing says what is "
                "white: save it with 8 or 16 unsigned bits, or as floats in [0, 1]"
            )
        elif not (low >= 0 and high <= 1):
            raise ValueError(f"its floats go from {low:g} to {high:g}: save it with them in [0, 1]")
        if tags.get(262) == 0:
            values = white - values
        image = Image.fromarray(np.rint(values * (255 / white)).astype(np.uint8))
    return image.transpose(Image.Transpose[flip]) if flip else image


def as_image(picture: np.ndarray) -> "Image.Image":
    """(h, w, 1 or 3) uint8, grey or colour, as Pillow has it."""
    from PIL import Image

    return Image.fromarray(picture[..., 0] if picture.shape[-1] == 1 else picture)


def resized(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """(h, w, 1 or 3) uint8 stretched to (height, width, 1 or 3) by Pillow's bicubic filter."""
    from PIL import Image

    made = as_image(picture).resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(made).reshape(height, width, picture.shape[-1])


def root_of(path: str) -> epath.Path:
    """The folder that data.path names; UserError if there is none."""
    root = epath.Path(path)
    if not path or not root.is_dir():
        raise UserError(f"data.path={path!r} is no folder: name one with pictures")
    return root


def below(folder: epath.Path) -> list[epath.Path]:
    """The pictures in a folder and deeper; UserError if there are none."""
    found = [file for file in files.below(folder) if files.of_kind(file, SUFFIXES)]
    if not found:
        raise UserError(f"{folder} holds no pictures ({', '.join(SUFFIXES)})")
    return found
