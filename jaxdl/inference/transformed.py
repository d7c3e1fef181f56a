"""Pictures that are made of pictures, of any size: `--mode=predict` of tasks that transform."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from etils import epath

from jaxdl.data.pictures import MODES, as_image, opened, plain
from jaxdl.errors import UserError
from jaxdl.experiment import Experiment
from jaxdl.inference.predict import Prediction
from jaxdl.tasks import Description
from jaxdl.train import evaluate

if TYPE_CHECKING:  # it is imported by those who read files
    from PIL import Image

# Pillow's modes without colour, the second ones with transparency.
_GREY = ("1", "L", "LA", "La")

# Modes whose colour profile is that of what is written.
_AS_WRITTEN = ("L", "LA", "RGB", "RGBA")


class Read(NamedTuple):
    """A picture as a network takes it, and what else is in its file.

    Attributes:
      picture: (h, w, 1 or 3) uint8.
      is_grey: whether the file has no colours.
      opacity: (h, w) uint8, or None of what can be seen through nowhere.
      profile: of its colours, as the file has it, or None.
    """

    picture: np.ndarray
    is_grey: bool
    opacity: np.ndarray | None
    profile: bytes | None


def read(file: epath.Path, channels: int) -> Read:
    """The picture in a file, upright, 8 bits a channel.

    Raises:
      UserError: it cannot be read, or nothing says which of its numbers is white.
    """
    with opened(file) as found:
        mode, profile = found.mode, found.info.get("icc_profile")
        try:
            image = plain(found)
        except ValueError as error:
            raise UserError(f"{file}: {error}") from None
        opacity = None
        if image.has_transparency_data:
            opacity = np.asarray(image.convert("RGBA").getchannel("A"))
        picture = np.asarray(image.convert(MODES[channels]))
        return Read(
            picture.reshape(*picture.shape[:2], channels),
            image.mode in _GREY,
            opacity,
            profile if mode in _AS_WRITTEN else None,
        )


def written(made: np.ndarray, of: Read) -> "Image.Image":
    """What was made (h', w', 1 or 3) as an image: grey of grey, and as transparent as it was.

    Opacity is scaled by Pillow's bicubic filter.
    """
    from PIL import Image

    image = as_image(made)
    image = image.convert("L") if of.is_grey else image
    if of.opacity is not None:
        opacity = Image.fromarray(of.opacity).resize(image.size, Image.Resampling.BICUBIC)
        image.putalpha(opacity)
    if of.profile:
        image.info["icc_profile"] = of.profile
    return image


def run(made: Experiment, workdir: epath.Path, files: Sequence[epath.Path]) -> Iterator[Prediction]:
    """What the best checkpoint of a run (the newest, if none is) makes of each picture.

    Raises:
      UserError: a population, or no checkpoint.
    """
    state = evaluate.state_to_use(made, workdir)
    channels = made.run.data.train.take(np.arange(1))["image"].shape[-1]
    for file in files:
        try:
            found = read(file, channels)
        except UserError as error:
            yield Prediction(str(file), None, str(error))
            continue
        yield _transformed(made, state, str(file), found)


def _transformed(made: Experiment, state: Any, name: str, found: Read) -> Prediction:
    result = made.task.transform(state, found.picture)
    sizes = [list(picture.shape[1::-1]) for picture in (found.picture, result)]
    text = " → ".join(f"{width} x {height}" for width, height in sizes)
    record = {"size": sizes[0], "made_size": sizes[1]}
    return Prediction(name, Description(text, record), made=written(result, found))
