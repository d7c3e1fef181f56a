"""Pictures with the boxes that were found in them: what `--mode=predict` draws of detectors."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from etils import epath

from jaxdl.inference.names import Names
from jaxdl.report.masks import palette

# Pictures that are drawn, at most: of more the boxes' numbers are what is wanted.
MOST = 1000

# Of a picture's shorter side: the width of lines, and the height of words.
_LINE, _WORD = 1 / 200, 1 / 32


class Drawings:
    """Files of pictures in a folder, each with a name of its own.

    Args:
      folder: made with the first picture.
    """

    def __init__(self, folder: epath.Path):
        self._folder, self._names, self._count = folder, Names(), 0
        self._classes: dict[str, int] = {}  # by which a class has one colour in all pictures

    def write(self, name: str, image: np.ndarray, objects: Sequence[Mapping[str, Any]]) -> str:
        """Draws boxes and what is in them into a picture; a .jpg of a JPEG, else a .png.

        Args:
          name: of the picture: a file, or one of several in it, "scenes.npy[3]".
          image: (h, w, 1 or 3) uint8; left as it is.
          objects: with ``class``, ``score`` and ``box`` (x0, y0, x1, y1 in pixels).

        Returns:
          The file, from the folder that the pictures' own is in; "" once `MOST` are drawn.
        """
        from PIL import Image, ImageDraw, ImageFont

        if self._count == MOST:
            return ""
        self._count += 1
        colour = np.broadcast_to(image, (*image.shape[:2], 3))
        drawn = Image.fromarray(np.ascontiguousarray(colour))
        side = min(drawn.size)
        width, pen = max(1, round(_LINE * side)), ImageDraw.Draw(drawn)
        font = ImageFont.load_default(max(8, round(_WORD * side)))
        for one in reversed(objects):  # the surest over the others
            x0, y0, x1, y1 = one["box"]
            number = self._classes.setdefault(one["class"], 1 + len(self._classes))
            colour = tuple(np.rint(255 * palette(number + 1)[number]).astype(int).tolist())
            words = f"{one['class']} {one['score']:.0%}"
            # A box's edges lie between pixels, and the line on its last ones.
            pen.rectangle((x0, y0, max(x0, x1 - 1), max(y0, y1 - 1)), outline=colour, width=width)
            place = pen.textbbox((x0 + width, y0), words, font=font)
            pen.rectangle(place, fill=colour)
            pen.text((x0 + width, y0), words, font=font, fill=(0, 0, 0))
        is_jpeg = epath.Path(name).suffix.lower() in (".jpg", ".jpeg")
        own = f"{self._names.of(name)}{'.jpg' if is_jpeg else '.png'}"
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / own).open("wb") as file:
            drawn.save(file, format="jpeg" if is_jpeg else "png", quality=90)
        return f"{self._folder.name}/{own}"
