"""What tasks share that make pictures of pictures by a generator: networks, figures, and use."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl import keys, models, precision
from jaxdl.data import pictures
from jaxdl.errors import UserError
from jaxdl.metrics import HIGH, LOW, image_quality
from jaxdl.report import draw
from jaxdl.tasks.shared import generation
from jaxdl.tasks.shared.contract import Run
from jaxdl.tasks.shared.model import build_model

DIRECTIONS = {"psnr": HIGH, "ssim": HIGH, "generator_loss": LOW, "discriminator_loss": LOW}

# Pictures in a report's grid, and decibels of what differs in nothing.
SHOWN, MOST = 8, 100.0


class Networks(NamedTuple):
    """A generator's module and a discriminator's.

    Attributes:
      generator: pictures (batch, h, w, c) in [-1, 1] to the same, whose sides are multiples of its
        ``multiple``.
      discriminator: pictures to logits (batch, h', w').
      shape: (h, w, c) of the pictures that are learned from.
    """

    generator: Any
    discriminator: Any
    shape: tuple[int, int, int]


def networks(run: Run, width: int, depth: int, seen: int) -> Networks:
    """The generator that a config asks for, and a PatchGAN with the same norm.

    Args:
      run: the run's config and data.
      width: of the discriminator.
      depth: of it.
      seen: pictures that it sees at once.

    Raises:
      UserError: they do not fit the pictures, or the model makes none.
    """
    example = run.data.train.take(np.arange(1))
    shape, target = (example[name].shape[1:] for name in ("image", "target"))
    if shape != target:
        raise UserError(
            f"pictures of {_sizes(shape)} cannot be translated to {_sizes(target)}: both must be "
            "of one size and as many channels"
        )
    generator = build_model(run, {"channels": shape[-1]})
    if not hasattr(generator, "multiple"):
        raise UserError(
            f"task {run.config.task.name!r} needs a model that makes pictures of pictures, such as "
            f"'pix2pix' or 'cyclegan', not {run.config.model.name!r}"
        )
    discriminator = models.create(
        "patchgan",
        channels=seen * shape[-1],
        width=width,
        depth=depth,
        normalization=generator.normalization,
        dtype=precision.compute_dtype(run.config.precision),
    )
    made = Networks(generator, discriminator, shape)
    # What the two say of sizes is said before anything is compiled.
    jax.eval_shape(functools.partial(first_variables, made, seen), keys.abstract())
    return made


def first_variables(nets: Networks, seen: int, key: jax.Array) -> tuple[Any, Any]:
    """What both networks' ``init`` give; the discriminator sees ``seen`` pictures at once."""
    picture = jnp.zeros((1, *nets.shape), jnp.float32)
    keys = jax.random.split(key)
    return (
        dict(nets.generator.init(keys[0], picture)),
        dict(nets.discriminator.init(keys[1], jnp.concatenate([picture] * seen, axis=-1))),
    )


def order(nets: Networks, seen: int) -> dict[str, int]:
    """The layers of both in the order of the forward pass."""
    shape = (1, *nets.shape[:2], nets.shape[2])
    picture = jax.ShapeDtypeStruct(shape, jnp.float32)
    pair = jax.ShapeDtypeStruct((*shape[:3], seen * shape[3]), jnp.float32)
    first = models.call_order(nets.generator, picture)
    second = models.call_order(nets.discriminator, pair)
    return first | {name: len(first) + place for name, place in second.items()}


def mirrored(key: jax.Array, *pictures: jax.Array) -> list[jax.Array]:
    """Pictures (batch, h, w, c), each other's left and right changed by a coin, the same in all."""
    flip = jax.random.bernoulli(key, jnp.float32(0.5), (len(pictures[0]), 1, 1, 1))
    return [jnp.where(flip, x[:, :, ::-1], x) for x in pictures]


def likeness(made: jax.Array, true: jax.Array) -> dict[str, jax.Array]:
    """``psnr``, at most 100 dB, and ``ssim`` of pictures large enough for its window, (batch,).

    Args:
      made: (batch, h, w, c) in [-1, 1].
      true: the same.
    """
    made, true = (jnp.clip(generation.unit_range(x), 0, 1) for x in (made, true))
    found = {"psnr": jnp.minimum(image_quality.psnr(made, true), MOST)}
    if min(true.shape[1:3]) >= image_quality.WINDOW:
        found["ssim"] = image_quality.ssim(made, true)
    return found


def as_bytes(made: jax.Array) -> jax.Array:
    """Pictures in [-1, 1] as uint8."""
    return jnp.round(255 * jnp.clip(generation.unit_range(made), 0, 1)).astype(jnp.uint8)


def transform(
    made_of: Callable[[Any, jax.Array], jax.Array],
    shape: Sequence[int],
    multiple: int,
    resize: bool,
    state: Any,
    picture: np.ndarray,
) -> np.ndarray:
    """`Task.transform`: what is made of a picture (h, w, c) uint8 of any size.

    Args:
      made_of: (state, pictures (1, h, w, c) uint8) -> the same, jitted.
      shape: (h, w, c) of those that were learned from.
      multiple: of which sides must be.
      resize: whether the picture is brought to that size first, by Pillow's bicubic filter; or else
        it is mirrored at the lower and right edge up to a multiple, which is cut off again.
      state: for ``made_of``.
      picture: (h, w, c) uint8.
    """
    height, width = picture.shape[:2]
    if resize:
        return np.asarray(made_of(state, pictures.resized(picture, *shape[:2])[None])[0])
    more = [(0, -side % multiple) for side in (height, width)]
    padded = np.pad(picture, (*more, (0, 0)), mode="symmetric")
    return np.asarray(made_of(state, padded[None])[0])[:height, :width]


def grid(columns: Mapping[str, np.ndarray], lines: Mapping[str, Sequence[str]], caption: str):
    """A picture of rows of pictures.

    Args:
      columns: {name: (n, h, w, c) in [0, 1]}, from left to right.
      lines: {name of a column: what stands above each of its pictures in place of the name}.
      caption: of the whole.
    """
    images = np.stack(list(columns.values()), axis=1)
    images = images.reshape(-1, *images.shape[2:])
    count = len(next(iter(columns.values())))
    told = [lines[name][i] if name in lines else name for i in range(count) for name in columns]
    return draw.image_grid(images, told, caption, columns=len(columns), inch=1.5)


def _sizes(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape))
