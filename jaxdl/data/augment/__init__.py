"""Image augmentation on the device: pure functions of (key, batch), free to jit inside a step.

A batch is a dict. Each transform says which arrays it moves (`transform.moves`), and leaves the
others as they are; every example draws its own transformation.
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from jaxdl import keys
from jaxdl.data.augment.colour import color_jitter
from jaxdl.data.augment.geometry import (
    random_affine,
    random_flip,
    random_resized_crop,
    random_shift,
)
from jaxdl.data.augment.mixing import cutmix, mixup
from jaxdl.data.augment.policies import aug_mix, rand_augment, random_erasing
from jaxdl.data.augment.transform import SPATIAL, Batch, moves
from jaxdl.per_member import any_on

__all__ = [
    "SPATIAL",
    "aug_mix",
    "color_jitter",
    "create",
    "create_alone",
    "cutmix",
    "mixup",
    "moves",
    "rand_augment",
    "random_affine",
    "random_erasing",
    "random_flip",
    "random_resized_crop",
    "random_shift",
]


def create(
    settings: Mapping[str, Any], num_classes: int = 0
) -> Callable[[jax.Array, Batch], dict[str, Any]]:
    """The augmentation that a config describes.

    Args:
      settings: the keys of `config.augment` (see `jaxdl.config`); 0 or False leaves one out.
      num_classes: for the mixed labels.

    Returns:
      A function (key, batch) -> batch of ``image`` (batch, h, w, c) in [0, 1] and whatever else,
      whose ``label`` (batch,) int becomes distributions (batch, num_classes) if mixup or cutmix is
      on. It raises UserError where these are on and there are masks or boxes.
    """
    s = settings
    alone = create_alone(s)

    def augment(key: jax.Array, batch: Batch) -> dict[str, Any]:
        batch = alone(key, batch)
        *_, k_mix, k_cut, k_which = jax.random.split(key, 7)
        if not (s["mixup"] or s["cutmix"]):
            return batch
        batch = {**batch, "label": jax.nn.one_hot(batch["label"], num_classes, dtype=jnp.float32)}
        if s["mixup"] and s["cutmix"]:  # one of the two for each batch
            return jax.lax.cond(
                jax.random.bernoulli(k_which, jnp.float32(0.5)),
                lambda: mixup(k_mix, batch, s["mixup"]),
                lambda: cutmix(k_cut, batch, s["cutmix"]),
            )
        if s["mixup"]:
            return mixup(k_mix, batch, s["mixup"])
        return cutmix(k_cut, batch, s["cutmix"])

    return augment


def create_alone(settings: Mapping[str, Any]) -> Callable[[jax.Array, Batch], dict[str, Any]]:
    """What of an augmentation changes each example by itself: no mixtures.

    Args:
      settings: crop, rotate, zoom, shear, shift, flip, brightness, contrast, saturation,
        rand_augment, aug_mix and erase, as `config.augment` has them.

    Returns:
      A function (key, batch) -> batch of ``image`` (batch, h, w, c) in [0, 1] and whatever else.
    """
    s = settings
    affine = {name: s[name] for name in ("rotate", "zoom", "shear")}
    jitter = {name: s[name] for name in ("brightness", "contrast", "saturation")}
    # Scenes, whose objects move along, have none of these.
    policy, severity, erased = s.get("rand_augment"), s.get("aug_mix"), s.get("erase", 0)

    def augment(key: jax.Array, batch: Batch) -> dict[str, Any]:
        # Of seven: further ones are those of what mixes.
        k_crop, k_move, k_flip, k_color, *_ = jax.random.split(key, 7)
        if s["crop"] < 1:
            batch = random_resized_crop(k_crop, batch, s["crop"])
        if any(affine.values()):
            batch = random_affine(k_move, batch, shift=s["shift"], **affine)
        elif s["shift"]:
            batch = random_shift(k_move, batch, s["shift"])
        if s["flip"]:
            batch = random_flip(k_flip, batch)
        if any(map(any_on, jitter.values())):
            batch = color_jitter(k_color, batch, **jitter)
        if policy:
            batch = rand_augment(keys.named(key, "rand_augment"), batch, *policy)
        if severity:
            batch = aug_mix(keys.named(key, "aug_mix"), batch, severity)
        if any_on(erased):
            batch = random_erasing(keys.named(key, "erase"), batch, erased)
        return dict(batch)

    return augment
