"""Where an image classifier that attends looks: a few examples of its report."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from flax import linen as nn

from jaxdl.data.preprocess import unit_range
from jaxdl.data.split import Arrays
from jaxdl.data.spread import evenly
from jaxdl.report import attention_maps, draw
from jaxdl.tasks import learner
from jaxdl.tasks.shared.splits import over_split

# Images side by side.
_SHOWN = 8


def patches(
    module: nn.Module,
    standardise: Callable[[jax.Array], jax.Array],
    state: learner.Learner,
    batch: Mapping,
    key: jax.Array,
) -> jax.Array:
    """`attention_maps.to_patches` of ``image``, by the averages; ``key`` draws nothing."""
    seen = standardise(unit_range(batch["image"]))
    return attention_maps.to_patches(module, state.best_variables, seen)


def pictures(
    module: nn.Module,
    standardise: Callable[[jax.Array], jax.Array],
    state: learner.Learner,
    split: Any,
    told: Callable[[np.ndarray], Sequence[str]],
) -> dict[str, draw.Picture]:
    """{"Attention": images, and what of them counts}; {} of rows, or where nothing attends to them.

    Args:
      module: the classifier.
      standardise: images in [0, 1] -> what it takes.
      state: the task's.
      split: whose images are shown, a few evenly spread.
      told: their places (n,) -> a line each.
    """
    places = evenly(len(split), _SHOWN)
    images = split.take(places).get("image")
    if images is None:
        return {}
    seen = jax.eval_shape(lambda x: standardise(unit_range(x)), images)
    at_once = attention_maps.images_at_once(module, state.best_variables, seen)
    if not at_once:
        return {}
    each = functools.partial(patches, module, standardise)
    shares = over_split(each, Arrays({"image": images}), at_once, state)
    caption = (
        "How much of each patch is in what the last layer reads, by attention rollout (Abnar and "
        "Zuidema, 2020): the most under full colour, the least under none; above each the range."
    )
    return {"Attention": attention_maps.over_images(images, shares, told(places), caption)}
