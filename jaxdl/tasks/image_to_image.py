"""Pictures to larger pictures: super-resolution."""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl import keys, losses, models
from jaxdl.data import without_padding
from jaxdl.data.preprocess import unit_range
from jaxdl.errors import UserError
from jaxdl.metrics import Mean, Metrics, image_quality
from jaxdl.ops import bicubic, colours
from jaxdl.per_member import any_on
from jaxdl.pretrained import whole
from jaxdl.pretrained.transfer import fresh
from jaxdl.registry import choose
from jaxdl.tasks import (
    Run,
    Task,
    build_model,
    check_at_least,
    check_counts,
    learner,
    need_batches,
    register,
)
from jaxdl.tasks.shared import judged_pictures, tiling

LOSSES = {"mae": losses.mae, "mse": losses.mse}


@register(
    "image_to_image",
    groups=("model", "pretrained"),
    derives=("scale", "channels"),
    asks=("tile",),
)
def image_to_image(
    run: Run,
    loss: str = "mae",
    luminance: bool = False,
    turns: bool = True,
    tones: float = 0.0,
    tile: int = 192,
) -> Task:
    """``target`` (batch, h r, w r, c) from ``image`` (batch, h, w, c), r times as large.

    Args:
      run: the run's config and data. The model maps pictures in [0, 1] (batch, h, w, c) to larger
        ones, and has ``reach``, the pixels to each side that one depends on, such as "edsr".
      loss: "mae", or "mse" (`jaxdl.losses`), of pixels in [0, 1].
      luminance: whether the network sees and makes luminance alone (`jaxdl.ops.colours`); colours
        are then enlarged bicubically, as Shi et al. (2016) do.
      turns: whether each example is mirrored and turned at random, in all eight ways.
      tones: each example's values are scaled about grey by a random factor of up to exp(±tones),
        and shifted by up to half of tones, where white is 1; 0 is off. What sharpens is to depend
        on differences alone, of which a few pictures have fewer than of brightnesses.
      tile: pixels a side that are made larger at once of whole pictures, beside what these depend
        on; what comes out is the same for any, within rounding.

    With config.pretrained.source, an EDSR of its authors' or a run of the same network, all begins
    with what was learned there, but for what is of another scale (`jaxdl.pretrained.whole`).

    The metrics are ``loss`` and, at evaluation, ``tile_psnr`` and ``tile_ssim`` of the examples.
    `score` gives ``psnr``, ``ssim``, ``bicubic_psnr``, ``bicubic_ssim`` and ``gain``, means over
    whole pictures (`jaxdl.tasks.shared.judged_pictures`). All are of luminance and of whole bytes,
    without r pixels at each edge.
    """
    need_batches(run, "target")
    check_counts(tile=tile)
    check_at_least(0, tones=tones)
    scale, channels = _sizes(run, turns)
    seen = 1 if luminance else channels
    because = "as the data have it" + " and config.task.luminance says" * luminance
    module = build_model(run, {"scale": scale, "channels": seen}, because=because)
    if not hasattr(module, "reach"):
        raise UserError(
            "task 'image_to_image' needs a model that makes pictures larger, such as 'edsr', not "
            f"{run.config.model.name!r}"
        )
    net = Enlarger(module, scale, luminance and channels == 3)
    loss_fn = functools.partial(
        training_loss, learner.forward(module), net, choose("loss", loss, LOSSES), turns, tones
    )
    start, update = learner.by_config(run, loss_fn)
    begin = whole.create(run.config, module) if run.config.pretrained.source else fresh(module)
    # Examples and tiles by one function each, so that they are compiled once.
    of_tiles = jax.jit(lambda state, batch, key: predict(net, state, batch["image"])["image"])
    enlarge = functools.partial(_whole, of_tiles, net, tile)
    side = run.data.train.take(np.arange(1))["image"].shape[1]
    return Task(
        init=functools.partial(_init, net, lambda drawn: start(begin.variables(drawn))),
        train_step=update,
        eval_step=functools.partial(evaluate, net, LOSSES[loss]),
        score=functools.partial(judged_pictures.score, enlarge),
        artifacts=functools.partial(judged_pictures.artifacts, enlarge, side),
        parameters=functools.partial(_parameters, net),
        predict=functools.partial(predict, net),
        transform=enlarge,
        directions=judged_pictures.DIRECTIONS,
        check=begin.check,
    )


class Enlarger(NamedTuple):
    """A network that makes pictures larger, and what of them it sees.

    Attributes:
      module: (batch, h, w, c) in [0, 1] -> (batch, h * scale, w * scale, c).
      scale: by how many times.
      luminance: whether that of a picture in colour is all that it sees.
    """

    module: Any
    scale: int
    luminance: bool

    def seen(self, images: jax.Array) -> jax.Array:
        """Of pictures (batch, h, w, c), uint8 or in [0, 1], what the network takes, or should make.

        Their luminance (batch, h, w, 1), or all of them, float32.
        """
        images = unit_range(images)
        return colours.luminance(images) if self.luminance else images

    def whole(self, made: jax.Array, images: jax.Array) -> jax.Array:
        """What the network made of ``images`` (batch, h, w, c) as pictures, in [0, 1].

        Its luminance gets the colours of ``images``, enlarged bicubically.
        """
        if self.luminance:
            chroma = bicubic.enlarge(colours.to_ycbcr(unit_range(images))[..., 1:], self.scale)
            made = colours.from_ycbcr(jnp.concatenate([made, chroma], axis=-1))
        return jnp.clip(made, 0, 1)


def training_loss(
    forward: Callable[..., tuple[jax.Array, dict[str, Any]]],
    net: Enlarger,
    loss_of: Callable[[jax.Array, jax.Array], jax.Array],
    turns: bool,
    tones: float,
    params: Any,
    model_state: Any,
    batch: Mapping,
    key: jax.Array,
) -> learner.Loss:
    """How far what is made of small pictures is from the large ones.

    Args:
      forward: of `jaxdl.tasks.learner.forward`.
      net: the network, and what it sees.
      loss_of: of `jaxdl.losses`, (made, wanted) -> (batch,).
      turns: whether pictures are mirrored and turned.
      tones: as of `image_to_image`.
      params: the network's; so is model_state.
      model_state: its other collections.
      batch: ``image`` and ``target``.
      key: of the turns.
    """
    pair = net.seen(batch["image"]), net.seen(batch["target"])
    pair = turned(keys.named(key, "turns"), *pair) if turns else pair
    small, large = toned(keys.named(key, "tones"), tones, *pair) if any_on(tones) else pair
    made, model_state = forward(params, model_state, key, small)
    return learner.Loss(Mean.of(loss_of(made, large)), model_state, {})


def turned(key: jax.Array, *pictures: jax.Array) -> list[jax.Array]:
    """Squares (batch, side, side, c) of one size or several, mirrored and turned together.

    Every example in one of the eight ways, each as likely.
    """
    size = len(pictures[0])
    draws = jax.random.bernoulli(key, jnp.float32(0.5), (3, size, 1, 1, 1))
    across, down, swapped = draws
    made = []
    for x in pictures:
        x = jnp.where(across, x[:, :, ::-1], x)
        x = jnp.where(down, x[:, ::-1], x)
        made.append(jnp.where(swapped, x.swapaxes(1, 2), x))
    return made


def toned(key: jax.Array, tones: float, *pictures: jax.Array) -> list[jax.Array]:
    """Pictures (batch, h, w, c) of other contrast and brightness, the same of all of an example."""
    draws = jax.random.uniform(
        key, (2, len(pictures[0]), 1, 1, 1), jnp.float32, minval=-1.0, maxval=1.0
    )
    factor, shift = jnp.exp(tones * draws[0]), 0.5 + 0.5 * tones * draws[1]
    return [factor * (x - 0.5) + shift for x in pictures]


def evaluate(
    net: Enlarger,
    loss_of: Callable[[jax.Array, jax.Array], jax.Array],
    state: learner.Learner,
    batch: Mapping,
    key: jax.Array,
) -> Metrics:
    """``loss``, ``tile_psnr`` and ``tile_ssim`` of a batch that may be padded; no draws."""
    weights = without_padding(batch)
    made = net.module.apply(state.best_variables, net.seen(batch["image"]), train=False)
    wanted = net.seen(batch["target"])
    found = judged_pictures.of_each(net.whole(made, batch["image"]), batch["target"], net.scale)
    figures = {f"tile_{name}": Mean.of(value, weights) for name, value in found.items()}
    return {"loss": Mean.of(loss_of(made, wanted), weights), **figures}


def predict(net: Enlarger, state: learner.Learner, images: jax.Array) -> dict[str, jax.Array]:
    """`Task.predict`: ``image`` (batch, h * scale, w * scale, c) uint8, of any size."""
    made = net.module.apply(state.best_variables, net.seen(images), train=False)
    return {"image": jnp.round(255 * net.whole(made, images)).astype(jnp.uint8)}


def _whole(
    of_tiles: Callable[..., jax.Array],
    net: Enlarger,
    tile: int,
    state: learner.Learner,
    picture: np.ndarray,
) -> np.ndarray:
    """`Task.transform`."""
    # Colours are enlarged by two pixels around.
    margin = max(net.module.reach, 2)
    return tiling.by_tiles(of_tiles, state, picture, net.scale, tile, margin)


def _init(
    net: Enlarger, start: Callable[[Mapping], learner.Learner], key: jax.Array, batch: Mapping
) -> learner.Learner:
    return start(dict(net.module.init(key, net.seen(batch["image"][:1]))))


def _parameters(net: Enlarger, state: learner.Learner) -> dict[str, jax.Array]:
    image = jax.ShapeDtypeStruct((1, 8, 8, net.module.channels), jnp.float32)
    return learner.parameters(state.params, models.call_order(net.module, image))


def _sizes(run: Run, turns: bool) -> tuple[int, int]:
    """The scale and channels of the data; UserError for examples that are none for this."""
    example = run.data.train.take(np.arange(1))
    (height, width, channels), large = example["image"].shape[1:], example["target"].shape[1:]
    scale = large[0] // height
    if large != (height * scale, width * scale, channels) or scale < 1:
        raise UserError(f"targets of {large} are no whole number of times as large as images of "
                        f"{(height, width, channels)}")  # fmt: skip
    if turns and height != width:
        raise UserError(
            f"images of {width} x {height} pixels are not square, and cannot be turned: set "
            "config.task.turns=false"
        )
    least = -(-image_quality.WINDOW // scale) + 2
    if min(height, width) < least:
        raise UserError(
            f"images of {width} x {height} pixels leave no window of SSIM when they are {scale} "
            f"times as large and their edges are left out: {least} pixels a side are needed "
            "(data.patch)"
        )
    return scale, channels
