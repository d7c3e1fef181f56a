"""What a denoiser makes of pictures: what is missing in one, and what is between two."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxdl import keys
from jaxdl.data import pictures
from jaxdl.errors import UserError
from jaxdl.report import draw
from jaxdl.tasks.shared import by_class, own_pictures
from jaxdl.tasks.shared.denoiser import Denoiser

# Between two pictures: draws of their noise, and how much of the second one is in each.
DRAWS, SHARES = 4, np.linspace(0, 1, 9)


class OfClass(NamedTuple):
    """The class that what is made is of.

    Attributes:
      asked: the setting, names or numbers.
      class_names: of the data.
      knows_none: whether the model has learned from images without their label.
    """

    asked: Sequence[int | str]
    class_names: Sequence[str]
    knows_none: bool

    def label(self, net: Denoiser) -> int:
        """Its number; that of no class where none is asked for.

        Raises:
          UserError: several are asked for, or none is and the model knows no images without.
        """
        if not net.classes:
            return 0
        numbers = by_class.numbers(self.asked, self.class_names)
        if len(numbers) > 1:
            raise UserError(
                f"config.task.asked={','.join(map(str, self.asked))}: what is made of a picture is "
                "of one class, or of none"
            )
        if not numbers and not self.knows_none:
            raise UserError(
                "config.task.asked must name a class: this run's model knows no images without a "
                "label (config.task.drop_label=0)"
            )
        return numbers[0] if numbers else net.classes


def complete(
    completed: Callable[..., jax.Array],
    net: Denoiser,
    of_class: OfClass,
    mask: str,
    seed: int,
    state: Any,
    picture: np.ndarray,
) -> np.ndarray:
    """`Task.transform`: a picture (h, w, c) uint8 of any size, filled in at the network's size.

    The same picture gives the same again.

    Args:
      completed: `denoiser.completed` without its settings, jitted.
      net: the network.
      of_class: that the picture is to be of.
      mask: as of `own_pictures.missing`.
      seed: of the noise.
      state: a `jaxdl.tasks.learner.Learner`.
      picture: what is known of it stays as it is.

    Raises:
      UserError: there is no mask, or it is none.
    """
    if not mask:
        raise UserError(
            "config.task.mask must say what of a picture is to be filled in: left, right, upper, "
            "lower, middle, or a picture's file that is white there"
        )
    missing, label = own_pictures.missing(mask, net.shape), of_class.label(net)
    seen = pictures.resized(picture, *net.shape[:2])
    key, labels = keys.named(keys.root(seed), "complete"), np.array([label], np.int32)
    made = completed(state.best_variables, key, seen[None], missing, labels)[0]
    made = np.rint(255 * np.clip(made, 0, 1)).astype(np.uint8)
    return np.where(missing[..., None], made, seen)


def sample_between(
    between: Callable[..., jax.Array],
    net: Denoiser,
    of_class: OfClass,
    files: Sequence[str],
    state: Any,
    key: jax.Array,
) -> dict[str, draw.Picture]:
    """`Task.sample`: rows of what is between two pictures, by a draw of noise each.

    Args:
      between: `denoiser.between` without its settings, jitted.
      net: the network.
      of_class: that all is of.
      files: of the two.
      state: a `jaxdl.tasks.learner.Learner`.
      key: of the noise.

    Raises:
      UserError: a picture cannot be read.
    """
    pair = np.stack([own_pictures.read(file, net.shape) for file in files])
    labels = np.full(len(SHARES), of_class.label(net), np.int32)
    first, second = (pair / np.float32(255))[:, None]
    images, shares = [], SHARES.astype(np.float32)
    for i in range(DRAWS):
        own = jax.random.fold_in(key, i)
        made = np.clip(between(state.best_variables, own, pair, shares, labels), 0, 1)
        images += [first, made, second]
    told = ["first", *(f"{share:g}" for share in SHARES), "second"]
    caption = "Between two pictures, with the share of the second; each row by noise of its own."
    made = np.concatenate(images)
    return {"between": draw.image_grid(made, told * DRAWS, caption, columns=len(told))}
