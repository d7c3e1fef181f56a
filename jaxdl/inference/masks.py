"""Masks as pictures: what `--mode=predict` writes of tasks that say something of every pixel."""

import numpy as np
from etils import epath

from jaxdl.inference.names import Names
from jaxdl.report.masks import palette


class Masks:
    """Files of masks in a folder, each with a name of its own.

    Args:
      folder: made with the first mask.
    """

    def __init__(self, folder: epath.Path):
        self._folder, self._names = folder, Names()

    def write(self, name: str, mask: np.ndarray) -> str:
        """Writes a mask (h, w) uint8 as a .png of numbers, which are shown in colours.

        Args:
          name: of the picture that it is of: a file, or one of several in it, "scenes.npy[3]".
          mask: a class for every pixel; 0, the ground, is shown black.

        Returns:
          The file, from the folder that the masks' own is in.
        """
        from PIL import Image

        own = self._names.of(name)
        self._folder.mkdir(parents=True, exist_ok=True)
        image = Image.fromarray(mask)
        image.putpalette(np.rint(255 * palette(256)).astype(np.uint8).tobytes())
        with (self._folder / f"{own}.png").open("wb") as file:
            image.save(file, format="png")
        return f"{self._folder.name}/{own}.png"
