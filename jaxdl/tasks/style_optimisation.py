"""A picture in the style of another, found by changing its pixels: the picture is the parameter."""

import contextlib
import functools
import io
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl.data.preprocess import unit_range
from jaxdl.errors import UserError
from jaxdl.losses import perceptual
from jaxdl.metrics import Mean, Metrics
from jaxdl.registry import choose
from jaxdl.report import draw
from jaxdl.tasks import Run, Task, check_counts, learner, need_whole, register
from jaxdl.tasks.shared import side_by_side, styling

STARTS = dict.fromkeys(("noise", "content"))

# About grey, as the pixels of photographs lie.
_DEVIATION = 0.2


class State(NamedTuple):
    """Pictures that know nothing of each other, along the first axis of the first three.

    Attributes:
      learner: their parameter, ``picture`` (pictures, h, w, 3), about [0, 1].
      run: (pictures,) int32, which of them each is.
      first: the losses of each at its start, (pictures,).
      content: (1, h, w, 3) uint8, what all are to show.
      wanted: {layer: (1, h', w', c')}, its maps.
      known: the network that sees, and how the style looks to it.
    """

    learner: learner.Learner
    run: jax.Array
    first: perceptual.Parts
    content: jax.Array
    wanted: dict[str, jax.Array]
    known: styling.Known


@register("style_optimisation", groups=())
def style_optimisation(
    run: Run,
    content: str = "china",
    style: str = "flower",
    height: int = 160,
    width: int = 240,
    start: str = "noise",
    content_weight: float = 1.0,
    style_weight: float = 1.0,
    variation_weight: float = 0.0,
    content_layers: tuple[str, ...] = (),
    style_layers: tuple[str, ...] = (),
    features: str = "",
    features_model: str = "",
) -> Task:
    """What one picture shows in the style of another: Gatys, Ecker and Bethge, 2016.

    No data and no model: the pixels are all that is learned. ``batch_size`` is the number of
    pictures that are made, each from noise of its own.

    Args:
      run: the run's config.
      content: what is to be shown: "china" or "flower", photographs of scikit-learn's, or a file.
      style: how it is to look, likewise.
      height: pixels of what is made; both pictures are scaled to cover it and cut to their middle.
      width: so too.
      start: "noise", or "content", which changes less.
      content_weight: as of `style_transfer`; so are all that follow.
      style_weight: see there.
      variation_weight: see there.
      content_layers: see there.
      style_layers: see there.
      features: see there.
      features_model: see there.

    The metrics of training are ``loss`` and its parts ``content``, ``style`` and ``variation``.
    Evaluation has the same of the pictures as they are written, in bytes, and ``content_left`` and
    ``style_left``, over what they were at the start; the first is left out where that was 0.
    """
    need_whole(run, type(None))
    check_counts(height=height, width=width)
    choose("start", start, STARTS)
    side_by_side.check_no_parts(run, "there are no batches to cut")
    stylist = styling.create(
        run,
        style=style,
        style_shape=(height, width),
        content_weight=content_weight,
        style_weight=style_weight,
        variation_weight=variation_weight,
        content_layers=content_layers,
        style_layers=style_layers,
        features=features,
        features_model=features_model,
    )
    shown = functools.partial(styling.picture, "content", content, (height, width))
    updates = functools.partial(learner.by_config, run)
    loss_of = functools.partial(training_loss, stylist)
    measured = jax.jit(functools.partial(_measured, stylist))
    return Task(
        init=functools.partial(
            _init, stylist, updates(loss_of)[0], shown, start == "content", run.config.batch_size
        ),
        train_step=functools.partial(train_step, updates, loss_of),
        score=functools.partial(_score, stylist, start == "content", measured),
        artifacts=functools.partial(_artifacts, stylist.picture),
        parameters=lambda state: state.learner.params,
        partition=lambda state: side_by_side.alike(state, "content", "wanted", "known"),
        sample=_sample,
        directions=styling.DIRECTIONS,
        check=functools.partial(_check, stylist, shown),
    )


def training_loss(
    stylist: styling.Stylist,
    known: styling.Known,
    content: Mapping[str, jax.Array],
    params: Any,
    model_state: Any,
    batch: Mapping,
    key: jax.Array,
) -> learner.Loss:
    """How far a picture is from what it is to show and from how it is to look.

    Args:
      stylist: by what it is compared.
      known: of the state.
      content: {layer: map (1, h', w', c)} of what it is to show.
      params: ``picture`` (h, w, 3).
      model_state: nothing.
      batch: nothing; key draws nothing.
      key: see there.
    """
    parts = stylist.losses(known, params["picture"][None], content)
    found = {name: Mean.of(part) for name, part in parts._asdict().items()}
    return learner.Loss(Mean.of(parts.total(stylist.weights)), model_state, found)


def train_step(
    updates: Callable[[learner.LossFn], tuple[Any, Callable[..., tuple[learner.Learner, Metrics]]]],
    loss_of: Callable[..., learner.Loss],
    state: State,
    batch: Mapping,
    key: jax.Array,
) -> tuple[State, Metrics]:
    """An update of every picture; ``batch`` is empty.

    Args:
      updates: a loss function -> the learner's start and its update.
      loss_of: `training_loss`, but for what the state knows.
      state: of all.
      batch: nothing.
      key: of the step.
    """
    _, update = updates(functools.partial(loss_of, state.known, state.wanted))
    one = lambda own, known, key: update(own, {}, key)
    learners, found = side_by_side.update_each(one, state.learner, (), state.run, key)
    return state._replace(learner=learners), found


def _init(
    stylist: styling.Stylist,
    begin: Callable[[Mapping], learner.Learner],
    shown: Callable[[], np.ndarray],
    as_content: bool,
    count: int,
    key: jax.Array,
    batch: Mapping,
) -> State:
    known, runs = stylist.known(), jnp.arange(count, dtype=jnp.int32)
    content = styling.read_on_device(shown, stylist.shape)[None]
    noise = lambda key: 0.5 + _DEVIATION * jax.random.normal(key, stylist.shape, jnp.float32)
    pixels = jax.vmap(noise)(side_by_side.each_key(key, runs))
    if as_content:
        pixels = jnp.broadcast_to(unit_range(content), pixels.shape)
    learners = jax.vmap(lambda picture: begin({"params": {"picture": picture}}))(pixels)
    wanted = stylist.content_of(known, content)
    first = stylist.losses(known, pixels, wanted)
    return State(learners, runs, first, content, wanted, known)


def _check(stylist: styling.Stylist, shown: Callable[[], np.ndarray]) -> None:
    stylist.check()
    shown()


def _made(state: State) -> jax.Array:
    """(pictures, h, w, 3) uint8."""
    return styling.as_bytes(state.learner.best_variables["params"]["picture"])


def _measured(stylist: styling.Stylist, state: State) -> perceptual.Parts:
    """Of the pictures as they are written."""
    return stylist.losses(state.known, unit_range(_made(state)), state.wanted)


def _score(
    stylist: styling.Stylist,
    as_content: bool,
    measured: Callable[[State], perceptual.Parts],
    state: State,
    split: Any,
    key: jax.Array,
) -> dict[str, float]:
    parts = measured(state)
    first, last = (
        {name: float(np.mean(x)) for name, x in jax.device_get(found)._asdict().items()}
        for found in (state.first, parts)
    )
    left = {f"{name}_left": last[name] / first[name] for name in ("content", "style")
            if not (as_content and name == "content")}  # fmt: skip
    loss = float(np.mean(jax.device_get(parts.total(stylist.weights))))
    return {"loss": loss, **last, **left}


def _sample(state: State, key: jax.Array) -> dict[str, draw.Picture]:
    """Every picture, pixel by pixel."""
    made = np.asarray(_made(state))
    return {f"picture_{i}" if len(made) > 1 else "picture": _png(x) for i, x in enumerate(made)}


def _png(picture: np.ndarray) -> draw.Picture:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(picture).save(file, "png")
    return draw.Picture(file.getvalue(), "png")


def _artifacts(
    style: Callable[[], np.ndarray], state: State, split: Any, key: jax.Array
) -> dict[str, draw.Picture]:
    shown = {"content": np.asarray(state.content[0])}
    with contextlib.suppress(UserError):  # the run goes on without its file
        shown["style"] = style()
    made = np.asarray(_made(state))[:4]
    names = [*shown, *("made" for _ in made)]
    return {"Styled": draw.image_grid(np.stack([*shown.values(), *made]), names, columns=3, inch=3)}
