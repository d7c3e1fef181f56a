"""What makes vectors: any model that classifies images, or an encoder of texts, by its last layer.

Both are handed to `jaxdl.tasks.embedding` in one form, which knows of neither pixels nor tokens.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from jaxdl import config as settings
from jaxdl import keys, models
from jaxdl.data.preprocess import unit_range
from jaxdl.errors import UserError
from jaxdl.per_member import any_on
from jaxdl.report import draw
from jaxdl.tasks import classification, learner, text_classification
from jaxdl.tasks.shared import inputs, text_encoder
from jaxdl.tasks.shared.checks import need_batches
from jaxdl.tasks.shared.contract import Run
from jaxdl.tasks.shared.texts import one_line

Inputs = tuple[Any, ...]
# (places (m,), captions m, caption, columns) -> what a report shows of these examples.
Shown = Callable[[np.ndarray, Sequence[str], str, int], Any]


class Trunk(NamedTuple):
    """A network, and how it is fed.

    Attributes:
      module: whose logits are the vectors, before they are made unit.
      inputs: batch -> what the module takes at evaluation.
      views: (batch, key) -> the same of all views of each example in training, one view after the
        other.
      init: (start, key, batch) -> what ``start`` makes of the module's variables.
      order: () -> `models.call_order`.
      shown: split -> `Shown`.
      check: as `jaxdl.tasks.Task` has it.
      are_texts: whether its examples are.
    """

    module: nn.Module
    inputs: Callable[[Mapping], Inputs]
    views: Callable[[Mapping, jax.Array], Inputs]
    init: Callable[..., learner.Learner]
    order: Callable[[], Mapping[str, int]]
    shown: Callable[[Any], Shown]
    check: Callable[[], None]
    are_texts: bool = False


def create(run: Run, dimensions: int, views: int) -> Trunk:
    """That of the run's examples.

    Args:
      run: the run's config and data: batches with ``image``, or ``tokens`` with ``mask``.
      dimensions: of a vector.
      views: of each example in training.

    Raises:
      UserError: neither, or settings that do not fit.
    """
    train = run.data.train
    if train is not None and "tokens" in train.take(np.arange(1)):
        return _of_texts(run, dimensions, views)
    need_batches(run)
    return _of_images(run, dimensions, views)


def _of_images(run: Run, dimensions: int, views: int) -> Trunk:
    augmented = inputs.alone(run)
    module, weights, standardise, check = classification.start(run, dimensions)

    def init(start: Callable, key: jax.Array, batch: Mapping) -> learner.Learner:
        begin = lambda fresh: start(weights(fresh))
        return classification.init(module, standardise, begin, key, batch)

    return Trunk(
        module,
        lambda batch: (standardise(unit_range(batch["image"])),),
        lambda batch, key: (image_views(augmented, standardise, views, batch, key),),
        init,
        functools.cache(lambda: classification.call_order(module, standardise, run.data.train)),
        _pictures,
        check,
    )


def image_views(
    augmented: Callable[[jax.Array, Mapping], Mapping],
    standardise: Callable[[jax.Array], jax.Array],
    count: int,
    batch: Mapping,
    key: jax.Array,
) -> jax.Array:
    """``count`` augmentations of each image, (count·batch, h, w, c), one view after the other."""
    image = unit_range(batch["image"])
    key = keys.named(key, "augment")
    made = [augmented(jax.random.fold_in(key, i), {"image": image}) for i in range(count)]
    return standardise(jnp.concatenate([view["image"] for view in made]))


def _of_texts(run: Run, dimensions: int, views: int) -> Trunk:
    need_batches(run, "mask")
    need_batches(run, "label")
    if given := settings.changed(run.config, "augment"):
        name, value = next(iter(given.items()))
        raise UserError(f"config.{name}={value!r} is of images, and these examples are texts")
    begin = text_encoder.start(run, "classifier", num_classes=dimensions)
    module = begin.module
    if views > 1 and not any_on(module.dropout):
        raise UserError(
            f"config.task.loss={run.config.task.loss!r} compares two views of a text, which differ "
            "by dropout alone: set config.model.dropout, such as 0.1"
        )
    seen = jax.ShapeDtypeStruct((1, run.data.train.context), np.int32)

    def init(start: Callable, key: jax.Array, batch: Mapping) -> learner.Learner:
        return start(begin.variables(module.init(key, batch["tokens"][:1])))

    return Trunk(
        module,
        text_classification.inputs,
        lambda batch, key: text_views(views, batch),
        init,
        functools.cache(lambda: models.call_order(module, seen)),
        _lines,
        begin.check,
        are_texts=True,
    )


def text_views(count: int, batch: Mapping) -> Inputs:
    """Each text ``count`` times: dropout makes other views of it (Gao et al., 2021, "SimCSE")."""
    again = lambda x: jnp.concatenate([x] * count)
    return jax.tree.map(again, text_classification.inputs(batch))


def _pictures(split: Any) -> Shown:
    def shown(places: np.ndarray, captions: Sequence[str], caption: str, columns: int) -> Any:
        return draw.image_grid(split.take(places)["image"], captions, caption, columns=columns)

    return shown


def _lines(split: Any) -> Shown:
    def shown(places: np.ndarray, captions: Sequence[str], caption: str, columns: int) -> Any:
        lines = [caption]
        for i, (place, name) in enumerate(zip(places, captions, strict=True)):
            lines += [""] * (i % columns == 0) + [f"{name}  {one_line(split.examples[place])}"]
        return "\n".join(lines)

    return shown
