"""Pictures as files: what `--mode=predict` writes of tasks that make them."""

from typing import TYPE_CHECKING

from etils import epath

from jaxdl.inference.names import Names

if TYPE_CHECKING:  # whoever makes an image has imported it
    from PIL import Image


class MadePictures:
    """Files of pictures in a folder, each with a name of its own.

    Args:
      folder: made with the first picture.
    """

    def __init__(self, folder: epath.Path):
        self._folder, self._names = folder, Names()

    def write(self, name: str, image: "Image.Image") -> str:
        """Writes a .png, of the picture in the file ``name``.

        Returns:
          The file, from the folder that the pictures' own is in.
        """
        own = self._names.of(name)
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / f"{own}.png").open("wb") as file:
            image.save(file, format="png", icc_profile=image.info.get("icc_profile"))
        return f"{self._folder.name}/{own}.png"
