"""Pictures in the style of another, by a network that has learned it: fast style transfer."""

import functools
import operator
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl import keys, models
from jaxdl.data import without_padding
from jaxdl.data.preprocess import unit_range
from jaxdl.data.spread import evenly
from jaxdl.errors import UserError
from jaxdl.metrics import Mean, Metrics
from jaxdl.report import draw
from jaxdl.tasks import Run, Task, build_model, check_counts, learner, need_batches, register
from jaxdl.tasks.shared import styling, translating

# Pictures of the evaluation part that a report shows.
_SHOWN = 6


class State(NamedTuple):
    """The network that learns, and what it learns by.

    Attributes:
      learner: the network's.
      known: the network that sees, and how the style looks to it.
    """

    learner: learner.Learner
    known: styling.Known


@register("style_transfer", derives=("channels",))
def style_transfer(
    run: Run,
    style: str = "flower",
    style_size: int = 256,
    content_weight: float = 1.0,
    style_weight: float = 1.0,
    variation_weight: float = 0.0,
    content_layers: tuple[str, ...] = (),
    style_layers: tuple[str, ...] = (),
    features: str = "",
    features_model: str = "",
    mirror: bool = True,
) -> Task:
    """Of ``image`` (batch, h, w, 3) the same in the style of one picture: Johnson et al., 2016.

    Args:
      run: the run's config and data. The model maps pictures in [0, 1] (batch, h, w, 3) to such and
        has ``multiple``, of which sides must be, such as "transformer_net".
      style: the picture: "china" or "flower", photographs of scikit-learn's, or a file.
      style_size: pixels a side of the square that it is cut to and seen in.
      content_weight: of the maps' difference (`jaxdl.losses.perceptual.content_loss`).
      style_weight: of the Gram matrices' (`jaxdl.losses.perceptual.style_loss`).
      variation_weight: of `jaxdl.losses.perceptual.total_variation`.
      content_layers: `jaxdl.pretrained.perception.create`'s; () for "relu3_1" of the network that
        comes with the package, "relu4_2" of others.
      style_layers: () for the first of every stage, "relu1_1" to "relu4_1" or to "relu5_1".
      features: where the weights are that the losses see by: a file of published ones, or the
        folder of a run that learned to classify; "" for the small network of the package.
      features_model: of published weights whose they are, such as "vgg16".
      mirror: whether pictures are mirrored from left to right at random.

    The metrics are ``loss`` and its parts ``content``, ``style`` and ``variation``; at evaluation
    also ``style_left``, the style loss of what was made over that of the pictures it was made of.
    """
    need_batches(run)
    check_counts(style_size=style_size)
    height, width, channels = run.data.train.take(np.arange(1))["image"].shape[1:]
    if channels != 3:
        raise UserError(
            f"task 'style_transfer' learns from pictures in colour, and these have {channels} "
            "channels"
        )
    stylist = styling.create(
        run,
        style=style,
        style_shape=(style_size, style_size),
        content_weight=content_weight,
        style_weight=style_weight,
        variation_weight=variation_weight,
        content_layers=content_layers,
        style_layers=style_layers,
        features=features,
        features_model=features_model,
    )
    module = build_model(run, {"channels": channels})
    if not hasattr(module, "multiple") or not hasattr(module, "halvings"):
        raise UserError(
            "task 'style_transfer' needs a model that makes pictures of pictures, such as "
            f"'transformer_net', not {run.config.model.name!r}"
        )
    loss_of = functools.partial(training_loss, learner.forward(module), stylist, mirror)
    updates = functools.partial(learner.by_config, run)
    made_of = jax.jit(lambda state, images: predict(module, state, images)["image"])
    return Task(
        init=functools.partial(_init, module, stylist, updates(loss_of)[0]),
        train_step=functools.partial(
            learner.step_beside, updates, loss_of, operator.attrgetter("known")
        ),
        eval_step=functools.partial(evaluate, module, stylist),
        artifacts=functools.partial(_artifacts, made_of, stylist),
        parameters=functools.partial(_parameters, module, (height, width)),
        predict=functools.partial(predict, module),
        transform=functools.partial(
            translating.transform, made_of, (height, width, 3), module.multiple, False
        ),
        any_size=False,
        directions=styling.DIRECTIONS,
        check=stylist.check,
    )


def training_loss(
    forward: Callable[..., tuple[jax.Array, dict[str, Any]]],
    stylist: styling.Stylist,
    mirror: bool,
    known: styling.Known,
    params: Any,
    model_state: Any,
    batch: Mapping,
    key: jax.Array,
) -> learner.Loss:
    """How far what is made of pictures is from what they show, and from the style.

    Args:
      forward: of `jaxdl.tasks.learner.forward`.
      stylist: by what it is compared.
      mirror: whether pictures are mirrored.
      known: of the state.
      params: the network's; so is model_state.
      model_state: its other collections.
      batch: ``image``.
      key: of the mirroring.
    """
    images = unit_range(batch["image"])
    if mirror:
        (images,) = translating.mirrored(keys.named(key, "mirror"), images)
    made, model_state = forward(params, model_state, key, images)
    parts = stylist.losses(known, made, stylist.content_of(known, images))
    found = {name: Mean.of(part) for name, part in parts._asdict().items()}
    return learner.Loss(Mean.of(parts.total(stylist.weights)), model_state, found)


def evaluate(
    module: Any, stylist: styling.Stylist, state: State, batch: Mapping, key: jax.Array
) -> Metrics:
    """``loss``, its parts and ``style_left`` of a batch that may be padded; no draws."""
    weights, images = without_padding(batch), unit_range(batch["image"])
    made = module.apply(state.learner.best_variables, images, train=False)
    content = stylist.content_of(state.known, images)
    parts = stylist.losses(state.known, made, content)
    found = {name: Mean.of(part, weights) for name, part in parts._asdict().items()}
    plain = Mean.of(stylist.losses(state.known, images, content).style, weights)
    loss = Mean.of(parts.total(stylist.weights), weights)
    return {"loss": loss, **found, "style_left": Mean(found["style"].total, plain.total)}


def predict(module: Any, state: State, images: jax.Array) -> dict[str, jax.Array]:
    """`Task.predict`: ``image`` (batch, h, w, 3) uint8, of any size that the network takes."""
    made = module.apply(state.learner.best_variables, unit_range(images), train=False)
    return {"image": styling.as_bytes(made)}


def _init(
    module: Any,
    stylist: styling.Stylist,
    start: Callable[[Mapping], learner.Learner],
    key: jax.Array,
    batch: Mapping,
) -> State:
    return State(start(module.init(key, unit_range(batch["image"][:1]))), stylist.known())


def _artifacts(
    made_of: Callable[..., jax.Array],
    stylist: styling.Stylist,
    state: State,
    split: Any,
    key: jax.Array,
) -> dict[str, draw.Picture]:
    images = split.take(evenly(len(split), _SHOWN))["image"]
    made = np.asarray(made_of(state, images))
    shown = np.stack([images, made], axis=1).reshape(-1, *images.shape[1:])
    caption = "Pictures of the evaluation part, evenly spread, and what the network makes of them."
    names = ["content", "made"] * len(images)
    return {"Styled": draw.image_grid(shown, names, caption, columns=4, inch=1.8)}


def _parameters(module: Any, sides: tuple[int, int], state: State) -> dict[str, jax.Array]:
    image = jax.ShapeDtypeStruct((1, *sides, module.channels), jnp.float32)
    return learner.parameters(state.learner.params, models.call_order(module, image))
