"""What tasks share that give a picture the style of another: what they see by, and their losses."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from etils import epath

from jaxdl import paths, precision
from jaxdl.data import photographs, pictures
from jaxdl.data.preprocess import unit_range
from jaxdl.errors import UserError
from jaxdl.losses import perceptual
from jaxdl.metrics import LOW
from jaxdl.pretrained import perception
from jaxdl.tasks.shared.checks import check_at_least
from jaxdl.tasks.shared.contract import Run

DIRECTIONS = dict.fromkeys(("content", "style", "variation", "content_left", "style_left"), LOW)

# Gatys et al., section 3.1, of VGG-19; and of what has fewer stages, the same places there.
STYLE_LAYERS = tuple(f"relu{stage}_1" for stage in range(1, 6))
CONTENT_LAYERS = ("relu4_2",)
OWN_STYLE_LAYERS, OWN_CONTENT_LAYERS = STYLE_LAYERS[:4], ("relu3_1",)

# The least pixels a side of a style picture.
_LEAST = 32


class Stylist(NamedTuple):
    """By what pictures are compared with what they are to show and how they are to look.

    Attributes:
      seen: the network and its layers.
      content: layers whose maps are compared.
      style: layers whose Gram matrices are.
      weights: of the losses.
      picture: () -> the style's (h, w, 3) uint8.
      shape: of it.
    """

    seen: perception.Perception
    content: tuple[str, ...]
    style: tuple[str, ...]
    weights: perceptual.Weights
    picture: Callable[[], np.ndarray]
    shape: tuple[int, int, int]

    def known(self) -> "Known":
        """What a state keeps; free to jit."""
        variables = self.seen.variables()
        picture = read_on_device(self.picture, self.shape)[None]
        maps = self.seen.look(variables, unit_range(picture))
        return Known(variables, perceptual.grams({name: maps[name] for name in self.style}))

    def content_of(self, known: "Known", images: jax.Array) -> dict[str, jax.Array]:
        """Maps of what pictures (batch, h, w, 3), uint8 or in [0, 1], show."""
        maps = self.seen.look(known.variables, unit_range(images))
        return {name: maps[name] for name in self.content}

    def losses(
        self, known: "Known", made: jax.Array, content: Mapping[str, jax.Array]
    ) -> perceptual.Parts:
        """Of pictures (batch, h, w, 3), about [0, 1], that are to show ``content``."""
        look = functools.partial(self.seen.look, known.variables)
        return perceptual.parts(look, made, content, known.grams)

    def check(self) -> None:
        """Raises UserError where the weights or the style's picture cannot be read."""
        self.seen.check()
        self.picture()


class Known(NamedTuple):
    """What does not change: in the state, so that a run that has begun needs no files.

    Attributes:
      variables: of the network that sees.
      grams: {layer: (1, c, c)} of the style.
    """

    variables: Any
    grams: Mapping[str, jax.Array]


def create(
    run: Run,
    *,
    style: str,
    style_shape: tuple[int, int],
    content_weight: Any,
    style_weight: Any,
    variation_weight: Any,
    content_layers: Sequence[str],
    style_layers: Sequence[str],
    features: str,
    features_model: str,
) -> Stylist:
    """The stylist that a task's settings ask for.

    Args:
      run: the run's config and data.
      style: "china" or "flower", or a picture's file.
      style_shape: height and width that it is brought to.
      content_weight: as of `jaxdl.losses.perceptual.Weights`; so are the next two.
      style_weight: see there.
      variation_weight: see there.
      content_layers: () for those of `OWN_CONTENT_LAYERS`, or of `CONTENT_LAYERS` where there are
        published weights; so are style_layers.
      style_layers: see there.
      features: `jaxdl.pretrained.perception.create`'s source, and features_model its model.
      features_model: see there.

    Raises:
      UserError: settings that cannot be, or layers that are not there.
    """
    check_at_least(
        0,
        content_weight=content_weight,
        style_weight=style_weight,
        variation_weight=variation_weight,
    )
    if min(style_shape) < _LEAST:
        raise UserError(
            f"a style's picture of {style_shape[1]} x {style_shape[0]} pixels is too small: "
            f"{_LEAST} a side are needed"
        )
    own = not features
    content = tuple(content_layers) or (OWN_CONTENT_LAYERS if own else CONTENT_LAYERS)
    looks = tuple(style_layers) or (OWN_STYLE_LAYERS if own else STYLE_LAYERS)
    dtype = precision.compute_dtype(run.config.precision)
    layers = tuple(dict.fromkeys((*content, *looks)))
    seen = perception.create(features, features_model, layers, dtype)
    if (channels := len(seen.source.preprocess.mean)) != 3:
        raise UserError(f"{seen.source.name} sees pictures of {channels} channels, not in colour")
    weights = perceptual.Weights(content_weight, style_weight, variation_weight)
    shape = (*style_shape, 3)
    return Stylist(
        seen,
        content,
        looks,
        weights,
        functools.partial(picture, "style", style, style_shape),
        shape,
    )


def picture(setting: str, name: str, shape: tuple[int, int]) -> np.ndarray:
    """A picture by its name, scaled to cover ``shape`` (h, w) and cut to its middle.

    Args:
      setting: of the task, for messages.
      name: "china" or "flower", which come with scikit-learn, or a file.
      shape: height and width.

    Returns:
      (h, w, 3) uint8.

    Raises:
      UserError: there is no such file, or it is none of a picture.
    """
    from PIL import Image, ImageOps

    if name in photographs.FILES:
        found = Image.fromarray(photographs.read(name, 3))
    else:
        file = epath.Path(paths.expanded(name))
        if not file.is_file():
            names = " nor ".join(map(repr, photographs.FILES))
            raise UserError(f"task.{setting}={name!r} is no file, neither {names}")
        with pictures.opened(file) as image:
            found = pictures.decoded(image, file, 3)
    return np.asarray(ImageOps.fit(found, shape[::-1], Image.Resampling.BICUBIC))


def read_on_device(read: Callable[[], np.ndarray], shape: tuple[int, ...]) -> jax.Array:
    """What ``read`` gives, uint8, when the program runs: it is no constant of it; free to jit."""
    return jax.pure_callback(read, jax.ShapeDtypeStruct(shape, jnp.uint8))


def as_bytes(made: jax.Array) -> jax.Array:
    """Pictures about [0, 1] as uint8."""
    return jnp.round(255 * jnp.clip(made, 0, 1)).astype(jnp.uint8)
